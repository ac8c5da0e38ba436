// Command guest is the first process of the virtual machine of vm_test.go: it
// makes the kernel measure files, runs tnc measure, attests to a verifier of its
// own while the list grows, prints what it finds, and switches the machine off.
package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/evidence"
	"github.com/gotnc/gotnc/imc/evidence/quoter"
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

func main() {
	fmt.Println("VM started")
	mount()
	if err := run(); err != nil {
		fmt.Println("VM FAIL:", err)
	} else {
		fmt.Println("VM PASS")
	}
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	select {}
}

func mount() {
	for _, m := range [][3]string{{"proc", "/proc", "proc"}, {"sysfs", "/sys", "sysfs"}, {"dev", "/dev", "devtmpfs"}, {"sec", "/sys/kernel/security", "securityfs"}} {
		_ = os.MkdirAll(m[1], 0o755)
		if err := unix.Mount(m[0], m[1], m[2], 0, ""); err != nil {
			fmt.Println("VM mount", m[1], err)
		}
	}
}

func run() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := files("before", 40); err != nil {
		return err
	}
	if err := violate(); err != nil {
		return err
	}
	out, err := exec.CommandContext(ctx, "/bin/tnc", "measure").CombinedOutput()
	fmt.Printf("%s\n", out)
	if err != nil {
		return fmt.Errorf("tnc measure: %w", err)
	}
	if !bytes.Contains(out, []byte("no difference")) {
		return errors.New("tnc measure compared nothing")
	}
	p, err := device.Open(ctx, device.Config{})
	if err != nil {
		return err
	}
	if err := record(ctx, p); err != nil {
		return err
	}
	v20, ok := p.(*tpm20.TPM)
	if !ok {
		return p.Close() // a TPM 1.2 has no key here
	}
	if _, err := v20.CreateAK(ctx, tpm20.AKRequest{Handle: tpm20.FirstAKHandle}, tpm20.Auth{}); err != nil {
		return err
	}
	p.Close()
	for i := range 5 {
		entries, err := attest(ctx, i)
		if err != nil {
			return fmt.Errorf("attestation %d: %w", i, err)
		}
		fmt.Printf("VM quote %d verified over %d pieces of evidence\n", i, entries)
	}
	return nil
}

