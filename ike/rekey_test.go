package ike

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// After IKE_AUTH both ends have the same rights. A side is one of two Machines
// of the same IKE_SA, with a model of its data plane.
type side struct {
	name   string
	m      *Machine
	in     map[uint32]string // inbound SPIs with their keys
	out    uint32
	outKey string
	spare  map[uint32][2]string // standby: inbound SPI to outbound SPI and key
	inbox  [][]byte             // what is under way to this side
	events []Event
	log    strings.Builder
}

type pair struct {
	t    require.TestingT
	now  time.Time
	a, b *side
	lost int // packets that the data plane of the other side could not take
}

// newPair makes two ends of an IKE_SA with one CHILD_SA.
func newPair(t require.TestingT, edit func(a, b *Config)) *pair {
	local, remote := netip.MustParseAddrPort("192.0.2.1:4500"), netip.MustParseAddrPort("192.0.2.2:4500")
	mk := func(name string, l, r netip.AddrPort, lts, rts string) (*side, Config) {
		s := &side{name: name, in: map[uint32]string{}, spare: map[uint32][2]string{}}
		return s, Config{
			Name: name, Local: l, Remote: r, LocalRounds: []LocalRound{{ID: mustID(name + ".example.org"), EAP: &fakeEAP{}}}, RemoteRounds: []RemoteRound{{}},
			Proposals: []string{"aes128gcm16-prfsha256-x25519-ecp256"},
			Children: []ChildConfig{{Name: "net", Proposals: []string{"aes128gcm16-x25519-ecp256", "aes128gcm16"},
				LocalTS: []TrafficSelector{mustTS(lts)}, RemoteTS: []TrafficSelector{mustTS(rts)}}},
			Logger: log.NewWriter(&s.log, everyLevel{}),
		}
	}
	a, ca := mk("a", local, remote, "10.3.0.1", "10.1.0.0/16")
	b, cb := mk("b", remote, local, "10.1.0.0/16", "10.3.0.1")
	if edit != nil {
		edit(&ca, &cb)
	}
	p := &pair{t: t, now: time.Unix(1700000000, 0), a: a, b: b}
	ps, err := crypto.ParseProposals(message.ProtocolIKE, []string{"aes128gcm16-prfsha256-x25519"})
	require.NoError(t, err)
	s, err := crypto.SuiteOf(ps[0])
	require.NoError(t, err)
	for _, x := range []struct {
		s         *side
		cfg       Config
		initiator bool
		in, out   uint32
	}{{a, ca, true, 0xc0000001, 0xc0000002}, {b, cb, false, 0xc0000002, 0xc0000001}} {
		m, err := New(x.cfg)
		require.NoError(t, err)
		m.now = p.now
		x.s.m = m
		m.sas.current.initiator, m.sas.current.spii, m.sas.current.spir, m.sas.current.suite = x.initiator, 1, 2, s
		m.sas.current.prf, err = s.NewPRF()
		require.NoError(t, err)
		m.sas.current.keys, err = crypto.DeriveIKE(s, make([]byte, 32), make([]byte, 32), make([]byte, 32), 1, 2)
		require.NoError(t, err)
		m.sas.current.prot, err = crypto.NewProtector(s, m.sas.current.keys, x.initiator, nil)
		require.NoError(t, err)
		m.sas.current.reqAsm = crypto.Reassembler{MaxOctets: m.cfg.Fragmentation.MaxPacket}
		m.path.natt, m.state, m.lastIn = true, stateEstablished, p.now
		m.life.scheduleIKE()
		m.children.add(m.children.configured[0], &ChildSA{SPIIn: x.in, SPIOut: x.out, LocalTS: x.cfg.Children[0].LocalTS, RemoteTS: x.cfg.Children[0].RemoteTS})
		key := func(initiator bool) string { return fmt.Sprint("first", initiator) }
		x.s.in[x.in], x.s.out, x.s.outKey = key(!x.initiator), x.out, key(x.initiator)
	}
	return p
}

