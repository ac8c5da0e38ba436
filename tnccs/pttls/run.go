package pttls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
)

// readAhead is the number of messages that are read ahead. A server may send at
// any time (full duplex, RFC 6876 section 3.2); if both ends wrote and none read,
// both would block.
const readAhead = 4

// Run carries one session, from its first batch to the end of the connection,
// which it closes. The session holds the decision of the server. An error is the
// cause of an irregular end: a *ProtocolError, a *PeerError, an error of s, or of
// the network. A Lasting session that rests ends without an error, by the server
// or by ctx. A Lasting session that ctx interrupts earlier is closed in order too.
func (c *Conn) Run(ctx context.Context, s Session) error {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.tls.SetDeadline(time.Now().Add(closeGrace)) })
	defer stop()
	c.tnc.Info("entering PT-TLS data transport phase")
	in, quit := make(chan incoming, readAhead), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.read(in, quit)
	}()
	err := c.transport(ctx, in, s)
	close(quit)
	_ = c.Close()
	<-ended
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// incoming is a message, or the error of reading one.
type incoming struct {
	m   Message
	err error
}

// read passes messages to in until an error or until quit is closed.
func (c *Conn) read(in chan<- incoming, quit <-chan struct{}) {
	for {
		m, err := ReadMessage(c.tls, MaxMessageSize)
		select {
		case in <- incoming{m, err}:
		case <-quit:
			return
		}
		if err != nil {
			return
		}
	}
}

// transport runs the data transport phase.
func (c *Conn) transport(ctx context.Context, in <-chan incoming, s Session) error {
	if u, ok := s.(interface{ SetTLSUnique([]byte) }); ok {
		u.SetTLSUnique(c.info.Unique) // for IMCs that bind evidence to the channel
	}
	batch, err := s.Begin(MaxBatch, TransportProtocol, TransportVersion)
	if err != nil {
		return fmt.Errorf("begin the TNC session: %w", err)
	}
	for {
		if err := c.batch(ctx, batch); err != nil {
			return err
		}
		if s.Done() {
			if len(batch) > 0 { // this end sent CLOSE, which the server may still handle
				c.finish(in)
			}
			return nil
		}
		if batch, err = c.await(ctx, in, s); errors.Is(err, errIdleClosed) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// batch sends a batch; an empty one is none.
func (c *Conn) batch(ctx context.Context, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	_ = c.tls.SetWriteDeadline(time.Now().Add(c.cfg.idle()))
	if ctx.Err() != nil {
		_ = c.tls.SetWriteDeadline(time.Now().Add(closeGrace))
	}
	if err := c.write(Message{Type: TypeBatch, Value: b}); err != nil {
		return c.lost("send a batch", err)
	}
	return nil
}

// errIdleClosed ends an idle session without error.
var errIdleClosed = errors.New("the session ended while it was idle")

// await waits for a message of the server, for a request of this end, or for the
// end of ctx, and returns the batch to send.
func (c *Conn) await(ctx context.Context, in <-chan incoming, s Session) ([]byte, error) {
	last, lasts := s.(Lasting)
	rests := lasts && last.Resting()
	var wanted <-chan struct{}
	var late <-chan time.Time
	if rests {
		wanted = last.Wanted()
	} else {
		t := time.NewTimer(c.cfg.idle())
		defer t.Stop()
		late = t.C
	}
	select {
	case i := <-in:
		if i.err == nil {
			logMessage(c.tnc, "received", i.m)
			return c.handle(i.m, s)
		}
		var pe *ProtocolError
		if errors.As(i.err, &pe) {
			return nil, c.refuse(pe)
		}
		if rests && hungUp(i.err) {
			// RFC 5793 section 3.2: the end of the transport ends the session in any state.
			c.tnc.Info("the PT-TLS server closed the connection")
			last.End()
			return nil, errIdleClosed
		}
		return nil, c.lost("wait for a batch", i.err)
	case <-wanted:
		b, err := last.Poll()
		if err != nil {
			return nil, fmt.Errorf("TNC session: %w", err)
		}
		return b, nil
	case <-late:
		return nil, fmt.Errorf("the PT-TLS server did not answer within %v", c.cfg.idle())
	case <-ctx.Done():
		if lasts {
			if err := c.batch(ctx, last.End()); err == nil {
				c.finish(in)
			}
		}
		if rests {
			return nil, errIdleClosed
		}
		return nil, ctx.Err()
	}
}

// hungUp reports whether the other end closed the connection, with data of this
// end unread or not.
func hungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// lost returns the error of a connection that ended before its session.
func (c *Conn) lost(doing string, err error) error {
	var alert *net.OpError
	switch {
	case errors.As(err, &alert) && alert.Op == "remote error":
		return fmt.Errorf("the PT-TLS server ended TLS: %w", err)
	case hungUp(err):
		return fmt.Errorf("the PT-TLS server closed the connection before the assessment was over: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("PT-TLS: %s: %w", doing, err)
}

// refuse reports an error and ends the connection.
func (c *Conn) refuse(pe *ProtocolError) error {
	log.Errorf(c.tnc, "%v", pe)
	_ = c.tls.SetWriteDeadline(time.Now().Add(closeGrace))
	if c.write(report(pe.Report)) == nil {
		c.shut()
	}
	return pe
}

// handle handles one message of the data transport phase.
func (c *Conn) handle(m Message, s Session) (reply []byte, err error) {
	switch {
	case m.Is(TypeBatch):
		c.ignored = 0
		reply, err := s.Receive(m.Value)
		if err != nil {
			return nil, fmt.Errorf("TNC session: %w", err)
		}
		return reply, nil
	case m.Is(TypeError):
		if err := received(c.tnc, m); err != nil {
			return nil, err
		}
		return nil, c.ignore(m)
	case m.Vendor != 0 || m.Type > TypeError:
		log.Infof(c.tnc, "ignoring PT-TLS message of unknown type %s", m.Name())
		if err := c.ignore(m); err != nil {
			return nil, err
		}
		if err := c.write(report(refuse(CodeTypeNotSupported, m, nil).Report)); err != nil {
			return nil, c.lost("send an error", err)
		}
		return nil, nil
	}
	return nil, c.refuse(refuse(CodeInvalidMessage, m, fmt.Errorf("%s message during %s", m.Type, transporting)))
}

// ignore counts the messages without a batch, of which too many are an error: each
// restarts the idle timeout.
func (c *Conn) ignore(m Message) error {
	if c.ignored++; c.ignored <= maxIgnored {
		return nil
	}
	pe := refuse(CodeInvalidMessage, m, fmt.Errorf("more than %d messages of unknown types and errors without a batch", maxIgnored))
	if m.Is(TypeError) {
		return pe // an error is never answered with one
	}
	return c.refuse(pe)
}

// finish waits until the server closes the connection after CLOSE.
func (c *Conn) finish(in <-chan incoming) {
	t := time.NewTimer(closeGrace)
	defer t.Stop()
	for {
		select {
		case i := <-in:
			if i.err != nil {
				return // closed, in order or not: the session is over
			}
		case <-t.C:
			return
		}
	}
}
