package tpm_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

func FuzzKeyBlob(f *testing.F) {
	b := seedBlob(f)
	f.Add(b)
	f.Add(append([]byte{0, 0x28, 0, 0}, b[4:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := tpm.ParseKeyBlob(wire.NewReader("AIK blob", b))
		if err != nil {
			return
		}
		out, err := k.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, b, out)
		if pub, err := k.PublicKey(); err == nil {
			_, err := x509.MarshalPKIXPublicKey(pub)
			require.NoError(t, err)
		}
		pubkey, err := tpm.ParsePubkey(wire.NewReader("TPM_PUBKEY", k.Pubkey()))
		require.NoError(t, err)
		require.Equal(t, k.Modulus, pubkey.Modulus)
	})
}

func FuzzAttest(f *testing.F) {
	f.Add(unhex(f, attestVector))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := tpm.ParseAttest(wire.NewReader("TPMS_ATTEST", b))
		if err != nil {
			return
		}
		out, err := a.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, b, out)
	})
}

func FuzzCapVersionInfo(f *testing.F) {
	f.Add(unhex(f, "0030 0102 129e 0002 03 49424d00 0003 aabbcc"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := tpm.ParseCapVersionInfo(wire.NewReader("TPM_CAP_VERSION_INFO", b))
		if err != nil {
			return
		}
		out, err := v.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, b, out)
	})
}

func FuzzCredential(f *testing.F) {
	f.Add(unhex(f, "badcc0de 00000001 0003 010203 0002 0405"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := tpm.ParseCredential(wire.NewReader("credential", b))
		if err != nil {
			return
		}
		out, err := c.AppendBinary(nil)
		require.NoError(t, err)
		require.Equal(t, b, out)
	})
}

func FuzzCheckAK(f *testing.F) {
	for _, name := range []string{"tpm20-rsassa-sha256", "tpm20-ecdsa-sha256", "tpm20-rsapss-sha256"} {
		for _, e := range readTranscript(f, name).Exchanges {
			if binary.BigEndian.Uint32(e[0][6:]) == 0x173 { // TPM2_ReadPublic
				f.Add(e[1][12 : 12+binary.BigEndian.Uint16(e[1][10:])])
			}
		}
	}
	f.Fuzz(func(t *testing.T, area []byte) {
		key, name, err := tpm.CheckAK(area)
		if err == nil && (key == nil || len(name) < 2) {
			t.Fatal("a key without a name")
		}
	})
}

// FuzzReplies is a TPM that answers whatever it likes, to everything that an
// attestation and the making of a key ask it.
func FuzzReplies(f *testing.F) {
	for _, c := range cases() {
		var b []byte
		for _, e := range readTranscript(f, c.name).Exchanges {
			b = append(binary.BigEndian.AppendUint16(b, uint16(len(e[1]))), e[1]...)
		}
		f.Add(b)
	}
	blob := seedBlob(f)
	f.Fuzz(func(t *testing.T, replies []byte) {
		x := tpmtest.Func(func(_ context.Context, _ []byte) ([]byte, error) {
			if len(replies) < 2 {
				return nil, io.EOF
			}
			n := min(int(binary.BigEndian.Uint16(replies)), len(replies)-2)
			reply := bytes.Clone(replies[2 : 2+n])
			replies = replies[2+n:]
			if n >= 6 && reply[2] == 0xff { // most mutations of lengths should pass the frame
				binary.BigEndian.PutUint32(reply[2:], uint32(n))
			}
			return reply, nil
		})
		ctx := t.Context()
		p, err := tpm.OpenWith(ctx, x, tpm.Options{Rand: tpmtest.Counter(), Retry: tpm.Retry{
			Sleep: func(context.Context, time.Duration) error { return nil }, Total: time.Millisecond,
		}})
		if err != nil {
			return
		}
		if v, err := p.VersionInfo(ctx); err == nil && len(v) < 15 {
			t.Fatal("version information too short")
		}
		_, _ = p.Info(ctx)
		_, _ = p.Banks(ctx)
		req := tpm.QuoteRequest{AIK: tpm.AIK{Handle: tpm.FirstAKHandle}, PCRs: large, Bank: pcr.SHA256, External: external(32)}
		if p.Generation() == tpm.TPM12 {
			req.AIK, req.Bank, req.External = tpm.AIK{Blob: blob}, pcr.SHA1, external(20)
		}
		_, _ = p.Identity(ctx, req.AIK)
		if q, err := p.Quote(ctx, req); err == nil && (len(q.Signature) == 0 || len(q.Composite) == 0) {
			t.Fatal("a quote without signature")
		}
		_, _ = p.ReadPCRs(ctx, req.Bank, large)
		switch p := p.(type) {
		case *tpm.V20:
			_, _ = p.PersistentHandles(ctx)
			_, _ = p.EndorsementKey(ctx, tpm.RSA, noAuth)
			_, _ = p.CreateAK(ctx, tpm.RSA, tpm.KeyTemplate{}, 0, false, noAuth)
			_, _ = p.Sign(ctx, tpm.FirstAKHandle, []byte("x"))
		case *tpm.V12:
			_, _ = p.EndorsementKey(ctx, tpmtest.Owner12)
			_, _ = p.MakeIdentity(ctx, tpmtest.Owner12, tpm.IdentityTemplate{})
		}
		_ = p.Close()
	})
}
