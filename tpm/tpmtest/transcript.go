package tpmtest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gotnc/gotnc/tpm"
)

// Recorder is a transport that records the exchanges of another one.
type Recorder struct {
	tpm.Transport
	Log Transcript
}

// Exchange forwards the command and records it with its reply.
func (r *Recorder) Exchange(ctx context.Context, command []byte) ([]byte, error) {
	reply, err := r.Transport.Exchange(ctx, command)
	if err == nil {
		r.Log.Exchanges = append(r.Log.Exchanges, [2][]byte{bytes.Clone(command), bytes.Clone(reply)})
	}
	return reply, err
}

// Transcript is a recorded conversation with a TPM, with named values such as the
// key that verifies its quotes. As a file it is lines of text: "name hex",
// "> command", "< reply", in hex.
type Transcript struct {
	Values    map[string][]byte
	Exchanges [][2][]byte
}

// MarshalText returns the lines, with the values in the order of names.
func (t *Transcript) MarshalText(names ...string) []byte {
	var b bytes.Buffer
	for _, n := range names {
		fmt.Fprintf(&b, "%s %x\n", n, t.Values[n])
	}
	for _, e := range t.Exchanges {
		fmt.Fprintf(&b, "> %x\n< %x\n", e[0], e[1])
	}
	return b.Bytes()
}

// Write writes the transcript to a file.
func (t *Transcript) Write(path string, names ...string) error {
	return os.WriteFile(path, t.MarshalText(names...), 0o644)
}

// ReadTranscript reads the file.
func ReadTranscript(path string) (*Transcript, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	t := &Transcript{Values: map[string][]byte{}}
	for i, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		name, text, _ := strings.Cut(line, " ")
		v, err := hex.DecodeString(text)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, i+1, err)
		}
		switch name {
		case ">":
			t.Exchanges = append(t.Exchanges, [2][]byte{v, nil})
		case "<":
			if len(t.Exchanges) == 0 {
				return nil, fmt.Errorf("%s:%d: a reply without a command", path, i+1)
			}
			t.Exchanges[len(t.Exchanges)-1][1] = v
		default:
			t.Values[name] = v
		}
	}
	return t, nil
}

// ErrDiffers is the error of a replayed transport for a command other than the
// recorded one.
var ErrDiffers = errors.New("the command differs from the recorded one")

// Replay returns a transport that answers as recorded.
func (t *Transcript) Replay() tpm.Transport { return &replayer{t: t} }

type replayer struct {
	t    *Transcript
	next int
}

func (r *replayer) Exchange(_ context.Context, command []byte) ([]byte, error) {
	if r.next >= len(r.t.Exchanges) {
		return nil, fmt.Errorf("%w: there are no more after %d", ErrDiffers, r.next)
	}
	e := r.t.Exchanges[r.next]
	if !bytes.Equal(e[0], command) {
		return nil, fmt.Errorf("%w: number %d is %x, recorded %x", ErrDiffers, r.next, command, e[0])
	}
	r.next++
	return bytes.Clone(e[1]), nil
}

func (r *replayer) Close() error { return nil }

// Counter returns a source of nonces that is the same in every run, for
// tpm.Config.Rand: its nth read gives octets n.
func Counter() io.Reader { return new(counter) }

type counter byte

func (c *counter) Read(b []byte) (int, error) {
	*c++
	for i := range b {
		b[i] = byte(*c)
	}
	return len(b), nil
}

// Func is a transport whose replies a function makes.
type Func func(ctx context.Context, command []byte) ([]byte, error)

// Exchange calls the function.
func (f Func) Exchange(ctx context.Context, command []byte) ([]byte, error) { return f(ctx, command) }

// Close does nothing.
func (f Func) Close() error { return nil }

// Busy returns a transport that answers the first n commands of an ordinal (any,
// where it is 0) with a response code, as a busy TPM does, and forwards the
// others to t.
func Busy(t tpm.Transport, ordinal uint32, code uint32, n int) tpm.Transport {
	return &busy{Transport: t, ordinal: ordinal, code: code, n: n}
}

type busy struct {
	tpm.Transport
	ordinal, code uint32
	n             int
}

func (b *busy) Exchange(ctx context.Context, command []byte) ([]byte, error) {
	if b.n > 0 && len(command) >= 10 && (b.ordinal == 0 || uint32(command[6])<<24|uint32(command[7])<<16|uint32(command[8])<<8|uint32(command[9]) == b.ordinal) {
		b.n--
		tag := []byte{0x80, 0x01}
		if command[0] == 0 {
			tag = []byte{0, 0xc4}
		}
		return append(tag, 0, 0, 0, 10, byte(b.code>>24), byte(b.code>>16), byte(b.code>>8), byte(b.code)), nil
	}
	return b.Transport.Exchange(ctx, command)
}
