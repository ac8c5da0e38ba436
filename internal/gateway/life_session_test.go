package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// session is one IKE_SA of the client, with those that rekeying made of it.
type session struct {
	m     *ike.Machine
	first bool        // of a run of the client: the gateway may forget others
	up    bool        // its first CHILD_SA was there
	init  message.SPI // of its IKE_SA_INIT
	spi   message.SPI
}

// reauthRetry is when a reauthentication that failed is tried again, as tnc does.
const reauthRetry = 30 * time.Second

// sessions returns all that live.
func (l *life) sessions() (out []*session) {
	for _, s := range append(slices.Clone(l.ending), l.current, l.next) {
		if s != nil && !s.m.Done() {
			out = append(out, s)
		}
	}
	return out
}

// start begins an IKE_SA.
func (l *life) start(first bool) (*session, error) {
	l.counts.started++
	id := func(s string) ike.Identity { return ike.MustParseIdentity(s) }
	var children []ike.ChildConfig
	for _, name := range lifeNames {
		ts, err := ike.ParseTrafficSelector(netip.PrefixFrom(netip.MustParseAddr(lifeTargets[name]), 16).Masked().String())
		if err != nil {
			return nil, err
		}
		children = append(children, ike.ChildConfig{Name: name, RemoteTS: []ike.TrafficSelector{ts}, Restart: true, Proposals: l.offers,
			RekeyTime: time.Hour, RandTime: 20 * time.Minute, LifeTime: 66 * time.Minute})
	}
	cfg := ike.Config{
		ID: l.counts.started, Local: l.local, Remote: l.remote,
		LocalRounds: []ike.LocalRound{{ID: id("carol@gotnc.test"), PSK: []byte("secret")}},
		RemoteRounds: []ike.RemoteRound{{ID: id("moon.gotnc.test"), Method: ike.RemotePSK,
			PSK: func(ike.Identity) ([]byte, error) { return []byte("secret"), nil }}},
		Authentication: ike.Authentication{NoInitialContact: !first},
		Proposals:      l.ikeOffers, Children: children,
		VirtualIPs:     ike.VirtualIPs{Wanted: []netip.Addr{netip.IPv4Unspecified()}, Last: []netip.Addr{l.vip}},
		Timers:         ike.Timers{RekeyTime: 4 * time.Hour, RandTime: time.Hour, OverTime: 24 * time.Minute, DPDDelay: 5 * time.Minute},
		Retransmission: ike.Retransmission{Timeout: 2 * time.Second, Base: 1.4, Tries: 12, Limit: 20 * time.Second},
		Rand:           lifeRand{rand.NewChaCha8([32]byte{byte(l.seed), byte(l.seed >> 8), 2, byte(l.counts.started), byte(l.counts.started >> 8)})},
	}
	if l.verbose {
		cfg.Logger = log.NewWriter(lineWriter{l, "client "}, slog.LevelInfo)
	}
	m, err := ike.New(cfg)
	return &session{m: m, first: first}, err
}

// connect begins the IKE_SA that is to carry packets, where there is none.
func (l *life) connect(first bool) (err error) {
	if l.current, err = l.start(first); err != nil {
		return err
	}
	l.plane, l.open, l.limited = tunnel{}, exchanges{}, false
	l.broken = l.now
	l.carry(l.current, l.current.m.Start(l.now))
	return nil
}

// restart is what kill -9 and a new start do.
func (l *life) restart() error {
	l.counts.restarted++
	for _, s := range l.sessions() {
		s.m.Close()
	}
	l.ending, l.next = nil, nil
	return l.connect(true)
}

// reauth makes the IKE_SA that takes over.
func (l *life) reauth() {
	if l.next != nil || l.current.m.Done() {
		return
	}
	l.counts.reauth++
	s, err := l.start(false)
	if err != nil {
		l.fail(err)
		return
	}
	l.next = s
	l.carry(s, s.m.Start(l.now))
}

// succeed goes on where an IKE_SA has ended.
func (l *life) succeed() error {
	l.ending = slices.DeleteFunc(l.ending, func(s *session) bool { return s.m.Done() })
	if l.next != nil && l.next.m.Done() {
		l.next = nil
		l.ops = append(l.ops, op{at: l.now.Add(reauthRetry), name: "reauthentication is tried again", do: (*life).reauth})
	}
	if l.failure != nil || !l.current.m.Done() {
		return nil
	}
	if l.missing(1); l.next != nil {
		l.current, l.next = l.next, nil
		return nil
	}
	return l.connect(true)
}

// carry carries Outputs out: what installs comes first, as ike/transport does it.
func (l *life) carry(s *session, out ike.Outputs) {
	for _, e := range out.Events {
		l.fail(l.plane.event(s, e))
		l.event(s, e)
	}
	for _, p := range out.Packets {
		l.open.sent(l.now, p.Data)
		if h, err := message.ParseHeader(p.Data); err == nil {
			switch h.Exchange {
			case message.IKESAInit:
				s.init = h.SPIi
			case message.IKEFollowupKE:
				l.counts.followUps++
			}
		}
		l.wire.send(l.now, datagram{toGateway: true, from: p.From, to: p.To, data: append([]byte{0, 0, 0, 0}, p.Data...)})
	}
}

func (l *life) event(s *session, e ike.Event) {
	switch e := e.(type) {
	case ike.Established:
		s.spi = message.SPI(e.SPIi)
	case ike.Rekeyed:
		s.spi = message.SPI(e.SPIi)
		l.counts.ikeRekeyed++
	case ike.ChildRekeyed:
		l.counts.childRekeyed++
	case ike.ChildEstablished:
		l.counts.childMade++
		if a := e.Child.Internal.Addresses; len(a) != 1 || a[0].Addr() != l.vip {
			l.fail(fmt.Errorf("virtual IP %v instead of %v", a, l.vip))
		}
		l.tunnelUp(s)
	case ike.ChildClosed:
		if !e.Rekeyed {
			l.missing(1)
		}
	case ike.Moved:
		l.counts.moved++
	case ike.ReauthDue:
		if !l.limited {
			l.fail(fmt.Errorf("a new IKE_SA is asked for: %s", e.Reason))
			return
		}
		l.reauth()
	case ike.ChildFailed:
		l.fail(fmt.Errorf("CHILD_SA %s: %w", e.Name, e.Err))
	case ike.Failed:
		l.plane.ended(s)
		if s.up && s == l.current && !l.lost(s) {
			l.fail(fmt.Errorf("the IKE_SA failed: %w", e.Err))
		}
		if !s.up {
			l.givenUp[s.init] = true
		}
		l.counts.retried++
	case ike.Closed:
		l.plane.ended(s)
		if !e.ByPeer && (s == l.current || s == l.next) {
			l.fail(errors.New("the IKE_SA closed"))
		}
	}
}

// lost reports whether the gateway alone has ended an IKE_SA: an IKE_AUTH of a run that
// was killed, with INITIAL_CONTACT, came after that of the next run. DPD finds it out.
func (l *life) lost(s *session) bool { return l.g.replaced[s.spi] }

// tunnelUp lets the IKE_SA that reauthentication made take over.
func (l *life) tunnelUp(s *session) {
	s.up = true
	if s != l.next {
		return
	}
	old := l.current
	l.current, l.next, l.limited = s, nil, false
	l.ending = append(l.ending, old)
	l.missing(1) // its other CHILD_SAs follow
	l.carry(old, old.m.Delete(l.now))
}
