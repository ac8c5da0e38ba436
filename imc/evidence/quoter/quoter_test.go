package quoter

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/evidence"
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

type settingsMap map[string]string

func (s settingsMap) String(k, def string) string {
	if v, ok := s[k]; ok {
		return v
	}
	return def
}

func (s settingsMap) Bool(k string, def bool) bool {
	if v, ok := s[k]; ok {
		return v == "yes"
	}
	return def
}

func TestFromSettings(t *testing.T) {
	const p = "plugins.imc-attestation."
	dir := t.TempDir()
	file := func(name string) string {
		f := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(f, []byte(name), 0o600))
		return f
	}
	c := FromSettings(settingsMap{
		p + "aik_handle": "0x81010003", p + "aik_cert": file("cert"), p + "aik_pubkey": file("pub"), p + "aik_blob": file("blob"),
		p + "use_version_info": "yes", "plugins.tpm.tcti.name": "swtpm", "plugins.tpm.tcti.opts": "host=127.0.0.1,port=2321",
	}, nil)
	require.Equal(t, tpm.AIK{Handle: 0x81010003, Certificate: []byte("cert"), PublicKey: []byte("pub"), Blob: []byte("blob")}, c.AIK)
	require.Equal(t, tpm.QuoteInfo2Version, c.Kind)
	require.Equal(t, "swtpm", c.Device.Name)
	require.Equal(t, "host=127.0.0.1,port=2321", c.Device.Opts)
	require.Equal(t, tpm.QuoteInfo2, FromSettings(settingsMap{}, nil).Kind)
	require.Equal(t, tpm.QuoteInfo, FromSettings(settingsMap{p + "use_quote2": "no"}, nil).Kind)
	require.Equal(t, tpm.QuoteInfo, FromSettings(settingsMap{p + "use_quote2": "no", p + "use_version_info": "yes"}, nil).Kind)
	c = FromSettings(settingsMap{p + "aik_handle": "three", p + "aik_cert": "/nonexistent", p + "aik_blob": "/dev/zero"}, nil)
	require.Equal(t, tpm.AIK{}, c.AIK, "what cannot be read is left out")
}

func of(f *tpmtest.Fake) *Quoter {
	return New(Config{AIK: tpm.AIK{Handle: tpm20.FirstAKHandle}, Open: func(context.Context) (tpm.TPM, error) { return f, nil }})
}

func TestNoTPM(t *testing.T) {
	q := New(Config{Open: func(context.Context) (tpm.TPM, error) { return nil, fmt.Errorf("find TPM: %w", tpm.ErrNoTPM) }})
	defer q.Close()
	_, err := q.Algorithms(context.Background())
	require.ErrorIs(t, err, pts.ErrNoTPM)
	q = New(Config{Open: func(context.Context) (tpm.TPM, error) { return nil, tpm.ErrInUse }})
	_, err = q.Algorithms(context.Background())
	require.ErrorIs(t, err, tpm.ErrInUse)
	require.NotErrorIs(t, err, pts.ErrNoTPM)
}

// A TPM that died is opened anew.
func TestReopen(t *testing.T) {
	opened := 0
	dead := tpmtest.NewFake(tpm.TPM20)
	dead.Err = tpm.ErrGone
	q := New(Config{Open: func(context.Context) (tpm.TPM, error) {
		if opened++; opened == 1 {
			return dead, nil
		}
		return tpmtest.NewFake(tpm.TPM20), nil
	}})
	_, err := q.Algorithms(context.Background())
	require.ErrorIs(t, err, tpm.ErrGone)
	require.True(t, dead.Closed)
	set, err := q.Algorithms(context.Background())
	require.NoError(t, err)
	require.Equal(t, pts.SHA1|pts.SHA256|pts.SHA384|pts.SHA512, set)
	q.Close()
	_, err = q.Algorithms(context.Background())
	require.Error(t, err, "closed")
	require.Equal(t, 2, opened)
}

func TestKeys(t *testing.T) {
	f := tpmtest.NewFake(tpm.TPM20)
	q := of(f)
	defer q.Close()
	aik, err := q.AIK(context.Background())
	require.NoError(t, err)
	require.True(t, aik.Naked)
	id, err := q.KeyID(context.Background(), tpm20.FirstAKHandle)
	require.NoError(t, err)
	sum := sha1.Sum(aik.DER)
	require.Equal(t, hex.EncodeToString(sum[:]), id)
	f.Err = fmt.Errorf("x: %w", tpm.ErrNoKey)
	_, err = q.AIK(context.Background())
	require.ErrorIs(t, err, pts.ErrNoAIK)
}

