package tpm20_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/keyfile"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// verify checks a signature as TLS and IKE do.
func verify(t *testing.T, key crypto.PublicKey, hash crypto.Hash, digest, sig []byte, pss bool) {
	t.Helper()
	switch k := key.(type) {
	case *rsa.PublicKey:
		if pss {
			require.NoError(t, rsa.VerifyPSS(k, hash, digest, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
			return
		}
		require.NoError(t, rsa.VerifyPKCS1v15(k, hash, digest, sig))
	case *ecdsa.PublicKey:
		require.True(t, ecdsa.VerifyASN1(k, digest, sig))
	default:
		t.Fatalf("a key of type %T", key)
	}
}

// Keys of every kind are made, written to a file, read, loaded, and sign in every
// way that TLS and IKE ask for.
func TestSigningKeys(t *testing.T) {
	e := tpmtest.Swtpm(t, tpm.TPM20)
	e.Config.Timeout = 2 * time.Minute // RSA keys take long to make
	p := e.Open(t).(*tpm20.TPM)
	ctx := t.Context()
	s256, s384, s512 := sha256.Sum256([]byte("message")), sha512.Sum384([]byte("message")), sha512.Sum512([]byte("message"))
	for _, req := range []tpm20.SigningKeyRequest{
		{}, {Bits: 3072}, {ECC: true}, {ECC: true, Bits: 384}, {ECC: true, Bits: 521},
		{ECC: true, Password: []byte("secret")}, {Password: []byte("secret"), Bits: 2048},
		{ECC: true, Bank: pcr.SHA256, PCRs: pcr.Select(0, 7)},
	} {
		t.Run(fmt.Sprintf("ECC %v, %d bits, password %v, PCRs %v", req.ECC, req.Bits, len(req.Password) > 0, req.PCRs), func(t *testing.T) {
			made, err := p.CreateSigningKey(ctx, req, tpm20.Auth{})
			require.NoError(t, err)
			file, err := keyfile.Marshal(*made)
			require.NoError(t, err)
			require.True(t, keyfile.Is(file))
			read, err := keyfile.Parse(file)
			require.NoError(t, err)
			require.Equal(t, *made, read)

			k, err := p.SigningKey(ctx, ctx, tpm20.SigningKeyConfig{Wrapped: &read, Password: req.Password})
			require.NoError(t, err)
			for hash, digest := range map[crypto.Hash][]byte{crypto.SHA256: s256[:], crypto.SHA384: s384[:], crypto.SHA512: s512[:]} {
				sig, err := k.Sign(rand.Reader, digest, hash)
				require.NoError(t, err, "%v", hash)
				verify(t, k.Public(), hash, digest, sig, false)
				if req.ECC {
					continue
				}
				sig, err = k.Sign(rand.Reader, digest, &rsa.PSSOptions{Hash: hash, SaltLength: rsa.PSSSaltLengthEqualsHash})
				require.NoError(t, err, "PSS, %v", hash)
				verify(t, k.Public(), hash, digest, sig, true)
			}
			_, err = k.Sign(rand.Reader, s256[:31], crypto.SHA256)
			require.ErrorContains(t, err, "31 octets are no digest")
			if len(req.Password) > 0 {
				wrong, err := p.SigningKey(ctx, ctx, tpm20.SigningKeyConfig{Wrapped: &read, Password: []byte("wrong")})
				require.NoError(t, err)
				_, err = wrong.Sign(rand.Reader, s256[:], crypto.SHA256)
				require.ErrorContains(t, err, "TPM2_Sign")
				require.NoError(t, wrong.Close())
			}
			if req.PCRs != 0 {
				require.NoError(t, p.ExtendPCR(ctx, 7, map[pcr.Hash][]byte{pcr.SHA256: s256[:]}))
				_, err = k.Sign(rand.Reader, s256[:], crypto.SHA256)
				require.ErrorContains(t, err, "PolicyPCR", "the PCR has another value than the key is bound to")
			}
			require.NoError(t, k.Close())
			require.NoError(t, k.Close())
			_, err = k.Sign(rand.Reader, s256[:], crypto.SHA256)
			require.ErrorIs(t, err, tpm.ErrNoKey, "closed")
		})
	}
}

// A key that was closed does not sign with the one that has its handle now, and
// closing waits for a signature under way instead of both for each other.
func TestClosedSigningKey(t *testing.T) {
	p := tpmtest.Swtpm(t, tpm.TPM20).Open(t).(*tpm20.TPM)
	ctx := t.Context()
	w, err := p.CreateSigningKey(ctx, tpm20.SigningKeyRequest{ECC: true}, tpm20.Auth{})
	require.NoError(t, err)
	digest := sha256.Sum256([]byte("message"))
	for range 20 {
		k, err := p.SigningKey(ctx, ctx, tpm20.SigningKeyConfig{Wrapped: w})
		require.NoError(t, err)
		signed := make(chan struct{})
		go func() {
			defer close(signed)
			_, _ = k.Sign(rand.Reader, digest[:], crypto.SHA256)
		}()
		require.NoError(t, k.Close())
		<-signed
		other, err := p.SigningKey(ctx, ctx, tpm20.SigningKeyConfig{Wrapped: w})
		require.NoError(t, err)
		_, err = k.Sign(rand.Reader, digest[:], crypto.SHA256)
		require.ErrorIs(t, err, tpm.ErrNoKey)
		require.NoError(t, other.Close())
	}
}

// A persistent key is used where it is; attestation keys sign no digests.
func TestSigningKeyAtHandle(t *testing.T) {
	p := tpmtest.Swtpm(t, tpm.TPM20).Open(t).(*tpm20.TPM)
	ctx := t.Context()
	ak, err := p.CreateAK(ctx, tpm20.AKRequest{}, tpm20.Auth{})
	require.NoError(t, err)
	_, err = p.SigningKey(ctx, ctx, tpm20.SigningKeyConfig{Handle: ak.Handle})
	require.ErrorIs(t, err, tpm20.ErrRestricted)
	_, err = p.SigningKey(ctx, ctx, tpm20.SigningKeyConfig{Handle: 0x81012345})
	require.ErrorIs(t, err, tpm.ErrNoKey)
}

// counting counts commands.
type counting struct {
	tpm.Transport
	n int
}

func (c *counting) Exchange(ctx context.Context, cmd []byte) ([]byte, error) {
	c.n++
	return c.Transport.Exchange(ctx, cmd)
}

// A signature takes one command, three where a policy binds the key and was not run
// before: everything else is done when the key is loaded.
func TestCommandsOfASignature(t *testing.T) {
	e := tpmtest.Swtpm(t, tpm.TPM20)
	e.Open(t).Close() // started
	transport, err := device.OpenTransport(t.Context(), e.Config)
	require.NoError(t, err)
	c := &counting{Transport: transport}
	p := tpm20.New(c, tpm20.Config{})
	defer p.Close()
	digest := sha256.Sum256([]byte("message"))
	for want, req := range map[int]tpm20.SigningKeyRequest{1: {ECC: true}, 3: {ECC: true, Bank: pcr.SHA256, PCRs: pcr.Select(7)}} {
		w, err := p.CreateSigningKey(t.Context(), req, tpm20.Auth{})
		require.NoError(t, err)
		k, err := p.SigningKey(t.Context(), t.Context(), tpm20.SigningKeyConfig{Wrapped: w})
		require.NoError(t, err)
		sign := func() int {
			t.Helper()
			c.n = 0
			sig, err := k.Sign(rand.Reader, digest[:], crypto.SHA256)
			require.NoError(t, err)
			verify(t, k.Public(), crypto.SHA256, digest[:], sig, false)
			return c.n
		}
		require.Equal(t, want, sign())
		require.NoError(t, k.Prepare(t.Context()))
		require.NoError(t, k.Prepare(t.Context()))
		require.Equal(t, 1, sign(), "prepared")
		require.Equal(t, want, sign(), "once")
		require.NoError(t, k.Prepare(t.Context()))
		require.NoError(t, p.ExtendPCR(t.Context(), 10, map[pcr.Hash][]byte{pcr.SHA256: digest[:]}))
		sign() // a PCR that does not bind it was extended meanwhile
		require.NoError(t, k.Prepare(t.Context()))
		require.NoError(t, k.Close())
	}
}

// Sessions that fail leave nothing in the TPM, which has room for three.
func TestFailedPoliciesLeaveNoSessions(t *testing.T) {
	p := tpmtest.Swtpm(t, tpm.TPM20).Open(t).(*tpm20.TPM)
	ctx := t.Context()
	digest := sha256.Sum256([]byte("message"))
	w, err := p.CreateSigningKey(ctx, tpm20.SigningKeyRequest{ECC: true, Bank: pcr.SHA256, PCRs: pcr.Select(7)}, tpm20.Auth{})
	require.NoError(t, err)
	require.NoError(t, p.ExtendPCR(ctx, 7, map[pcr.Hash][]byte{pcr.SHA256: digest[:]}))
	k, err := p.SigningKey(ctx, ctx, tpm20.SigningKeyConfig{Wrapped: w})
	require.NoError(t, err)
	for range 8 {
		require.ErrorIs(t, k.Prepare(ctx), tpm20.ErrPCRs)
		_, err = k.Sign(rand.Reader, digest[:], crypto.SHA256)
		require.ErrorIs(t, err, tpm20.ErrPCRs)
	}
}

// What a key can make is what its type and the TPM allow; wrong passwords of a
// guarded key count, and lock the TPM in the end.
func TestSchemesOfKeys(t *testing.T) {
	p := tpmtest.Swtpm(t, tpm.TPM20).Open(t).(*tpm20.TPM)
	ctx := t.Context()
	w, err := p.CreateSigningKey(ctx, tpm20.SigningKeyRequest{ECC: true, Password: []byte("secret")}, tpm20.Auth{})
	require.NoError(t, err)
	require.True(t, w.NeedsPassword())
	k, err := p.SigningKey(ctx, ctx, tpm20.SigningKeyConfig{Wrapped: w})
	require.NoError(t, err)
	require.Equal(t, []tpm20.SignatureScheme{{Scheme: tpm20.ECDSA, Hash: pcr.SHA1}, {Scheme: tpm20.ECDSA, Hash: pcr.SHA256}, {Scheme: tpm20.ECDSA, Hash: pcr.SHA384}, {Scheme: tpm20.ECDSA, Hash: pcr.SHA512}}, k.Schemes())
	require.True(t, k.Guarded())
	pub, err := w.PublicKey()
	require.NoError(t, err)
	require.Equal(t, k.Public(), pub)
	before, err := p.Lockout(ctx)
	require.NoError(t, err)
	require.False(t, before.Locked)
	digest := sha256.Sum256([]byte("message"))
	_, err = k.Sign(rand.Reader, digest[:], crypto.SHA256)
	require.ErrorIs(t, err, tpm20.ErrPassword)
	after, err := p.Lockout(ctx)
	require.NoError(t, err)
	require.Equal(t, before.Left-1, after.Left)
	for range after.Left {
		_, err = k.Sign(rand.Reader, digest[:], crypto.SHA256)
		require.Error(t, err)
	}
	_, err = k.Sign(rand.Reader, digest[:], crypto.SHA256)
	require.ErrorIs(t, err, tpm.ErrLocked)
	after, err = p.Lockout(ctx)
	require.NoError(t, err)
	require.True(t, after.Locked)
	require.NoError(t, k.Close())
}

// A key that is bound to a scheme signs with that alone.
func TestKeyBoundToAScheme(t *testing.T) {
	p := tpmtest.Swtpm(t, tpm.TPM20).Open(t).(*tpm20.TPM)
	ctx := t.Context()
	w, err := p.CreateSigningKey(ctx, tpm20.SigningKeyRequest{ECC: true, Bits: 384, Hash: pcr.SHA384}, tpm20.Auth{})
	require.NoError(t, err)
	k, err := p.SigningKey(ctx, ctx, tpm20.SigningKeyConfig{Wrapped: w})
	require.NoError(t, err)
	require.Equal(t, []tpm20.SignatureScheme{{Scheme: tpm20.ECDSA, Hash: pcr.SHA384}}, k.Schemes())
	s384, s256 := sha512.Sum384([]byte("message")), sha256.Sum256([]byte("message"))
	sig, err := k.Sign(rand.Reader, s384[:], crypto.SHA384)
	require.NoError(t, err)
	verify(t, k.Public(), crypto.SHA384, s384[:], sig, false)
	_, err = k.Sign(rand.Reader, s256[:], crypto.SHA256)
	require.ErrorContains(t, err, "TPM_RC_SCHEME")
	require.NoError(t, k.Close())
	for pss, want := range map[bool]tpm20.Scheme{false: tpm20.RSASSA, true: tpm20.RSAPSS} {
		w, err := p.CreateSigningKey(ctx, tpm20.SigningKeyRequest{Hash: pcr.SHA256, PSS: pss}, tpm20.Auth{})
		require.NoError(t, err)
		k, err := p.SigningKey(ctx, ctx, tpm20.SigningKeyConfig{Wrapped: w})
		require.NoError(t, err)
		require.Equal(t, []tpm20.SignatureScheme{{Scheme: want, Hash: pcr.SHA256}}, k.Schemes())
		require.NoError(t, k.Close())
	}
}