// record prints the logs and the PCRs that they lead to, for testdata. The PCRs
// are read first: the list then holds at least what they hold.
func record(ctx context.Context, p tpm.TPM) error {
	banks, err := p.Banks(ctx)
	if err != nil {
		return err
	}
	for _, b := range banks {
		values, err := p.ReadPCRs(ctx, b, pcr.Select(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
		if err != nil {
			return err
		}
		for i := range 11 {
			fmt.Printf("VM pcr %v %d %x\n", b, i, values[i])
		}
	}
	for name, path := range map[string]string{"bios": evidence.DefaultBIOSLog, "ima": evidence.DefaultIMALog} {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fmt.Printf("VM file %s %s\n", name, base64.StdEncoding.EncodeToString(b))
	}
	return nil
}

// files makes files and reads them: policy tcb measures what root reads.
func files(prefix string, n int) error {
	for i := range n {
		name := fmt.Sprintf("/files-%s-%d", prefix, i)
		if err := os.WriteFile(name, []byte(name), 0o600); err != nil {
			return err
		}
		if _, err := os.ReadFile(name); err != nil {
			return err
		}
	}
	return nil
}

// violate opens a file for writing while it is open for reading.
func violate() error {
	r, err := os.Open("/files-before-0")
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile("/files-before-0", os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	return w.Close()
}

// attest runs one attestation, verifier included, while the list grows.
func attest(ctx context.Context, round int) (entries int, err error) {
	q := quoter.New(quoter.Config{AIK: tpm.AIK{Handle: tpm20.FirstAKHandle}})
	defer q.Close()
	m := pts.NewMachine(pts.Config{TPM: q, HashUpTo: "sha256", Collector: evidence.New(evidence.Config{})})
	handle := func(v patnc.Value) []patnc.Attribute {
		as, e := m.Handle(ctx, v)
		if e != nil && err == nil {
			err = e
		}
		return as
	}
	handle(pts.RequestProtocolCapabilities{Capabilities: 0x0E})
	handle(pts.MeasurementAlgorithm{Algorithms: 0xF000})
	response := handle(pts.DHNonceParametersRequest{Groups: pts.ECP256})
	if err != nil || len(response) != 1 {
		return 0, fmt.Errorf("nonces: %w", err)
	}
	r := response[0].Value.(pts.DHNonceParametersResponse)
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return 0, err
	}
	peer, err := ecdh.P256().NewPublicKey(append([]byte{4}, r.Public...))
	if err != nil {
		return 0, err
	}
	z, err := key.ECDH(peer)
	if err != nil {
		return 0, err
	}
	nonce := make([]byte, len(r.Nonce))
	handle(pts.DHNonceFinish{Hash: pts.SHA256, Nonce: nonce, Public: key.PublicKey().Bytes()[1:]})
	secret := sha256.Sum256(bytes.Join([][]byte{{'1'}, nonce, r.Nonce, z}, nil))
	version := handle(pts.GetTPMVersionInformation{})[0].Value.(pts.TPMVersionInformation).Info
	spki := handle(pts.GetAIK{})[0].Value.(pts.AIK).DER

	var done sync.WaitGroup
	stop := make(chan struct{})
	done.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				_ = files(fmt.Sprintf("during-%d-%d", round, i), 1)
			}
		}
	})
	ima := func(qualifier uint8) pts.ComponentRequest {
		return pts.ComponentRequest{Flags: pts.RequestPCR, Component: pts.ComponentName{Vendor: patnc.VendorITA, Qualifier: qualifier, Name: 3}}
	}
	handle(pts.RequestFunctionalComponentEvidence{Components: []pts.ComponentRequest{ima(0x21), ima(0x22)}})
	as := handle(pts.GenerateAttestationEvidence{})
	close(stop)
	done.Wait()
	if err != nil {
		return 0, err
	}
	return len(as) - 1, verify(as, secret[:], version, spki)
}

// verify replays the evidence and verifies the quote over what it leads to.
func verify(as []patnc.Attribute, secret, version, spki []byte) error {
	b := pcr.NewBank(pcr.SHA256)
	b.SetLocality(version[3])
	for _, a := range as[:len(as)-1] {
		enc, err := a.Value.AppendValue(nil)
		if err != nil {
			return err
		}
		v, err := pts.Attributes[pts.TypeSimpleComponentEvidence].Parse(enc)
		if err != nil {
			return err
		}
		e := v.(pts.SimpleComponentEvidence)
		b.Extend(e.PCR, e.Measurement)
	}
	f := as[len(as)-1].Value.(pts.SimpleEvidenceFinal)
	if f.Kind != pts.QuoteTPM20 {
		return errors.New("no quote")
	}
	h := sha256.New()
	for i := uint32(0); i < pcr.Count; i++ {
		if b.Touched()&(1<<i) != 0 {
			h.Write(b.Value(i))
		}
	}
	digest := h.Sum(nil)
	if !bytes.Equal(digest, f.Composite) {
		return errors.New("the evidence does not lead to the quoted PCRs")
	}
	t := b.Touched()
	selection := []byte{0, 0, 0, 1, 0, 0x0b, 3, byte(t), byte(t >> 8), byte(t >> 16)}
	be16 := func(v int) []byte { return []byte{byte(v >> 8), byte(v)} }
	info := bytes.Join([][]byte{{0xff, 'T', 'C', 'G', 0x80, 0x18}, be16(len(f.TPM20.QualifiedSigner)), f.TPM20.QualifiedSigner,
		be16(len(secret)), secret, f.TPM20.ClockInfo, f.TPM20.FirmwareVersion, selection, be16(len(digest)), digest}, nil)
	key, err := x509.ParsePKIXPublicKey(spki)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(info)
	return rsa.VerifyPKCS1v15(key.(*rsa.PublicKey), crypto.SHA256, sum[:], f.Signature)
}