func mustID(s string) Identity {
	id, err := ParseIdentity(s)
	if err != nil {
		panic(err)
	}
	return id
}

func mustTS(s string) TrafficSelector {
	ts, err := ParseTrafficSelector(s)
	if err != nil {
		panic(err)
	}
	return ts
}

func (p *pair) other(s *side) *side {
	if s == p.a {
		return p.b
	}
	return p.a
}

// run carries Outputs out: what installs comes first, as ike/transport does it.
func (p *pair) run(s *side, out Outputs) {
	for _, e := range out.Events {
		s.events = append(s.events, e)
		switch e := e.(type) {
		case ChildEstablished:
			s.in[e.Child.SPIIn] = string(e.Child.Keys.Er)
			if e.Standby {
				s.spare[e.Child.SPIIn] = [2]string{fmt.Sprint(e.Child.SPIOut), string(e.Child.Keys.Ei)}
			} else {
				s.out, s.outKey = e.Child.SPIOut, string(e.Child.Keys.Ei)
			}
		case ChildRekeyed:
			require.Contains(p.t, s.in, e.SPIIn, "%s rekeys what it has", s.name)
			s.in[e.Child.SPIIn] = string(e.Child.Keys.Er)
			if e.Standby {
				s.spare[e.Child.SPIIn] = [2]string{fmt.Sprint(e.Child.SPIOut), string(e.Child.Keys.Ei)}
			} else {
				s.out, s.outKey = e.Child.SPIOut, string(e.Child.Keys.Ei)
			}
		case ChildActive:
			o := s.spare[e.SPIIn]
			delete(s.spare, e.SPIIn)
			_, err := fmt.Sscan(o[0], &s.out)
			require.NoError(p.t, err)
			s.outKey = o[1]
		case ChildClosed:
			delete(s.in, e.SPIIn)
		}
	}
	for _, k := range out.Packets {
		p.other(s).inbox = append(p.other(s).inbox, k.Data)
	}
	p.traffic()
}

// traffic sends one packet each way: the other side has to have its SPI, with
// the same key.
func (p *pair) traffic() {
	for _, s := range []*side{p.a, p.b} {
		if s.m.Done() || p.other(s).m.Done() {
			continue
		}
		if key, ok := p.other(s).in[s.out]; !ok || key != s.outKey {
			p.lost++
		}
	}
}

func (p *pair) deliver(s *side, i int) {
	b := s.inbox[i]
	s.inbox = slices.Delete(s.inbox, i, i+1)
	p.run(s, s.m.Handle(p.now, Datagram{From: s.m.path.remote, To: s.m.path.local, Data: b}))
}

func (p *pair) tick(s *side) { p.run(s, s.m.Tick(p.now)) }

// settle delivers all there is.
func (p *pair) settle() {
	for range 1000 {
		switch {
		case len(p.a.inbox) > 0:
			p.deliver(p.a, 0)
		case len(p.b.inbox) > 0:
			p.deliver(p.b, 0)
		default:
			return
		}
	}
	require.Fail(p.t, "the two talk for ever", "%s\n%s", &p.a.log, &p.b.log)
}

// pass lets time go by, with everything that is due.
func (p *pair) pass(d time.Duration) {
	end := p.now.Add(d)
	for range 1000 {
		p.settle()
		next := end
		for _, s := range []*side{p.a, p.b} {
			if at := s.m.NextDeadline(); !at.IsZero() && at.Before(next) {
				next = at
			}
		}
		if next.After(p.now) {
			p.now = next
		}
		if !p.now.Before(end) {
			return
		}
		p.tick(p.a)
		p.tick(p.b)
	}
	require.Fail(p.t, "deadlines do not advance", "%s\n%s", &p.a.log, &p.b.log)
}

