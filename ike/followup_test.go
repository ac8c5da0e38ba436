package ike

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

const (
	hybridIKE = "aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke2_ecp256"
	hybridESP = "aes128gcm16-x25519-ke1_mlkem768"
)

// newHybridPair makes two ends of an IKE_SA whose rekeying needs additional key
// exchanges.
func newHybridPair(t require.TestingT) *pair {
	p := newPair(t, func(a, b *Config) {
		for _, c := range []*Config{a, b} {
			c.Proposals, c.Children[0].Proposals = []string{hybridIKE}, []string{hybridESP}
		}
	})
	ps, err := crypto.ParseProposals(message.ProtocolIKE, []string{hybridIKE})
	require.NoError(t, err)
	for _, s := range []*side{p.a, p.b} {
		s.m.sas.current.suite, err = crypto.SuiteOf(ps[0])
		require.NoError(t, err)
	}
	return p
}

func (s *side) rekeyed() (n int) {
	for _, e := range s.events {
		switch e.(type) {
		case Rekeyed, ChildRekeyed:
			n++
		}
	}
	return n
}

// agree asserts that both ends have the same IKE_SA and CHILD_SA keys.
func (p *pair) agree() {
	require.Equal(p.t, p.a.m.sas.current.keys.D, p.b.m.sas.current.keys.D)
	require.Equal(p.t, p.a.m.sas.current.spir, p.b.m.sas.current.spir)
	require.Nil(p.t, p.a.m.follow.peer)
	require.Nil(p.t, p.b.m.follow.peer)
	require.Zero(p.t, p.lost, "packets that the other end could not take")
	require.Equal(p.t, p.a.outKey, p.b.in[p.a.out])
	require.Equal(p.t, p.b.outKey, p.a.in[p.b.out])
}

func TestRekeyWithAdditionalKeyExchanges(t *testing.T) {
	p := newHybridPair(t)
	before := p.a.m.sas.current.keys.D
	for i, s := range []*side{p.a, p.b, p.a} {
		p.run(s, s.m.Rekey(p.now))
		p.settle()
		require.Equal(t, i+1, p.a.rekeyed(), "%s", &p.a.log)
		require.Equal(t, i+1, p.b.rekeyed(), "%s", &p.b.log)
		require.NotEqual(t, before, p.a.m.sas.current.keys.D)
		require.Equal(t, "IKE:AES_GCM_16_128/PRF_HMAC_SHA2_256/CURVE_25519/KE1_ML_KEM_768/KE2_ECP_256", p.b.m.sas.current.suite.String())
		before = p.a.m.sas.current.keys.D
		p.agree()
	}
	require.Contains(t, p.a.log.String(), "IKE_FOLLOWUP_KE")
	for i, s := range []*side{p.a, p.b} {
		p.run(s, s.m.RekeyChildren(p.now))
		p.settle()
		require.Equal(t, 4+i, p.a.rekeyed())
		require.Equal(t, 4+i, p.b.rekeyed())
		p.agree()
	}
	p.pass(10 * time.Second)
	require.Len(t, p.a.in, 1)
	require.Len(t, p.b.in, 1)
}

// Both ends rekey at once, every way in which the two exchanges may interleave:
// one SA comes out of it on both sides, no packet is lost.
func TestFollowUpCollisions(t *testing.T) {
	for _, what := range []string{"IKE_SA", "CHILD_SA"} {
		for order := range 64 {
			p := newHybridPair(t)
			start := func(s *side) {
				if what == "IKE_SA" {
					p.run(s, s.m.Rekey(p.now))
				} else {
					p.run(s, s.m.RekeyChildren(p.now))
				}
			}
			start(p.a)
			early := order & 1
			if early == 0 {
				start(p.b)
			}
			for bit := 1; bit < 6; bit++ {
				s := p.a
				if order>>bit&1 == 1 {
					s = p.b
				}
				if len(s.inbox) > 0 {
					p.deliver(s, 0)
				}
			}
			if early == 1 {
				start(p.b)
			}
			p.settle()
			p.pass(5 * time.Minute) // what lost tries again
			p.agree()
			require.GreaterOrEqual(t, p.a.rekeyed(), 1, "%s order %06b\n%s\n%s", what, order, &p.a.log, &p.b.log)
			require.Len(t, p.a.in, 1, "%s order %06b\n%s\n%s", what, order, &p.a.log, &p.b.log)
			require.Len(t, p.b.in, 1)
			require.Empty(t, p.a.m.sas.old)
		}
	}
}

