package tpm_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"testing"
	"time"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

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
	blob := readTranscript(f, "tpm12-key-quote").Values["blob"]
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
		p, err := tpm.Open(ctx, x, tpm.Config{Rand: tpmtest.Counter(), Retry: tpm.Retry{
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
		req := tpm.QuoteRequest{AIK: tpm.AIK{Handle: tpm20.FirstAKHandle}, PCRs: large, Bank: pcr.SHA256, External: external(32)}
		if p.Generation() == tpm.TPM12 {
			req.AIK, req.Bank, req.External = tpm.AIK{Blob: blob}, pcr.SHA1, external(20)
		}
		_, _ = p.Identity(ctx, req.AIK)
		if q, err := p.Quote(ctx, req); err == nil && (len(q.Signature) == 0 || len(q.Composite) == 0) {
			t.Fatal("a quote without signature")
		}
		_, _ = p.ReadPCRs(ctx, req.Bank, large)
		switch p := p.(type) {
		case *tpm20.TPM:
			_, _ = p.PersistentHandles(ctx)
			_, _ = p.EndorsementKey(ctx, tpm20.RSA, tpm20.Auth{})
			_, _ = p.CreateAK(ctx, tpm20.AKRequest{}, tpm20.Auth{})
			_, _ = p.Sign(ctx, tpm20.FirstAKHandle, []byte("x"))
		case *tpm12.TPM:
			_, _ = p.EndorsementKey(ctx, tpmtest.Owner12)
			_, _ = p.MakeIdentity(ctx, tpmtest.Owner12, tpm12.IdentityTemplate{})
		}
		_ = p.Close()
	})
}