// sound asserts that both ends agree.
func (p *pair) sound() {
	a, b := p.a.m, p.b.m
	say := func() string { return "a:\n" + p.a.log.String() + "\nb:\n" + p.b.log.String() }
	require.False(p.t, a.Done(), say())
	require.False(p.t, b.Done(), say())
	require.Equal(p.t, [2]message.SPI{a.sas.current.spii, a.sas.current.spir}, [2]message.SPI{b.sas.current.spii, b.sas.current.spir}, "%s", say())
	require.NotEqual(p.t, a.sas.current.initiator, b.sas.current.initiator)
	require.Equal(p.t, a.sas.current.keys.D, b.sas.current.keys.D)
	require.Empty(p.t, a.sas.old, say())
	require.Empty(p.t, b.sas.old, say())
	require.Nil(p.t, a.sas.peer)
	require.Nil(p.t, b.sas.peer)
	require.Len(p.t, a.children.list, 1, say())
	require.Len(p.t, b.children.list, 1, say())
	require.Equal(p.t, a.children.list[0].spiIn, b.children.list[0].spiOut)
	require.Equal(p.t, a.children.list[0].spiOut, b.children.list[0].spiIn)
	require.Len(p.t, p.a.in, 1, say())
	require.Len(p.t, p.b.in, 1, say())
	require.Equal(p.t, p.a.out, a.children.list[0].spiOut)
	require.Equal(p.t, p.b.out, b.children.list[0].spiOut)
	require.Zero(p.t, p.lost, "packets were lost\n%s", say())
}

const long = 4 * time.Minute

func TestRekeyIKE(t *testing.T) {
	p := newPair(t, nil)
	for _, s := range []*side{p.a, p.b, p.a} {
		before := s.m.sas.current.spii
		p.run(s, s.m.Rekey(p.now))
		p.settle()
		require.NotEqual(t, before, s.m.sas.current.spii)
		require.True(t, s.m.sas.current.initiator, "who rekeys is the initiator of the new IKE_SA")
		p.pass(long)
		p.sound()
	}
	require.Contains(t, p.a.log.String(), "IKE_SA a[2] rekeyed between 192.0.2.1[a.example.org]...")
	// The new keys work in both directions.
	p.run(p.a, p.a.m.RekeyChildren(p.now))
	p.run(p.b, p.b.m.Delete(p.now))
	p.settle()
	require.True(t, p.a.m.Done() && p.b.m.Done())
}

// The end may come through an IKE_SA that was rekeyed: the keys of the current
// one are forgotten too.
func TestKeysAreForgottenWhereARekeyedIKESAEndsIt(t *testing.T) {
	p := newPair(t, nil)
	m := p.b.m
	p.run(p.a, p.a.m.Rekey(p.now))
	p.deliver(p.b, 0)
	require.Len(t, m.sas.old, 1, "b answered, and waits for DELETE")
	d := m.sas.current.keys.D
	require.NotEqual(t, make([]byte, len(d)), d)
	m.begin(p.now)
	m.sas.old[0].fail(ErrAuthFailed)
	m.end()
	require.True(t, m.Done())
	require.Equal(t, make([]byte, len(d)), d)
	require.Nil(t, m.sas.current.prot)
}

func TestRekeyChild(t *testing.T) {
	p := newPair(t, nil)
	for _, s := range []*side{p.a, p.b} {
		before := s.m.children.list[0].spiIn
		p.run(s, s.m.RekeyChildren(p.now))
		p.settle()
		p.pass(6 * time.Second)
		p.sound()
		require.NotEqual(t, before, s.m.children.list[0].spiIn)
	}
	require.Contains(t, p.a.log.String(), "CREATE_CHILD_SA request 0 [ N(REKEY_SA) SA No KE TSi TSr ]")
}

