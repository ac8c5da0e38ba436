package tpm_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/gotnc/gotnc/internal/corpora"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// TestCorporaReplies has a TPM answer everything with libtpms' fuzzing corpus: its
// commands, as they are and with the code of success.
func TestCorporaReplies(t *testing.T) {
	tally := corpora.New(t, "libtpms execute-command", nil)
	for name, b := range corpora.Files(t, "libtpms", "tests", "corpus-execute-command") {
		tally.Run(name, func() {
			for _, asReply := range []bool{false, true} {
				answer(t.Context(), b, asReply)
			}
			_, _ = tpm20.ParseCredential(b)
			_, _ = tpm20.ParseAttest(b)
		})
	}
}

func answer(ctx context.Context, b []byte, asReply bool) {
	x := tpmtest.Func(func(_ context.Context, _ []byte) ([]byte, error) {
		reply := bytes.Clone(b)
		if asReply && len(reply) >= 10 {
			binary.BigEndian.PutUint32(reply[2:], uint32(len(reply)))
			clear(reply[6:10])
		}
		return reply, nil
	})
	p, err := tpm.Open(ctx, x, tpm.Config{Rand: tpmtest.Counter(), Retry: tpm.Retry{
		Sleep: func(context.Context, time.Duration) error { return nil }, Total: time.Millisecond,
	}})
	if err != nil {
		return
	}
	_, _ = p.VersionInfo(ctx)
	_, _ = p.Info(ctx)
	_, _ = p.Banks(ctx)
	_, _ = p.Identity(ctx, tpm.AIK{Handle: tpm20.FirstAKHandle})
	_, _ = p.Quote(ctx, tpm.QuoteRequest{AIK: tpm.AIK{Handle: tpm20.FirstAKHandle}, PCRs: pcr.Select(10), Bank: pcr.SHA256, External: make([]byte, 32)})
}
