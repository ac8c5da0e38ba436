package device

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/command"
)

// frame delimits commands and replies in an octet stream.
type frame interface {
	write(w io.Writer, cmd []byte) error
	read(r io.Reader) ([]byte, error)
	// bye returns what a client sends before it closes, nil for nothing.
	bye() []byte
}

// stream is an emulator on a socket.
type stream struct {
	c       net.Conn
	f       frame
	timeout time.Duration
	dead    error // why the transport is unusable; nil while it is good
}

func newStream(c net.Conn, f frame, timeout time.Duration) *stream {
	return &stream{c: c, f: f, timeout: timeout}
}

// Exchange sends one command and reads its reply.
func (s *stream) Exchange(ctx context.Context, cmd []byte) ([]byte, error) {
	if s.dead != nil {
		return nil, fmt.Errorf("%w: after: %w", tpm.ErrGone, s.dead)
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx) // nothing was sent: the stream stays usable
	}
	if err := s.c.SetDeadline(time.Now().Add(s.timeout)); err != nil {
		return nil, s.die(err)
	}
	stop := context.AfterFunc(ctx, func() { s.c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	reply, err := s.exchange(cmd)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", tpm.ErrTimeout, context.Cause(ctx))
		} else if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("%w: %v passed", ErrSilent, s.timeout)
		} else if !errors.Is(err, tpm.ErrReply) {
			err = fmt.Errorf("%w: %w", tpm.ErrGone, err)
		}
		return nil, s.die(err)
	}
	return reply, nil
}

func (s *stream) exchange(cmd []byte) ([]byte, error) {
	if err := s.f.write(s.c, cmd); err != nil {
		return nil, err
	}
	return s.f.read(s.c)
}

// die closes the connection and records why.
func (s *stream) die(err error) error {
	if s.dead == nil {
		s.dead = err
		s.c.Close()
	}
	return err
}

// Close ends the connection.
func (s *stream) Close() error {
	if s.dead != nil {
		return nil
	}
	s.dead = errors.New("closed")
	if b := s.f.bye(); b != nil {
		s.c.SetWriteDeadline(time.Now().Add(time.Second))
		s.c.Write(b)
	}
	return s.c.Close()
}

// plainFrame is swtpm's frame: none. The length field of their header delimits
// commands and replies.
type plainFrame struct{}

func (plainFrame) bye() []byte { return nil }

func (plainFrame) write(w io.Writer, cmd []byte) error {
	_, err := w.Write(cmd)
	return err
}

func (plainFrame) read(r io.Reader) ([]byte, error) {
	head := make([]byte, command.HeaderLen)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[2:])
	if n < command.HeaderLen || n > command.MaxReply {
		return nil, fmt.Errorf("%w: it claims a length of %d octets", tpm.ErrReply, n)
	}
	reply := make([]byte, n)
	copy(reply, head)
	if _, err := io.ReadFull(r, reply[command.HeaderLen:]); err != nil {
		return nil, err
	}
	return reply, nil
}

// Commands of the reference simulator's protocol (TPM Library Part 4,
// TpmTcpProtocol.h), each u32.
const (
	simPowerOn     = 1
	simSendCommand = 8
	simNVOn        = 11
	simSessionEnd  = 20
)

// simFrame is the frame of the reference simulator:
//
//	u32 8 | u8 locality | u32 n, command   ->   u32 n, reply | u32 0
type simFrame struct{}

func (simFrame) bye() []byte { return binary.BigEndian.AppendUint32(nil, simSessionEnd) }

func (simFrame) write(w io.Writer, cmd []byte) error {
	b := binary.BigEndian.AppendUint32(nil, simSendCommand)
	b = append(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(cmd)))
	_, err := w.Write(append(b, cmd...))
	return err
}

func (simFrame) read(r io.Reader) ([]byte, error) {
	n, err := readU32(r)
	if err != nil {
		return nil, err
	}
	if n < command.HeaderLen || n > command.MaxReply {
		return nil, fmt.Errorf("%w: it claims a length of %d octets", tpm.ErrReply, n)
	}
	reply := make([]byte, n)
	if _, err := io.ReadFull(r, reply); err != nil {
		return nil, err
	}
	if code, err := readU32(r); err != nil {
		return nil, err
	} else if code != 0 {
		return nil, fmt.Errorf("%w: the simulator reports error %d", tpm.ErrReply, code)
	}
	return reply, nil
}

func readU32(r io.Reader) (uint32, error) {
	var b [4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(b[:]), nil
}

// checkSimulator returns an error for an address that the simulator cannot have.
func (a address) checkSimulator() error {
	if a.path != "" {
		return errors.New("plugins.tpm.tcti.opts: mssim has no option path: it needs host and port")
	}
	return nil
}

// openSimulator connects to the reference simulator: power and non-volatile
// memory are turned on over the platform port, one above the command port.
func openSimulator(ctx context.Context, a address, timeout time.Duration) (tpm.Transport, error) {
	c, err := a.dial(ctx, 0)
	if err != nil {
		return nil, err
	}
	if err := powerOn(ctx, a, timeout); err != nil {
		c.Close()
		return nil, err
	}
	return newStream(c, simFrame{}, timeout), nil
}

func powerOn(ctx context.Context, a address, timeout time.Duration) error {
	p, err := a.dial(ctx, 1)
	if err != nil {
		return fmt.Errorf("platform port: %w", err)
	}
	defer p.Close()
	if err := p.SetDeadline(time.Now().Add(min(timeout, dialTimeout))); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { p.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	for _, cmd := range []uint32{simPowerOn, simNVOn} {
		if _, err := p.Write(binary.BigEndian.AppendUint32(nil, cmd)); err != nil {
			return fmt.Errorf("platform port: %w: %w", tpm.ErrGone, err)
		}
		code, err := readU32(p)
		if err != nil {
			return fmt.Errorf("platform port: %w: %w", tpm.ErrGone, err)
		}
		if code != 0 {
			return fmt.Errorf("platform port: %w: command %d fails with %d", tpm.ErrReply, cmd, code)
		}
	}
	_, err = p.Write(binary.BigEndian.AppendUint32(nil, simSessionEnd))
	return err
}