// A peer that rekeys a CHILD_SA and deletes what it made leaves the old one,
// which either side can rekey again.
func TestPeerTakesItsRekeyingBack(t *testing.T) {
	p := newPair(t, func(a, _ *Config) { a.Children[0].Restart = true })
	p.run(p.b, p.b.m.RekeyChildren(p.now))
	p.deliver(p.a, 0) // a answers; b, who is hostile, does not go on
	p.b.inbox = nil
	m := p.a.m
	require.Len(t, m.children.list, 2)
	old, made := m.children.list[0], m.children.list[1]
	require.True(t, made.standby)
	_, gone := m.children.peerDeletes(&message.Delete{Protocol: message.ProtocolESP, SPIs: [][]byte{binary.BigEndian.AppendUint32(nil, made.spiOut)}})
	require.Equal(t, []*childState{made}, gone)
	m.children.peerClosed(made)
	require.Equal(t, []*childState{old}, m.children.list)
	require.Empty(t, m.children.wanted)
	m.RekeyChildren(p.now)
	require.True(t, old.rekeying)
}

func TestRekeyWithoutSecrecy(t *testing.T) {
	p := newPair(t, func(a, b *Config) {
		a.Children[0].Proposals, b.Children[0].Proposals = []string{"aes128gcm16"}, []string{"aes128gcm16"}
	})
	p.run(p.a, p.a.m.RekeyChildren(p.now))
	p.pass(time.Minute)
	p.sound()
	require.Contains(t, p.a.log.String(), "CREATE_CHILD_SA request 0 [ N(REKEY_SA) SA No TSi TSr ]")
}

func TestRekeyByTimers(t *testing.T) {
	p := newPair(t, func(a, b *Config) {
		a.Timers.RekeyTime, a.Timers.RandTime, a.Timers.OverTime = 40*time.Minute, 4*time.Minute, 4*time.Minute
		a.Children[0].RekeyTime, a.Children[0].RandTime, a.Children[0].LifeTime = 10*time.Minute, time.Minute, 11*time.Minute
		b.Children[0].RekeyTime, b.Children[0].LifeTime = 10*time.Minute, 11*time.Minute
	})
	p.pass(3 * time.Hour)
	p.now = p.now.Add(10 * time.Second)
	p.tick(p.a)
	p.tick(p.b)
	p.pass(10 * time.Second)
	require.Zero(t, p.lost)
	require.False(t, p.a.m.Done(), p.a.log.String())
	n, c := 0, 0
	for _, e := range p.a.events {
		switch e.(type) {
		case Rekeyed:
			n++
		case ChildRekeyed:
			c++
		}
	}
	require.InDelta(t, 4, n, 1)
	require.InDelta(t, 18, c, 3)
}

// INVALID_KE_PAYLOAD leads to the method that the peer wants.
func TestRekeyChildWithAnotherMethod(t *testing.T) {
	p := newPair(t, func(_, b *Config) { b.Children[0].Proposals = []string{"aes128gcm16-ecp256"} })
	p.run(p.a, p.a.m.RekeyChildren(p.now))
	p.pass(time.Minute)
	p.sound()
	require.Contains(t, p.a.log.String(), "peer didn't accept key exchange method")
}

// collide lets both start before either sees the other's request.
func (p *pair) collide(start func(m *Machine) Outputs) {
	p.run(p.a, start(p.a.m))
	p.run(p.b, start(p.b.m))
}

