package tpm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Tags of commands and replies.
const (
	tag20NoSessions = 0x8001
	tag20Sessions   = 0x8002
	tag12Request    = 0x00c1
	tag12Auth1      = 0x00c2
	tag12Auth2      = 0x00c3
	tag12Reply      = 0x00c4
)

// Open asks the TPM behind the transport which generation it is and returns
// it: a *V20 or a *V12. The TPM owns the transport from here on, also where
// Open fails.
//
// A TPM that was not started, as an emulator is after it was run by hand, is
// started (TPM2_Startup, TPM_Startup with clear state); firmware and kernel do
// that for a TPM of hardware.
func Open(ctx context.Context, t Transport) (TPM, error) { return OpenWith(ctx, t, Options{}) }

// Options change how a TPM is spoken to; the zero value is what Open uses.
type Options struct {
	// Retry is how a busy TPM is asked again.
	Retry Retry
	// Rand fills in the nonces of a TPM 1.2's sessions; nil is crypto/rand. A
	// transcript replays only with the nonces that it was recorded with.
	Rand func([]byte)
}

// OpenWith is Open with options.
func OpenWith(ctx context.Context, t Transport, o Options) (_ TPM, err error) {
	defer func() {
		if err != nil {
			t.Close()
		}
	}()
	c := &conn{t: t, retry: o.Retry.withDefaults()}
	gen, err := probe(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open TPM: %w", err)
	}
	c.gen = gen
	if gen == TPM20 {
		v := &V20{c: c}
		if err := v.start(ctx); err != nil {
			return nil, fmt.Errorf("open TPM: %w", err)
		}
		return v, nil
	}
	v := &V12{c: c, rand: o.Rand}
	if err := v.start(ctx); err != nil {
		return nil, fmt.Errorf("open TPM: %w", err)
	}
	return v, nil
}

// probe finds the generation by the tag of the reply to a command of TPM 2.0:
// a TPM 1.2 answers with its own tag, TPM_TAG_RSP_COMMAND, and TPM_BADTAG
// (TPM Library Part 3 §5.2: a 2.0 answers even a bad tag so).
func probe(ctx context.Context, c *conn) (Generation, error) {
	reply, err := c.t.Exchange(ctx, getCapability20(capTPMProperties, propManufacturer, 1))
	if err != nil {
		return 0, err
	}
	if _, err := replyCode(reply); err != nil {
		return 0, err
	}
	switch tag := binary.BigEndian.Uint16(reply); tag {
	case tag20NoSessions:
		return TPM20, nil
	case tag12Reply:
		return TPM12, nil
	default:
		return 0, fmt.Errorf("%w: unknown tag 0x%04x", ErrReply, tag)
	}
}

// start starts a TPM that says that it was not.
func (t *V20) start(ctx context.Context) error {
	_, err := t.c.send(ctx, "TPM2_GetCapability", getCapability20(capTPMProperties, propManufacturer, 1))
	var re *ResponseError
	if !errors.As(err, &re) || re.Code != rc20Initialize {
		return err
	}
	_, err = t.c.send(ctx, "TPM2_Startup", []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0})
	return err
}

func (t *V12) start(ctx context.Context) error {
	_, err := t.versionInfo(ctx)
	var re *ResponseError
	if !errors.As(err, &re) || re.Code != rc12InvalidPostInit {
		return err
	}
	_, err = t.c.send(ctx, "TPM_Startup", command12(ordStartup, wire.AppendU16(nil, 1)))
	return err
}