// rig is a machine with a log, its fake TPM, and the whole of the IMC's side.
type rig struct {
	t       *testing.T
	fake    *tpmtest.Fake
	dir     string
	n       int
	machine *pts.Machine
}

func (r *rig) extend(p int, data []byte) {
	for _, h := range r.fake.Algorithms {
		r.fake.Extend(h, p, h.Sum(data))
	}
}

// measure adds an entry to the IMA list and extends PCR 10.
func (r *rig) measure() {
	le := binary.LittleEndian
	field := func(b []byte) []byte { return append(le.AppendUint32(nil, uint32(len(b))), b...) }
	d := sha256.Sum256([]byte{byte(r.n)})
	data := append(field(append([]byte("sha256:\x00"), d[:]...)), field(fmt.Appendf(nil, "/bin/%d\x00", r.n))...)
	s := sha1.Sum(data)
	rec := append(append(le.AppendUint32(nil, 10), s[:]...), field([]byte("ima-ng"))...)
	f, err := os.OpenFile(filepath.Join(r.dir, "ima"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(r.t, err)
	_, err = f.Write(append(rec, field(data)...))
	require.NoError(r.t, err)
	f.Close()
	r.extend(10, data)
	r.n++
}

func (r *rig) handle(v patnc.Value) []patnc.Attribute {
	r.t.Helper()
	as, err := r.machine.Handle(context.Background(), v)
	require.NoError(r.t, err)
	return as
}

// Both generations and all quote modes: a log that grows until the moment of the
// quote, and a verifier that knows the protocol only.
func TestAttestation(t *testing.T) {
	for name, c := range map[string]struct {
		gen  tpm.Generation
		kind tpm.QuoteKind
		pcrs pcr.Selection
	}{
		"2.0": {gen: tpm.TPM20}, "1.2 Quote": {gen: tpm.TPM12, kind: tpm.QuoteInfo},
		"1.2 Quote2": {gen: tpm.TPM12, kind: tpm.QuoteInfo2}, "1.2 Quote2 with version": {gen: tpm.TPM12, kind: tpm.QuoteInfo2Version},
	} {
		t.Run(name, func(t *testing.T) {
			r := &rig{t: t, dir: t.TempDir(), fake: tpmtest.NewFake(c.gen)}
			for range 5 {
				r.measure()
			}
			grown := 0
			r.fake.BeforeQuote = func() {
				for range 3 {
					r.measure()
				}
				grown++
			}
			q := New(Config{AIK: tpm.AIK{Handle: tpm20.FirstAKHandle}, Kind: c.kind, Open: func(context.Context) (tpm.TPM, error) { return r.fake, nil }})
			defer q.Close()
			r.machine = pts.NewMachine(pts.Config{TPM: q,
				Collector: evidence.New(evidence.Config{IMALog: filepath.Join(r.dir, "ima"), BIOSLog: filepath.Join(r.dir, "none")})})
			r.handle(pts.RequestProtocolCapabilities{Capabilities: 0x0E})
			r.handle(pts.MeasurementAlgorithm{Algorithms: 0xC000})
			alg := r.machine.Algorithm()
			key, err := ecdh.P256().GenerateKey(rand.Reader)
			require.NoError(t, err)
			response := r.handle(pts.DHNonceParametersRequest{Groups: pts.ECP256})[0].Value.(pts.DHNonceParametersResponse)
			nonce := bytes.Repeat([]byte{5}, len(response.Nonce))
			r.handle(pts.DHNonceFinish{Hash: alg, Nonce: nonce, Public: key.PublicKey().Bytes()[1:]})
			peer, err := ecdh.P256().NewPublicKey(append([]byte{4}, response.Public...))
			require.NoError(t, err)
			z, err := key.ECDH(peer)
			require.NoError(t, err)
			h, _ := alg.New()
			for _, p := range [][]byte{{'1'}, nonce, response.Nonce, z} {
				h.Write(p)
			}
			secret := h.Sum(nil)

			version := r.handle(pts.GetTPMVersionInformation{})[0].Value.(pts.TPMVersionInformation).Info
			aik := r.handle(pts.GetAIK{})[0].Value.(pts.AIK)
			require.True(t, aik.Naked)
			ima := pts.ComponentName{Vendor: patnc.VendorITA, Qualifier: 0x22, Name: 3}
			require.Empty(t, r.handle(pts.RequestFunctionalComponentEvidence{Components: []pts.ComponentRequest{{Flags: pts.RequestPCR, Component: ima}}}))
			as := r.handle(pts.GenerateAttestationEvidence{})
			require.Len(t, as, 5+3+1)
			require.Equal(t, 1, grown, "one quote is enough")

			bank := pcr.NewBank(alg.Bank())
			for _, a := range as[:8] {
				b, err := a.Value.AppendValue(nil)
				require.NoError(t, err)
				v, err := pts.Attributes[pts.TypeSimpleComponentEvidence].Parse(b)
				require.NoError(t, err)
				e := v.(pts.SimpleComponentEvidence)
				require.True(t, bank.Extend(e.PCR, e.Measurement))
			}
			final := as[8].Value.(pts.SimpleEvidenceFinal)
			verify(t, final, bank, secret, version, aik.DER)
			_, err = final.AppendValue(nil)
			require.NoError(t, err)
		})
	}
}

// verify does what a verifier does, over PCR 10 alone.
func verify(t *testing.T, f pts.SimpleEvidenceFinal, b *pcr.Bank, secret, version, spki []byte) {
	t.Helper()
	be16 := func(v int) []byte { return []byte{byte(v >> 8), byte(v)} }
	bitmap := []byte{0, 4, 0}
	var info []byte
	if f.Kind == pts.QuoteTPM20 {
		d := sha256.Sum256(b.Value(10))
		require.Equal(t, d[:], f.Composite)
		require.Equal(t, append([]byte{0, 0, 0, 1, 0, 0x0b, 3}, bitmap...), f.TPM20.PCRSelection)
		info = bytes.Join([][]byte{{0xff, 'T', 'C', 'G', 0x80, 0x18}, be16(len(f.TPM20.QualifiedSigner)), f.TPM20.QualifiedSigner,
			be16(len(secret)), secret, f.TPM20.ClockInfo, f.TPM20.FirmwareVersion, f.TPM20.PCRSelection, be16(len(d)), d[:]}, nil)
	} else {
		c := sha1.Sum(bytes.Join([][]byte{{0, 3}, bitmap, {0, 0, 0, 20}, b.Value(10)}, nil))
		require.Equal(t, c[:], f.Composite)
		require.Equal(t, pts.SHA1, f.CompositeHash)
		if f.Kind == pts.QuoteTPM12 {
			info = bytes.Join([][]byte{{1, 1, 0, 0}, []byte("QUOT"), c[:], secret}, nil)
		} else {
			info = bytes.Join([][]byte{{0, 0x36}, []byte("QUT2"), secret, {0, 3}, bitmap, {1}, c[:]}, nil)
		}
		if f.Kind == pts.QuoteTPM12Vers {
			info = append(info, version...)
		}
	}
	key, err := x509.ParsePKIXPublicKey(spki)
	require.NoError(t, err)
	hash := map[pts.HashAlgorithms]crypto.Hash{pts.SHA1: crypto.SHA1, pts.SHA256: crypto.SHA256}[f.CompositeHash]
	h := hash.New()
	h.Write(info)
	require.NoError(t, rsa.VerifyPKCS1v15(key.(*rsa.PublicKey), hash, h.Sum(nil), f.Signature))
}

// A quote that fails is told, and the next operation works.
func TestQuoteFails(t *testing.T) {
	f := tpmtest.NewFake(tpm.TPM20)
	q := of(f)
	defer q.Close()
	f.Err = errors.New("TPM_RC_LOCKOUT")
	_, err := q.Quote(context.Background(), pts.SHA256, 1<<10, nil)
	require.ErrorContains(t, err, "TPM_RC_LOCKOUT")
	f.Err = nil
	_, err = q.Quote(context.Background(), pts.SHA256, 1<<10|1<<30, []byte("x"))
	require.NoError(t, err, "PCRs that no TPM has are left out")
	_, err = q.ReadPCRs(context.Background(), 0x0001, 1)
	require.ErrorIs(t, err, tpm.ErrNoBank)
}

// A TPM that hangs costs a bounded time, and works again when it does.
func TestHangingTPM(t *testing.T) {
	e := tpmtest.Swtpm(t, tpm.TPM20)
	q := New(Config{Device: e.Config, Timeout: time.Second})
	defer q.Close()
	_, err := q.Algorithms(context.Background())
	require.NoError(t, err)
	require.NoError(t, e.Process().Signal(syscall.SIGSTOP))
	start := time.Now()
	_, err = q.ReadPCRs(context.Background(), pts.SHA256, 1)
	require.Error(t, err)
	require.Less(t, time.Since(start), 10*time.Second)
	require.NoError(t, e.Process().Signal(syscall.SIGCONT))
	require.Eventually(t, func() bool {
		_, err := q.ReadPCRs(context.Background(), pts.SHA256, 1)
		return err == nil
	}, 10*time.Second, 50*time.Millisecond)
}