// followUps drives a against requests and responses that are made up.
func TestFollowUpRefusals(t *testing.T) {
	p := newHybridPair(t)
	notify := func(ps []message.Payload) message.NotifyType {
		n := (&message.Message{Payloads: ps}).ErrorNotify()
		require.NotNil(t, n)
		return n.NotifyType
	}
	// ask sends a request of b's and returns what a answers.
	ask := func(ps ...message.Payload) []message.Payload {
		h := message.Header{SPIi: p.b.m.sas.current.spii, SPIr: p.b.m.sas.current.spir, Exchange: message.IKEFollowupKE, MessageID: p.b.m.sas.current.nextID}
		p.b.m.sas.current.nextID++
		b, err := p.b.m.sas.current.prot.Seal(h, ps)
		require.NoError(t, err)
		out := p.a.m.Handle(p.now, Datagram{From: p.a.m.path.remote, To: p.a.m.path.local, Data: b})
		require.Len(t, out.Packets, 1)
		var asm crypto.Reassembler
		msg, err := asm.Handle(p.b.m.sas.current.prot, out.Packets[0].Data)
		require.NoError(t, err)
		return msg.Payloads
	}
	link := func(b string) message.Payload {
		return &message.Notify{NotifyType: message.AdditionalKeyExchange, Data: []byte(b)}
	}
	kem := &message.KE{Method: message.KEMLKEM768, Data: make([]byte, 1184)}
	require.Equal(t, message.StateNotFound, notify(ask(link("none"), kem)))
	require.Equal(t, message.InvalidSyntax, notify(ask(link("none"))))
	require.Equal(t, message.InvalidSyntax, notify(ask(kem)))
	for _, bad := range []*message.KE{{Method: message.KEECP256, Data: make([]byte, 64)}, {Method: message.KEMLKEM768, Data: make([]byte, 7)}} {
		n, err := p.a.m.follow.await(&peerFollowUp{left: []message.KEMethod{message.KEMLKEM768}})
		require.NoError(t, err)
		require.Equal(t, message.StateNotFound, notify(ask(link("other"), kem)))
		require.Equal(t, message.InvalidSyntax, notify(ask(n, bad)))
		require.Nil(t, p.a.m.follow.peer, "given up")
	}
	_, err := p.a.m.follow.await(&peerFollowUp{left: []message.KEMethod{message.KEMLKEM768}})
	require.NoError(t, err)
	require.False(t, p.a.m.NextDeadline().After(p.now.Add(followUpLife)))
	p.now = p.now.Add(followUpLife)
	p.a.m.Tick(p.now)
	require.Nil(t, p.a.m.follow.peer, "forgotten after its time")
}

// What a peer may do wrong while we rekey: the rekeying fails, the IKE_SA stays.
func TestFollowUpAnswers(t *testing.T) {
	link := &message.Notify{NotifyType: message.AdditionalKeyExchange, Data: []byte("link")}
	for name, answer := range map[string][]message.Payload{
		"no value":        nil,
		"another method":  {&message.KE{Method: message.KEECP256, Data: make([]byte, 64)}, link},
		"short value":     {&message.KE{Method: message.KEMLKEM768, Data: make([]byte, 9)}, link},
		"no further link": {&message.KE{Method: message.KEMLKEM768, Data: make([]byte, 1088)}},
		"long link":       {&message.KE{Method: message.KEMLKEM768, Data: make([]byte, 1088)}, &message.Notify{NotifyType: message.AdditionalKeyExchange, Data: make([]byte, 257)}},
		"refused":         {&message.Notify{NotifyType: message.StateNotFound}},
		"busy":            {&message.Notify{NotifyType: message.TemporaryFailure}},
	} {
		t.Run(name, func(t *testing.T) {
			p := newHybridPair(t)
			p.run(p.a, p.a.m.Rekey(p.now))
			p.deliver(p.b, 0)
			p.deliver(p.a, 0)
			require.Len(t, p.b.inbox, 1)
			h, err := message.ParseHeader(p.b.inbox[0])
			require.NoError(t, err)
			require.Equal(t, message.IKEFollowupKE, h.Exchange)
			p.b.inbox = nil
			b, err := p.b.m.sas.current.prot.Seal(message.Header{SPIi: h.SPIi, SPIr: h.SPIr, Exchange: h.Exchange, Flags: message.FlagResponse, MessageID: h.MessageID}, answer)
			require.NoError(t, err)
			p.run(p.a, p.a.m.Handle(p.now, Datagram{From: p.a.m.path.remote, To: p.a.m.path.local, Data: b}))
			require.Zero(t, p.a.rekeyed())
			require.False(t, p.a.m.Done())
			require.Empty(t, p.b.inbox)
		})
	}
}