// Both outcomes of a collision come up in a few runs: the nonces are random.
func TestCollisions(t *testing.T) {
	starts := map[string]func(p *pair) func(m *Machine) Outputs{
		"IKE": func(p *pair) func(m *Machine) Outputs { return func(m *Machine) Outputs { return m.Rekey(p.now) } },
		"child": func(p *pair) func(m *Machine) Outputs {
			return func(m *Machine) Outputs { return m.RekeyChildren(p.now) }
		},
	}
	for name, start := range starts {
		t.Run(name, func(t *testing.T) {
			seen := map[bool]bool{}
			for range 40 {
				p := newPair(t, nil)
				p.collide(start(p))
				p.settle()
				p.pass(long)
				p.sound()
				won := strings.Contains(p.a.log.String(), "collision won")
				require.NotEqual(t, won, strings.Contains(p.b.log.String(), "collision won"), "%s\n%s", &p.a.log, &p.b.log)
				seen[won] = true
			}
			require.Len(t, seen, 2)
		})
	}
	t.Run("IKE and child", func(t *testing.T) {
		p := newPair(t, nil)
		p.run(p.a, p.a.m.Rekey(p.now))
		p.run(p.b, p.b.m.RekeyChildren(p.now))
		p.settle()
		p.pass(long)
		p.sound()
		require.Contains(t, p.a.log.String()+p.b.log.String(), "TEMPORARY_FAILURE")
	})
	t.Run("rekey and delete", func(t *testing.T) {
		p := newPair(t, nil)
		p.run(p.a, p.a.m.Rekey(p.now))
		p.run(p.b, p.b.m.Delete(p.now))
		p.settle()
		p.pass(long)
		require.True(t, p.a.m.Done() && p.b.m.Done(), "delete wins")
	})
}

// Whatever the order of events, lost packets and repetitions: both ends agree
// in the end, and at no moment is a packet sent that the other could not open.
func TestRekeyingUnderChaos(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPair(rt, nil)
		if rapid.Bool().Draw(rt, "additional key exchanges") {
			p = newHybridPair(rt)
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			s := p.a
			if rapid.Bool().Draw(rt, "b") {
				s = p.b
			}
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				p.run(s, s.m.Rekey(p.now))
			case 1:
				p.run(s, s.m.RekeyChildren(p.now))
			case 2:
				p.now = p.now.Add(time.Duration(rapid.IntRange(1, 9000).Draw(rt, "ms")) * time.Millisecond)
				p.tick(p.a)
				p.tick(p.b)
			case 3:
				if len(s.inbox) > 0 {
					s.inbox = s.inbox[1:]
				}
			case 4:
				if len(s.inbox) > 0 {
					s.inbox = append(s.inbox, s.inbox[0])
				}
			default:
				if n := len(s.inbox); n > 0 {
					p.deliver(s, rapid.IntRange(0, n-1).Draw(rt, "which"))
				}
			}
			require.False(rt, p.a.m.Done() || p.b.m.Done(), "%s\n%s", &p.a.log, &p.b.log)
		}
		p.pass(20 * time.Minute)
		p.sound()
	})
}

func TestFurtherChildren(t *testing.T) {
	p := newPair(t, func(a, b *Config) {
		a.Children = append(a.Children, ChildConfig{Name: "more", LocalTS: []TrafficSelector{mustTS("10.3.0.1")}, RemoteTS: []TrafficSelector{mustTS("10.2.0.0/16")}, Restart: true})
		b.Children[0].LocalTS = append(b.Children[0].LocalTS, mustTS("10.2.0.0/16"))
	})
	p.run(p.a, p.a.m.Tick(p.now))
	p.settle()
	require.Len(t, p.a.m.children.list, 2)
	require.Len(t, p.b.m.children.list, 2)
	require.Equal(t, "more", p.a.m.children.list[1].cfg.Name)
	require.Equal(t, "10.2.0.0/16", selectors(p.a.m.children.list[1].remoteTS))
	// The peer closes it; it comes again.
	spi := p.a.m.children.list[1].spiIn
	p.b.m.children.list[1].closing = true
	p.tick(p.b)
	p.settle()
	require.Len(t, p.a.m.children.list, 2)
	require.NotEqual(t, spi, p.a.m.children.list[1].spiIn)
	// Both delete the same one at once: neither answers with a DELETE of it.
	for _, s := range []*side{p.a, p.b} {
		s.m.children.list[1].closing = true
		s.m.children.list[1].cfg.Restart = false
	}
	p.tick(p.a)
	p.tick(p.b)
	p.settle()
	require.Len(t, p.a.m.children.list, 1)
	require.Len(t, p.b.m.children.list, 1)
	require.Contains(t, p.a.log.String(), "INFORMATIONAL response 1 [ ]")
}

