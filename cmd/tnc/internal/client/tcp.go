package client

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/transport"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Words of tnc.encap_tcp.
const (
	tcpAlways = "yes"
	tcpNever  = "no"
)

// Transports of IKE and ESP, as Status and Result name them.
const (
	TransportUDP = "udp"
	TransportTCP = "tcp"
)

// transport names what carries IKE and ESP; "" before anything was opened.
func (c *Client) transport() string {
	switch sock := c.sock.Load(); {
	case sock == nil:
		return ""
	case sock.TCP():
		return TransportTCP
	}
	return TransportUDP
}

// FallbackError is a gateway that answers neither over UDP nor over TCP. Err is why
// not over UDP, TCP why not over TCP.
type FallbackError struct{ Err, TCP error }

func (e *FallbackError) Error() string { return e.Err.Error() }
func (e *FallbackError) Unwrap() error { return e.Err }

// overTCP is the endpoint as it is reached over TCP.
func (c *Client) overTCP(e endpoint) endpoint {
	e.tcp, e.remote = true, netip.AddrPortFrom(e.remote.Addr(), c.profile.Charon.TCPPort)
	return e
}

// tryBoth tries an address over UDP and, where it does not answer for a while, over
// TCP, as tnc.encap_tcp says (RFC 9329 section 5.1).
func (r *round) tryBoth(ctx context.Context, e endpoint, patience time.Duration) (done bool, err error) {
	mode, after := r.profile.Charon.EncapTCP, r.profile.Charon.TCPAfter
	switch mode {
	case tcpAlways:
		return r.try(ctx, r.overTCP(e), patience)
	case tcpNever:
		return r.try(ctx, e, patience)
	}
	if info := r.plane.Info(); info.Carries && !info.UDPOnly {
		return r.try(ctx, e, patience) // the kernel carries no ESP over TCP
	}
	quick := patience
	if quick == 0 || quick > after {
		quick = after
	}
	udp := len(r.slow)
	if done, err = r.try(ctx, e, quick); done || len(r.attempts) == 0 || !unanswered(r.attempts[len(r.attempts)-1].err) {
		return done, err
	}
	failed := r.attempts[len(r.attempts)-1]
	over := r.overTCP(e)
	log.Infof(log.Group(r.logger, log.NET), "no answer over UDP, trying TCP port %d", over.remote.Port())
	if done, err = r.try(ctx, over, patience); done {
		return done, err
	}
	// One attempt tells of both, where UDP gets its full time or has had it.
	r.state.update(func(res *Result) { res.Gateway = e.remote })
	tcp := r.attempts[len(r.attempts)-1].err
	r.attempts = r.attempts[:len(r.attempts)-1]
	if len(r.slow) > udp && r.slow[len(r.slow)-1].tcp {
		r.slow = r.slow[:len(r.slow)-1]
	}
	failed.err = &FallbackError{failed.err, tcp}
	r.attempts = replaceAttempt(r.attempts, failed)
	if len(r.slow) > udp {
		r.tcp = map[netip.Addr]error{e.remote.Addr(): tcp}
	}
	return false, nil
}

// unanswered reports whether an attempt ended without any answer.
func unanswered(err error) bool {
	var silent *ike.NoAnswerError
	return errors.Is(err, errSilent) || errors.As(err, &silent)
}

// udpTicker ticks while the gateway is reached over TCP because UDP got no answer.
func (a *attempt) udpTicker() (<-chan time.Time, func()) {
	if !a.to.tcp || !a.cfg.Stay || a.profile.Charon.EncapTCP == tcpAlways || a.profile.Charon.UDPAgain <= 0 {
		return nil, func() {}
	}
	t := time.NewTicker(a.profile.Charon.UDPAgain)
	return t.C, t.Stop
}

// tryUDP makes a new IKE_SA over UDP, which takes over where UDP works again.
func (a *attempt) tryUDP(ctx context.Context) {
	if a.running != 1 || !a.sock.Load().TCP() {
		return
	}
	sock, err := a.openUDP(netip.AddrPortFrom(a.to.remote.Addr(), a.profile.Connection.RemotePort), a.to.local)
	if err == nil {
		log.Infof(log.Group(a.logger, log.NET), "trying whether UDP works again")
		if err = a.begin(ctx, sock, false); err == nil {
			a.udp, a.udpSilent = sock, time.After(a.quickAnswer)
			return
		}
		_ = sock.Close()
	}
	log.Infof(log.Group(a.logger, log.NET), "not trying UDP: %v", err)
}

// endUDPIfSilent ends the try of UDP where nothing has come.
func (a *attempt) endUDPIfSilent() {
	a.udpSilent = nil
	if a.udp != nil && a.udp.Stats().BytesReceived == 0 {
		a.udp.Stop()
	}
}

// useSocket makes a socket the one that carries the packets: that of the IKE_SA that
// takes over. The caller holds events.
func (c *Client) useSocket(sock *transport.Conn) {
	before := c.sock.Load()
	if sock == before {
		return
	}
	log.Group(c.logger, log.NET).Info("UDP works again, leaving TCP")
	c.sock.Store(sock)
	c.warnPlane(c.plane.Attach(sock))
}

// leaveSocket closes the socket of an IKE_SA that has ended, where it is not the one
// that carries the packets, and reports whether that was so.
func (a *attempt) leaveSocket(r *ikeRun) bool {
	if r.sock == a.sock.Load() {
		if a.udp != nil && a.udp != r.sock && a.gaveUp() {
			a.udp.Stop()
		}
		return false
	}
	if !r.up {
		log.Infof(log.Group(a.logger, log.NET), "UDP does not work yet, staying with TCP")
	}
	if r.sock == a.udp {
		a.udp, a.udpSilent = nil, nil
	}
	_ = r.sock.Close()
	return true
}

// gaveUp reports whether the connection is at its end.
func (c *Client) gaveUp() bool {
	c.events.Lock()
	defer c.events.Unlock()
	return c.failure != nil
}
