package tpm

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Config says how a TPM is spoken to. The zero value is right for every TPM.
type Config struct {
	// Retry is how a busy TPM is asked again.
	Retry Retry
	// Rand is the source of the nonces of a TPM 1.2's sessions; nil means
	// crypto/rand. A transcript replays only with the nonces that it was
	// recorded with.
	Rand io.Reader
}

// Open asks the TPM behind the transport for its generation and returns it as a
// *tpm20.TPM or a *tpm12.TPM. The TPM owns the transport, which Open closes
// where it fails.
//
// A TPM that was not started, as an emulator is after it was run by hand, is
// started (TPM2_Startup, TPM_Startup with clear state); firmware and kernel do
// that for a TPM of hardware.
func Open(ctx context.Context, t Transport, cfg Config) (TPM, error) {
	p, err := open(ctx, t, cfg)
	if err != nil {
		t.Close()
		return nil, fmt.Errorf("open TPM: %w", err)
	}
	return p, nil
}

func open(ctx context.Context, t Transport, cfg Config) (TPM, error) {
	gen, err := probe(ctx, t)
	if err != nil {
		return nil, err
	}
	if gen == TPM20 {
		p := tpm20.New(t, tpm20.Config{Retry: cfg.Retry})
		return p, p.Start(ctx)
	}
	p := tpm12.New(t, tpm12.Config{Retry: cfg.Retry, Rand: cfg.Rand})
	return p, p.Start(ctx)
}

// probeCommand is TPM2_GetCapability of one TPM_CAP_TPM_PROPERTIES:
// TPM_PT_MANUFACTURER.
var probeCommand = []byte{0x80, 0x01, 0, 0, 0, 22, 0, 0, 0x01, 0x7a, 0, 0, 0, 6, 0, 0, 0x01, 0x05, 0, 0, 0, 1}

// Tags of the replies of the two generations.
const (
	tagReply20 = 0x8001 // TPM_ST_NO_SESSIONS
	tagReply12 = 0x00c4 // TPM_TAG_RSP_COMMAND
)

// probe finds the generation by the tag of the reply to a command of TPM 2.0: a
// TPM 1.2 answers TPM_BADTAG with a tag of its own (TPM Library Part 3 section
// 5.2: a TPM 2.0 answers even a bad tag so).
func probe(ctx context.Context, t Transport) (Generation, error) {
	reply, err := t.Exchange(ctx, probeCommand)
	if err != nil {
		return 0, err
	}
	if _, err := command.ReplyCode(reply); err != nil {
		return 0, err
	}
	switch tag := binary.BigEndian.Uint16(reply); tag {
	case tagReply20:
		return TPM20, nil
	case tagReply12:
		return TPM12, nil
	default:
		return 0, fmt.Errorf("%w: unknown tag 0x%04x", ErrReply, tag)
	}
}
