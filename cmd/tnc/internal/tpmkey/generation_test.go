package tpmkey

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/keyfile"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// emulator12 starts a TPM 1.2 that has an owner.
func emulator12(t *testing.T) *tpmtest.Emulator {
	t.Helper()
	e, p := tpmtest.Open12(t)
	require.NoError(t, p.Close())
	return e
}

// blobFile makes a key of a TPM 1.2 and returns its file.
func blobFile(t *testing.T, e *tpmtest.Emulator, req tpm12.SigningKeyRequest) []byte {
	t.Helper()
	p, err := device.Open(t.Context(), e.Config)
	require.NoError(t, err)
	defer p.Close()
	req.Bits = 1024
	blob, err := p.(*tpm12.TPM).CreateSigningKey(t.Context(), req)
	require.NoError(t, err)
	b, err := keyfile.MarshalBlob(blob)
	require.NoError(t, err)
	return b
}

// Keys of a TPM 1.2 sign with PKCS #1 alone, and the TPM is given back.
func TestKeysOfATPM12(t *testing.T) {
	e := emulator12(t)
	pin := &swanctl.PrivateKey{Name: "private-1", Passphrase: swanctl.Secret("pin")}
	k := New(Config{Device: e.Config})
	defer k.Close()
	for name, c := range map[string]struct {
		req    tpm12.SigningKeyRequest
		of     *swanctl.PrivateKey
		hashes []pcr.Hash
	}{
		"no password": {tpm12.SigningKeyRequest{}, nil, []pcr.Hash{pcr.SHA1, pcr.SHA256, pcr.SHA384, pcr.SHA512}},
		"password":    {tpm12.SigningKeyRequest{Password: []byte("pin")}, pin, []pcr.Hash{pcr.SHA1, pcr.SHA256, pcr.SHA384, pcr.SHA512}},
		"SHA-1":       {tpm12.SigningKeyRequest{SHA1: true}, pin, []pcr.Hash{pcr.SHA1}},
	} {
		t.Run(name, func(t *testing.T) {
			k.Close()
			key, err := k.FileKey("f.pem", blobFile(t, e, c.req), c.of)
			require.NoError(t, err)
			var hashes []pcr.Hash
			for _, s := range key.(*Key).Schemes() {
				require.Equal(t, tpm20.RSASSA, s.Scheme)
				hashes = append(hashes, s.Hash)
			}
			require.Equal(t, c.hashes, hashes)
			require.NoError(t, key.(*Key).Check(t.Context()))
			sig, err := Bind(t.Context(), key).Sign(rand.Reader, digest[:], crypto.SHA256)
			if len(hashes) == 1 {
				require.ErrorIs(t, err, tpm12.ErrScheme)
				require.ErrorContains(t, err, "the key signs SHA-1 only")
			} else {
				require.NoError(t, err)
				verify(t, key.Public(), sig)
			}
			_, err = key.Sign(rand.Reader, digest[:], &rsa.PSSOptions{Hash: crypto.SHA256})
			require.ErrorIs(t, err, tpm12.ErrScheme)
			require.Contains(t, Remedy(err), "do without RSASSA-PSS")
			time.Sleep(50 * time.Millisecond) // longer than it is kept after a signature
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			p, err := device.Open(ctx, e.Config)
			require.NoError(t, err, "another program can use it")
			require.NoError(t, p.Close())
		})
	}
}

// What keeps a key of a TPM 1.2 from use, and what to do about it.
func TestWhatIsWrongOnATPM12(t *testing.T) {
	e := emulator12(t)
	guarded := blobFile(t, e, tpm12.SigningKeyRequest{Password: []byte("pin")})
	foreign := blobFile(t, emulator12(t), tpm12.SigningKeyRequest{})
	k := New(Config{Device: e.Config})
	defer k.Close()
	says := func(key crypto.Signer, err error, part, remedy string) {
		t.Helper()
		if err == nil {
			err = key.(*Key).Check(t.Context())
		}
		require.ErrorContains(t, err, part)
		require.Contains(t, Remedy(err), remedy, "%v", err)
	}
	key, err := k.FileKey("f.pem", foreign, nil)
	says(key, err, "TPM_DECRYPT_ERROR", "make another key")
	key, err = k.FileKey("f.pem", guarded, nil)
	says(key, err, "the password is wrong", "add a section private")
	_, err = k.Certificate(0x01800001)
	says(nil, err, "certificate at NV index 0x01800001: the TPM is one of version 1.2", "into a file")
	key, err = k.FileKey("f.pem", guarded[:len(guarded)/2], nil)
	says(key, err, "TSS KEY BLOB", "")
	e20 := emulator(t)
	key, err = k.FileKey("f.pem", file(t, e20, tpm20.SigningKeyRequest{ECC: true}), nil)
	says(key, err, "the key is one of a TPM 2.0", "make another key")
	k20 := New(Config{Device: e20.Config})
	defer k20.Close()
	key, err = k20.FileKey("f.pem", guarded, nil)
	says(key, err, "the key is one of a TPM 1.2", "make another key")
}

// A wrong password is sent once a process, and not at all where it would lock the TPM.
func TestWrongPasswordOfATPM12(t *testing.T) {
	e := emulator12(t)
	b := blobFile(t, e, tpm12.SigningKeyRequest{Password: []byte("pin")})
	wrong := &swanctl.PrivateKey{Name: "private-1", Passphrase: swanctl.Secret("wrong")}
	k := New(Config{Device: e.Config})
	for range 20 {
		key, err := k.FileKey("f.pem", b, wrong)
		require.NoError(t, err)
		_, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
		require.ErrorIs(t, err, tpm12.ErrPassword)
		require.Contains(t, Remedy(err), "correct the secret of secrets.private-1")
	}
	k.Close()
	untried := false
	for range 20 {
		k := New(Config{Device: e.Config})
		key, err := k.FileKey("f.pem", b, wrong)
		require.NoError(t, err)
		err = key.(*Key).Check(t.Context())
		k.Close()
		if untried = errors.Is(err, ErrUntried); untried {
			break
		}
		require.ErrorIs(t, err, tpm12.ErrPassword)
	}
	require.True(t, untried)
	k = New(Config{Device: e.Config})
	defer k.Close()
	key, err := k.FileKey("f.pem", b, &swanctl.PrivateKey{Passphrase: swanctl.Secret("pin")})
	require.NoError(t, err)
	_, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
	require.NoError(t, err, "it is not locked")
}

// A TPM 1.2 that hangs is given up in time; one that vanished is opened again.
func TestTPM12ThatHangsOrVanishes(t *testing.T) {
	e := emulator12(t)
	b := blobFile(t, e, tpm12.SigningKeyRequest{})
	cfg := e.Config
	cfg.Timeout = time.Second
	k := New(Config{Device: cfg})
	defer k.Close()
	key, err := k.FileKey("f.pem", b, nil)
	require.NoError(t, err)
	e.Stop()
	e.Start(t)
	_, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
	require.NoError(t, err, "it came back")
	require.NoError(t, e.Process().Signal(syscall.SIGSTOP))
	defer e.Process().Signal(syscall.SIGCONT)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err = Bind(ctx, key).Sign(rand.Reader, digest[:], crypto.SHA256)
	require.Error(t, err)
	require.Less(t, time.Since(began), time.Second, "it ends with its connection")
	_, err = key.Sign(rand.Reader, digest[:], crypto.SHA256)
	require.ErrorIs(t, err, tpm.ErrTimeout)
}
