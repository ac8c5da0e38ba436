package tpmkey

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/keyfile"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

var digest = sha256.Sum256([]byte("message"))

// emulator starts swtpm; keys of it count the commands that they send.
func emulator(t *testing.T) *tpmtest.Emulator {
	e := tpmtest.Swtpm(t, tpm.TPM20)
	require.NoError(t, e.Open(t).Close()) // started
	return e
}

// counter counts the commands of keys.
type counter struct{ n int }

func (c *counter) open(ctx context.Context, cfg device.Config) (tpm.TPM, error) {
	tr, err := device.OpenTransport(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return tpm.Open(ctx, counted{tr, c}, tpm.Config{})
}

type counted struct {
	tpm.Transport
	c *counter
}

func (c counted) Exchange(ctx context.Context, cmd []byte) ([]byte, error) {
	c.c.n++
	return c.Transport.Exchange(ctx, cmd)
}

// file makes a key and returns its file.
func file(t *testing.T, e *tpmtest.Emulator, req tpm20.SigningKeyRequest) []byte {
	t.Helper()
	p, err := device.Open(t.Context(), e.Config)
	require.NoError(t, err)
	defer p.Close()
	w, err := p.(*tpm20.TPM).CreateSigningKey(t.Context(), req, tpm20.Auth{})
	require.NoError(t, err)
	b, err := keyfile.Marshal(*w)
	require.NoError(t, err)
	return b
}

// free fails where something keeps the TPM, or where objects or sessions stay in it.
func free(t *testing.T, e *tpmtest.Emulator) {
	t.Helper()
	require.Empty(t, e.Loaded(t))
}

func verify(t *testing.T, key crypto.PublicKey, sig []byte) {
	t.Helper()
	switch k := key.(type) {
	case *rsa.PublicKey:
		require.NoError(t, rsa.VerifyPKCS1v15(k, crypto.SHA256, digest[:], sig))
	case *ecdsa.PublicKey:
		require.True(t, ecdsa.VerifyASN1(k, digest[:], sig))
	}
}

// A key that was loaded ahead signs with one command, whether a policy binds it or
// not, and the TPM is given back right after.
func TestSignaturesTakeOneCommand(t *testing.T) {
	e := emulator(t)
	e.Persist(t, tpm20.SigningKeyRequest{ECC: true}, 0x81010001)
	for name, get := range map[string]func(k *Keys) (crypto.Signer, error){
		"handle": func(k *Keys) (crypto.Signer, error) { return k.Key(&swanctl.Token{Handle: 0x81010001}) },
		"file": func(k *Keys) (crypto.Signer, error) {
			return k.FileKey("f", file(t, e, tpm20.SigningKeyRequest{ECC: true, Password: []byte("pin")}), &swanctl.PrivateKey{Passphrase: swanctl.Secret("pin")})
		},
		"PCRs": func(k *Keys) (crypto.Signer, error) {
			return k.FileKey("f", file(t, e, tpm20.SigningKeyRequest{ECC: true, Bank: pcr.SHA256, PCRs: pcr.Select(7)}), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var c counter
			k := New(Config{Device: e.Config, Open: c.open})
			defer k.Close()
			k.keep.signed = time.Minute
			key, err := get(k)
			require.NoError(t, err)
			require.Len(t, key.(*Key).Schemes(), 4)
			// The first use of a guarded key after a start is answered TPM_RC_RETRY.
			require.NoError(t, key.(*Key).Check(t.Context()))
			bound := Bind(t.Context(), key)
			require.Eventually(t, func() bool {
				k.turn <- struct{}{}
				defer func() { <-k.turn }()
				return k.loaded[key.(*Key)] != nil && (name != "PCRs" || c.n >= 11)
			}, 5*time.Second, 5*time.Millisecond)
			k.turn <- struct{}{}
			c.n = 0
			<-k.turn
			sig, err := bound.Sign(rand.Reader, digest[:], crypto.SHA256)
			require.NoError(t, err)
			verify(t, key.Public(), sig)
			require.Equal(t, 1, c.n)
			k.keep = keepOwn
			_, err = bound.Sign(rand.Reader, digest[:], crypto.SHA256)
			require.NoError(t, err)
			require.Eventually(t, func() bool {
				k.turn <- struct{}{}
				defer func() { <-k.turn }()
				return k.tpm == nil
			}, 5*time.Second, 5*time.Millisecond, "the TPM is given back")
			free(t, e)
			sig, err = bound.Sign(rand.Reader, digest[:], crypto.SHA256)
			require.NoError(t, err, "it is loaded again")
			verify(t, key.Public(), sig)
			k.Close()
			free(t, e)
		})
	}
}

// Each thing that keeps a key from use is one sentence with what to do.
func TestWhatKeepsKeysFromUse(t *testing.T) {
	e := emulator(t)
	p := e.Open(t).(*tpm20.TPM)
	ak, err := p.CreateAK(t.Context(), tpm20.AKRequest{Handle: 0x81010099}, tpm20.Auth{})
	require.NoError(t, err)
	require.NoError(t, p.Close())
	guarded := file(t, e, tpm20.SigningKeyRequest{ECC: true, Password: []byte("pin")})
	bound := file(t, e, tpm20.SigningKeyRequest{ECC: true, Bank: pcr.SHA256, PCRs: pcr.Select(16)})
	foreign := file(t, emulator(t), tpm20.SigningKeyRequest{ECC: true})
	k := New(Config{Device: e.Config})
	defer k.Close()
	sign := func(key crypto.Signer, err error) error {
		if err == nil {
			_, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
		}
		return err
	}
	at := config.Pos{File: "swanctl.conf", Line: 7}
	says := func(err error, sentence, remedy string) {
		t.Helper()
		require.ErrorContains(t, err, sentence)
		require.Contains(t, Remedy(err), remedy, "%v", err)
	}
	says(sign(k.Key(&swanctl.Token{Name: "token", Pos: at, Handle: 0x81010077})), "the TPM's key 0x81010077: load key", "correct the handle")
	says(sign(k.Key(&swanctl.Token{Handle: ak.Handle})), "restricted to what the TPM makes itself", "`tnc key create`")
	says(sign(k.FileKey("f.pem", foreign, nil)), "the TPM's key f.pem: load key: TPM2_Load: the TPM answered 0x1df TPM_RC_INTEGRITY: another TPM made it", "make another key")
	says(sign(k.FileKey("f.pem", guarded, nil)), "the password is wrong", "add a section private")
	says(sign(k.FileKey("f.pem", guarded, &swanctl.PrivateKey{Name: "private-1", PassphrasePos: at})), "the password is wrong", "set the secret of secrets.private-1 (swanctl.conf:7)")
	wrong := &swanctl.PrivateKey{Name: "private-1", PassphrasePos: at, Passphrase: swanctl.Secret("wrong")}
	says(sign(k.FileKey("f.pem", guarded, wrong)), "the password is wrong", "correct the secret of secrets.private-1 (swanctl.conf:7); it is not tried again")
	typed := &swanctl.PrivateKey{Name: "asked", PassphrasePos: at, Passphrase: swanctl.Secret("wrong"), Asked: true}
	says(sign(k.FileKey("typed.pem", guarded, typed)), "the password is wrong", "start again and type the right one")
	require.NoError(t, sign(k.FileKey("bound.pem", bound, nil)))
	e.Open(t) // while another program has it
	k.Close()
	slow := New(Config{Device: device.Config{Name: e.Config.Name, Opts: e.Config.Opts, Timeout: time.Second}})
	says(sign(slow.Key(&swanctl.Token{Handle: 0x81010001})), "did not answer in time", "does another program hold it")
	none := New(Config{Device: device.Config{Name: "device", Opts: "/dev/none"}})
	says(sign(none.Key(&swanctl.Token{Handle: 0x81010001})), "no TPM found", "")
	says(sign(New(Config{Device: tpmtest.Swtpm(t, tpm.TPM12).Config}).Key(&swanctl.Token{Handle: 0x81010001})), "version 1.2", "put the key into a file")
}

// A wrong password is sent once, however often a connection is tried.
func TestWrongPasswordIsNotTriedAgain(t *testing.T) {
	e := emulator(t)
	b := file(t, e, tpm20.SigningKeyRequest{ECC: true, Password: []byte("pin")})
	k := New(Config{Device: e.Config})
	defer k.Close()
	for range 40 {
		key, err := k.FileKey("f.pem", b, &swanctl.PrivateKey{Passphrase: swanctl.Secret("wrong")})
		require.NoError(t, err)
		require.ErrorIs(t, key.(*Key).Check(t.Context()), tpm20.ErrPassword)
		_, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
		require.ErrorIs(t, err, tpm20.ErrPassword)
	}
	k.Close()
	key, err := New(Config{Device: e.Config}).FileKey("f.pem", b, &swanctl.PrivateKey{Passphrase: swanctl.Secret("pin")})
	require.NoError(t, err)
	_, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
	require.NoError(t, err, "it is not locked")
}

// Keys bound to PCRs do not sign once those changed, and leave nothing in the TPM.
func TestPCRsThatChanged(t *testing.T) {
	e := emulator(t)
	b := file(t, e, tpm20.SigningKeyRequest{ECC: true, Bank: pcr.SHA256, PCRs: pcr.Select(7)})
	k := New(Config{Device: e.Config})
	key, err := k.FileKey("f.pem", b, nil)
	require.NoError(t, err)
	require.NoError(t, key.(*Key).Check(t.Context()))
	k.Close()
	p, err := device.Open(t.Context(), e.Config)
	require.NoError(t, err)
	require.NoError(t, p.(*tpm20.TPM).ExtendPCR(t.Context(), 7, map[pcr.Hash][]byte{pcr.SHA256: digest[:]}))
	require.NoError(t, p.Close())
	for range 8 {
		Bind(t.Context(), key)
		_, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
		require.ErrorIs(t, err, tpm20.ErrPCRs)
		require.Contains(t, Remedy(err), "the machine booted something else")
	}
	k.Close()
	free(t, e)
}

// A TPM that hangs is given up in time; one that vanished is opened again.
func TestTPMThatHangsOrVanishes(t *testing.T) {
	e := emulator(t)
	e.Persist(t, tpm20.SigningKeyRequest{ECC: true}, 0x81010001)
	cfg := e.Config
	cfg.Timeout = time.Second
	k := New(Config{Device: cfg})
	key, err := k.Key(&swanctl.Token{Handle: 0x81010001})
	require.NoError(t, err)
	e.Stop()
	e.Start(t)
	_, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
	require.NoError(t, err, "it came back")

	require.NoError(t, e.Process().Signal(syscall.SIGSTOP))
	began := time.Now()
	_, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
	require.ErrorIs(t, err, tpm.ErrTimeout)
	require.Less(t, time.Since(began), useTime)
	require.NotEmpty(t, Remedy(err))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began = time.Now()
	_, err = Bind(ctx, key).Sign(rand.Reader, digest[:], crypto.SHA256)
	require.Error(t, err)
	require.Less(t, time.Since(began), time.Second, "it ends with its connection")
	require.NoError(t, e.Process().Signal(syscall.SIGCONT))
	e.Stop()
	began = time.Now()
	_, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
	require.ErrorIs(t, err, tpm.ErrNoTPM)
	require.Contains(t, Remedy(err), "is the emulator running?")
	require.Less(t, time.Since(began), 5*time.Second)
}

// A TPM that stays busy, or is locked, ends the wait in time.
func TestBusyAndLockedTPM(t *testing.T) {
	e := emulator(t)
	e.Persist(t, tpm20.SigningKeyRequest{ECC: true}, 0x81010001)
	for code, want := range map[uint32]error{0x922: tpm.ErrBusy, 0x921: tpm.ErrLocked} {
		open := func(ctx context.Context, cfg device.Config) (tpm.TPM, error) {
			tr, err := device.OpenTransport(ctx, cfg)
			if err != nil {
				return nil, err
			}
			return tpm.Open(ctx, tpmtest.Busy(tr, 0x15d, code, 1<<30), tpm.Config{Retry: command.Retry{Total: 50 * time.Millisecond}})
		}
		k := New(Config{Device: e.Config, Open: open})
		key, err := k.Key(&swanctl.Token{Handle: 0x81010001})
		require.NoError(t, err)
		began := time.Now()
		_, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
		require.ErrorIs(t, err, want)
		require.Less(t, time.Since(began), 5*time.Second)
		require.NotEmpty(t, Remedy(err), fmt.Sprint(err))
		k.Close()
	}
}

// Certificates come from NV indices, also where those are larger.
func TestCertificateInNV(t *testing.T) {
	e := emulator(t)
	ca, err := testpki.NewCA("CA", testpki.ECDSA)
	require.NoError(t, err)
	e.WriteNV(t, 0x01800001, append(ca.Cert.Raw, 0xff, 0xff))
	e.WriteNV(t, 0x01800002, []byte("no certificate"))
	k := New(Config{Device: e.Config})
	defer k.Close()
	c, err := k.Certificate(0x01800001)
	require.NoError(t, err)
	require.Equal(t, ca.Cert.Raw, c.Raw)
	_, err = k.Certificate(0x01800002)
	require.ErrorContains(t, err, "certificate at NV index 0x01800002")
	_, err = k.Certificate(0x01800003)
	require.ErrorIs(t, err, tpm.ErrNoKey)
	require.Contains(t, Remedy(err), "tpm2_nvwrite")
}
