package pttls

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// waiting is how many messages are read ahead. A server may send while we do
// (full duplex, §3.2); where both ends wrote and nobody read, both would stand still.
const waiting = 4

// Run carries one session, from its first batch to the end of the connection,
// which it closes. What the server decided stands in the session. The error says
// why the session did not come to its regular end: a *ProtocolError, a
// *PeerError, an error of s, or of the network.
func (c *Conn) Run(ctx context.Context, s Session) error {
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	c.tnc.Info("entering PT-TLS data transport phase")
	in, quit := make(chan incoming, waiting), make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.read(in, quit)
	}()
	err := c.transport(in, s)
	close(quit)
	_ = c.Close()
	<-ended
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// incoming is what the reader found: a message or why there is none.
type incoming struct {
	m   Message
	err error
}

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

func (c *Conn) transport(in <-chan incoming, s Session) error {
	if u, ok := s.(interface{ SetTLSUnique([]byte) }); ok {
		u.SetTLSUnique(c.info.Unique) // for IMCs that bind evidence to the channel
	}
	batch, err := s.Begin(MaxBatch, TransportProtocol, TransportVersion)
	if err != nil {
		return fmt.Errorf("begin the TNC session: %w", err)
	}
	for {
		if len(batch) > 0 {
			_ = c.tls.SetWriteDeadline(time.Now().Add(c.cfg.idle()))
			if err := c.write(Message{Type: TypeBatch, Value: batch}); err != nil {
				return c.lost("send a batch", err)
			}
		}
		if s.Done() {
			if len(batch) > 0 { // CLOSE was ours: the server may still be busy with it
				c.finish(in)
			}
			return nil
		}
		m, err := c.await(in)
		if err != nil {
			return err
		}
		if batch, err = c.take(m, s); err != nil {
			return err
		}
	}
}

// await waits for the next message.
func (c *Conn) await(in <-chan incoming) (Message, error) {
	t := time.NewTimer(c.cfg.idle())
	defer t.Stop()
	select {
	case i := <-in:
		if i.err == nil {
			logMessage(c.tnc, "received", i.m)
			return i.m, nil
		}
		var pe *ProtocolError
		if errors.As(i.err, &pe) {
			return Message{}, c.refuse(pe)
		}
		return Message{}, c.lost("wait for a batch", i.err)
	case <-t.C:
		return Message{}, fmt.Errorf("the PT-TLS server did not answer within %v", c.cfg.idle())
	}
}

// lost words the end of the connection before that of the session.
func (c *Conn) lost(doing string, err error) error {
	var alert *net.OpError
	switch {
	case errors.As(err, &alert) && alert.Op == "remote error":
		return fmt.Errorf("the PT-TLS server ended TLS: %w", err)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the PT-TLS server closed the connection before the assessment was over: %w", io.ErrUnexpectedEOF)
	}
	return fmt.Errorf("PT-TLS: %s: %w", doing, err)
}

// refuse reports an error and ends the connection.
func (c *Conn) refuse(pe *ProtocolError) error {
	c.tnc.Error(pe.Error())
	_ = c.tls.SetWriteDeadline(time.Now().Add(closeGrace))
	if c.write(report(pe.Report)) == nil {
		c.shut()
	}
	return pe
}

// take handles one message of the data transport phase.
func (c *Conn) take(m Message, s Session) (reply []byte, err error) {
	switch {
	case m.Is(TypeBatch):
		reply, err := s.Receive(m.Value)
		if err != nil {
			return nil, fmt.Errorf("TNC session: %w", err)
		}
		return reply, nil
	case m.Is(TypeError):
		return nil, received(c.tnc, m)
	case m.Vendor != 0 || m.Type > TypeError:
		c.tnc.Info("ignoring PT-TLS message of unknown type " + m.Name())
		if c.ignored++; c.ignored > maxIgnored {
			return nil, c.refuse(refuse(CodeInvalidMessage, m, fmt.Errorf("more than %d messages of unknown types", maxIgnored)))
		}
		if err := c.write(report(refuse(CodeTypeNotSupported, m, nil).Report)); err != nil {
			return nil, c.lost("send an error", err)
		}
		return nil, nil
	}
	return nil, c.refuse(refuse(CodeInvalidMessage, m, fmt.Errorf("%s message during %s", m.Type, transporting)))
}

// finish lets the server close after CLOSE.
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