// A CHILD_SA that is gone is set up again when a packet wants it, once.
func TestInitiate(t *testing.T) {
	p := newPair(t, nil)
	name := p.a.m.children.list[0].cfg.Name
	p.run(p.a, p.a.m.Initiate(p.now, name, nil))
	require.Empty(t, p.b.inbox, "it exists")
	p.b.m.children.list[0].closing = true
	p.tick(p.b)
	p.settle()
	require.Empty(t, p.a.m.children.list)
	p.run(p.a, p.a.m.Initiate(p.now, "another", nil))
	require.Empty(t, p.b.inbox)
	for range 3 {
		p.run(p.a, p.a.m.Initiate(p.now, name, nil))
	}
	p.settle()
	require.Len(t, p.a.m.children.list, 1)
	require.Len(t, p.b.m.children.list, 1)
}

func TestHardLifetimes(t *testing.T) {
	p := newPair(t, func(a, b *Config) {
		a.Timers.RekeyTime, a.Timers.OverTime = time.Hour, 5*time.Minute
		b.Proposals = []string{"aes256-sha256-modp2048"} // would refuse our rekeying
		a.Timers.ReauthTime = 30 * time.Minute
	})
	p.b.m.sas.current.suite.KE = message.KEMethod(20)
	p.b.m.sas.current.suite.Encr.KeyBits = 256
	p.a.m.now = p.now
	p.a.m.life.scheduleReauth()
	p.pass(31 * time.Minute)
	require.Contains(t, p.a.events, Event(ReauthDue{Reason: "its time is over"}))
	p.pass(time.Hour)
	require.True(t, p.a.m.Done())
	f := p.a.events[len(p.a.events)-1].(Failed)
	require.ErrorIs(t, f.Err, ErrExpired)
}

// A hostile peer cannot bring an established IKE_SA down or make it grow:
// forged, replayed and oversized messages, requests without end.
func TestHostilePeer(t *testing.T) {
	p := newPair(t, nil)
	p.run(p.a, p.a.m.RekeyChildren(p.now))
	request := p.b.inbox[0]
	for i := range request { // every octet changed once
		b := append([]byte(nil), request...)
		b[i] ^= 0x40
		p.run(p.b, p.b.m.Handle(p.now, Datagram{From: p.b.m.path.remote, Data: b}))
		require.Empty(t, p.a.inbox, "octet %d: no answer to what is forged", i)
	}
	p.settle()
	replies := len(p.b.m.children.list)
	for range 50 { // replayed: the same answer again, nothing new
		p.run(p.b, p.b.m.Handle(p.now, Datagram{From: p.b.m.path.remote, Data: request}))
		p.a.inbox = nil
	}
	require.Len(t, p.b.m.children.list, replies)
	p.run(p.b, p.b.m.Handle(p.now, Datagram{From: p.b.m.path.remote, Data: make([]byte, 1<<16)}))
	p.pass(time.Minute)
	p.sound()
	// A peer with the keys that makes CHILD_SA after CHILD_SA.
	for range 3 * maxChildren {
		p.b.m.children.wanted = append(p.b.m.children.wanted, p.b.m.children.configured[0])
		p.tick(p.b)
		p.settle()
	}
	require.LessOrEqual(t, len(p.a.m.children.list), maxChildren)
	require.False(t, p.a.m.Done())
	// And IKE_SA after IKE_SA without deleting one.
	for range 3 * maxOldSAs {
		p.run(p.b, p.b.m.Rekey(p.now))
		for len(p.a.inbox) > 0 {
			p.deliver(p.a, 0)
			for len(p.b.inbox) > 0 {
				p.deliver(p.b, 0)
			}
			p.a.inbox = nil // its DELETE never comes
		}
		for _, s := range p.b.m.sas.old {
			s.pending = nil
		}
	}
	require.LessOrEqual(t, len(p.a.m.sas.old), maxOldSAs)
}
