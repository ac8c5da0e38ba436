package ike

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

type everyLevel struct{}

func (everyLevel) Level() slog.Level { return slog.LevelDebug }

func TestHappyPath(t *testing.T) {
	n := newNetwork(t, nil)
	n.start()
	e, c := n.established()
	require.Equal(t, []string{
		"IKE_SA_INIT request 0 [ SA KE No N(NATD_S_IP) N(NATD_D_IP) N(FRAG_SUP) N(HASH_ALG) ]",
		"IKE_AUTH request 1 [ IDi N(INIT_CONTACT) IDr SA TSi TSr N(MOBIKE_SUP) N(EAP_ONLY) ]",
		"IKE_AUTH request 2 [ EAP/RES/TTLS ]",
		"IKE_AUTH request 3 [ EAP/RES/TTLS ]",
		"IKE_AUTH request 4 [ EAP/RES/TTLS ]",
		"IKE_AUTH request 5 [ AUTH ]",
	}, n.r.seen)
	require.False(t, e.NATLocal)
	require.False(t, e.NATRemote)
	require.Equal(t, "IKE:AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256", e.Suite)
	require.Equal(t, "moon.strongswan.org", e.RemoteID.String())
	require.Equal(t, netip.MustParseAddrPort("192.168.0.1:4500"), e.Remote, "strongSwan floats without NAT too")
	require.Equal(t, clientNATT, n.sent[1].From)
	require.True(t, n.sent[1].Marker)
	require.False(t, n.sent[0].Marker)
	require.False(t, c.Encap)
	require.Equal(t, uint32(0xc1020304), c.SPIOut)
	require.Equal(t, n.r.spiIn, c.SPIIn)
	require.Equal(t, uint32(0xc), c.SPIIn>>28)
	require.Equal(t, n.r.childKeys, c.Keys)
	require.Equal(t, "192.168.0.100/32", selectors(c.LocalTS))
	require.Equal(t, "10.1.0.0/16", selectors(c.RemoteTS))
	in, out, err := c.Ciphers(nil)
	require.NoError(t, err)
	require.NotNil(t, in)
	require.NotNil(t, out)
	require.True(t, n.m.NextDeadline().IsZero(), "nothing is due without DPD")
	for _, line := range []string{
		"[IKE] initiating IKE_SA home[1] to 192.168.0.1\n",
		"[ENC] generating IKE_SA_INIT request 0 [ SA KE No N(NATD_S_IP) N(NATD_D_IP) N(FRAG_SUP) N(HASH_ALG) ]\n",
		"[NET] sending packet: from 192.168.0.100[500] to 192.168.0.1[500] (",
		"[CFG] selected proposal: IKE:AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/ECP_256\n",
		"[NET] sending packet: from 192.168.0.100[4500] to 192.168.0.1[4500] (",
		"[IKE] authentication of 'moon.strongswan.org' with EAP successful\n",
		"[IKE] IKE_SA home[1] established between 192.168.0.100[carol@strongswan.org]...192.168.0.1[moon.strongswan.org]\n",
		"_o and TS 192.168.0.100/32 === 10.1.0.0/16\n",
	} {
		require.Contains(t, n.log.String(), line)
	}
}

func TestDefaultsAgreeWithADefaultGateway(t *testing.T) {
	n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
		c.Proposals, c.Children[0].Proposals = nil, nil
		r.proposals, r.esp = crypto.DefaultIKE(), crypto.DefaultESP()
	})
	n.start()
	e, _ := n.established()
	require.Contains(t, e.Suite, "CURVE_25519")
}

func TestCookie(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) { r.cookie = []byte("cookie") })
	n.start()
	n.established()
	require.Equal(t, "IKE_SA_INIT request 0 [ N(COOKIE) SA KE No N(NATD_S_IP) N(NATD_D_IP) N(FRAG_SUP) N(HASH_ALG) ]", n.r.seen[1])
	a, _ := message.Parse(n.sent[0].Data)
	b, _ := message.Parse(n.sent[1].Data)
	require.Equal(t, a.Payloads, b.Payloads[1:], "same nonce and key exchange value")
}

func TestCookiesWithoutEnd(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) {
		r.cookie = []byte("cookie")
		r.editInit = func(*message.Message) { r.cookie = append(r.cookie, 'x') }
	})
	n.start()
	require.ErrorIs(t, n.failure(), ErrProtocol)
	require.LessOrEqual(t, len(n.sent), maxCookies+2)
}

func TestInvalidKEKeepsTheCookie(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) {
		r.cookie = []byte("cookie")
		r.wantKE = message.KECurve25519
		r.proposals = r.proposals[1:]
	})
	n.start()
	e, _ := n.established()
	require.Contains(t, e.Suite, "CURVE_25519")
	require.Equal(t, "IKE_SA_INIT request 0 [ N(COOKIE) SA KE No N(NATD_S_IP) N(NATD_D_IP) N(FRAG_SUP) N(HASH_ALG) ]", n.r.seen[2])
}

func TestInvalidKERefused(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) { r.wantKE = message.KEMODP4096 })
	n.start()
	require.ErrorIs(t, n.failure(), ErrProposal, "a method that was not offered")

	n = newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) {
		r.wantKE = message.KECurve25519
		r.editInit = func(m *message.Message) {
			methods := []message.KEMethod{message.KECurve25519, message.KEECP384, message.KEECP256, message.KECurve25519}
			m.Payloads = []message.Payload{message.NewInvalidKE(methods[len(r.seen)-1])}
		}
	})
	n.start()
	require.ErrorIs(t, n.failure(), ErrProtocol, "no method twice")
}

func TestNoProposalChosen(t *testing.T) {
	n := newNetwork(t, func(c *Config, _ *responder, _ *fakeEAP) { c.Proposals = []string{"aes192-sha512-modp2048"} })
	n.start()
	err := n.failure()
	require.ErrorIs(t, err, ErrProposal)
	require.Contains(t, err.Error(), "AES_CBC_192/HMAC_SHA2_512_256")
}

func TestGatewayChoosesWhatWasNotOffered(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) {
		r.editInit = func(m *message.Message) {
			if sa, ok := message.First[*message.SA](m.Payloads); ok {
				sa.Proposals[0].Transforms[0].KeyBits = 256
			}
		}
	})
	n.start()
	require.ErrorIs(t, n.failure(), ErrProposal)
}

func TestNATAndEncapsulation(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) { r.natClient = true })
	n.start()
	e, c := n.established()
	require.True(t, e.NATLocal)
	require.True(t, c.Encap)

	n = newNetwork(t, func(c *Config, _ *responder, _ *fakeEAP) { c.ForceEncap = true })
	n.start()
	e, c = n.established()
	require.True(t, e.NATLocal)
	require.True(t, c.Encap)
	init, _ := message.Parse(n.sent[0].Data)
	require.NotEqual(t, crypto.NATDetection(n.m.sas.current.spii, 0, clientAddr), init.Notify(message.NATDetectionSourceIP).Data)

	n = newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) { r.noNATT = true })
	n.start()
	e, c = n.established()
	require.Equal(t, gwAddr, e.Remote, "a gateway without NAT traversal stays on 500")
	require.False(t, c.Encap)
	require.False(t, n.sent[3].Marker)
}

func TestOtherPortCarriesTheMarkerFromTheStart(t *testing.T) {
	cfg := testConfig(t)
	cfg.LocalRounds[0].EAP = &fakeEAP{}
	cfg.Remote = netip.MustParseAddrPort("192.168.0.1:4711")
	m, err := New(cfg)
	require.NoError(t, err)
	out := m.Start(time.Unix(0, 0))
	require.True(t, out.Packets[0].Marker)
	require.Equal(t, clientNATT, out.Packets[0].From)
}

func TestFragmentationBothWays(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, e *fakeEAP) { r.eapSize, e.size, r.fragSize = 8000, 9000, 600 })
	n.start()
	n.established()
	require.Greater(t, n.r.fragsIn, 20)
	require.Greater(t, n.r.fragsOut, 30)
	require.Contains(t, n.log.String(), "splitting IKE message into 8 fragments")
}

func TestLargeMessagesWithoutFragmentation(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, e *fakeEAP) { r.eapSize, e.size, r.noFrag = 8000, 9000, true })
	n.start()
	n.established()
	require.Zero(t, n.r.fragsIn)
}

func TestTooLargeMessage(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) { r.eapSize = 11000 })
	n.start()
	err := n.failure()
	require.ErrorIs(t, err, crypto.ErrTooLarge)
	n = newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) { r.eapSize = 11000; c.Fragmentation.MaxPacket = 20000 })
	n.start()
	n.established()
}

func TestEveryPacketLostOnce(t *testing.T) {
	for _, size := range []int{40, 5000} {
		seen := map[string]bool{}
		n := newNetwork(t, func(_ *Config, r *responder, e *fakeEAP) { r.eapSize, e.size = size, size })
		n.drop = func(_ bool, _ int, b []byte) bool {
			first := !seen[string(b)]
			seen[string(b)] = true
			return first
		}
		n.start()
		for range 200 {
			if _, ok := event[Established](n); ok || !n.wait() {
				break
			}
		}
		n.established()
	}
}

func TestGiveUp(t *testing.T) {
	n := newNetwork(t, nil)
	n.drop = func(toGateway bool, _ int, _ []byte) bool { return toGateway }
	start := n.now
	n.start()
	var at []time.Duration
	for n.wait() {
		at = append(at, n.now.Sub(start).Round(100*time.Millisecond))
	}
	d := func(s float64) time.Duration { return time.Duration(s * 1e9).Round(100 * time.Millisecond) }
	require.Equal(t, []time.Duration{d(4), d(11.2), d(24.2), d(47.5), d(89.5), d(165.1)}, at)
	require.Len(t, n.sent, 6)
	for _, p := range n.sent {
		require.Equal(t, n.sent[0], p)
	}
	err := n.failure()
	require.ErrorIs(t, err, ErrNoAnswer)
	require.Equal(t, &NoAnswerError{Gateway: gwAddr, Exchange: message.IKESAInit, Retransmissions: 5}, err)
}

func TestRetransmissionSchedule(t *testing.T) {
	r := Retransmission{Timeout: time.Second, Base: 3, Tries: 2, Limit: 5 * time.Second}
	require.Equal(t, []time.Duration{time.Second, 3 * time.Second, 5 * time.Second}, []time.Duration{r.wait(0), r.wait(1), r.wait(2)})
	require.Equal(t, 24*time.Hour, Retransmission{Timeout: time.Hour, Base: 100}.wait(90))
	n := newNetwork(t, func(c *Config, _ *responder, _ *fakeEAP) { c.Retransmission.Tries = -1 })
	n.drop = func(bool, int, []byte) bool { return true }
	n.start()
	n.wait()
	require.ErrorIs(t, n.failure(), ErrNoAnswer)
	require.Len(t, n.sent, 1)
}

func TestRetransmissionJitter(t *testing.T) {
	n := newNetwork(t, func(c *Config, _ *responder, _ *fakeEAP) {
		c.Retransmission = Retransmission{Timeout: 10 * time.Second, Base: 1, Tries: 50, Jitter: 20}
	})
	n.drop = func(bool, int, []byte) bool { return true }
	n.start()
	waits := map[time.Duration]bool{}
	for range 50 {
		w := n.m.NextDeadline().Sub(n.now)
		require.Greater(t, w, 8*time.Second)
		require.LessOrEqual(t, w, 10*time.Second)
		waits[w] = true
		n.wait()
	}
	require.Greater(t, len(waits), 40, "the waits are random")
	for _, percent := range []int{-1, MaxRetransmitJitter + 1} {
		c := testConfig(t)
		c.LocalRounds[0].PSK, c.Retransmission.Jitter = []byte("x"), percent
		c.RemoteRounds[0] = RemoteRound{Method: RemotePSK, PSK: func(Identity) ([]byte, error) { return nil, nil }}
		_, err := New(c)
		require.ErrorContains(t, err, "retransmission")
	}
}

func TestEarlyTickDoesNothing(t *testing.T) {
	n := newNetwork(t, nil)
	require.Empty(t, n.m.Tick(n.now))
	n.drop = func(bool, int, []byte) bool { return true }
	n.start()
	require.Empty(t, n.m.Tick(n.now.Add(3999*time.Millisecond)))
	require.Len(t, n.m.Tick(n.now.Add(4*time.Second)).Packets, 1)
}

// An attacker on the path may send anything; only the first IKE_SA_INIT
// answer that is usable and what carries the right keys may count.
func TestHostilePacketsAreIgnored(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, e *fakeEAP) { r.eapSize, e.size = 3000, 3000 })
	n.hostile = func(b []byte) (out [][]byte) {
		out = append(out, nil, []byte{0}, make([]byte, 28), bytes.Repeat([]byte{0xff}, 5000), make([]byte, 70000))
		for i := range b {
			out = append(out, b[:i])
		}
		init := b[18] == byte(message.IKESAInit)
		for i := range b {
			c := bytes.Clone(b)
			c[i] ^= 0x80
			if init && (i > 17 || i >= 8 && i < 16) {
				continue // nothing protects the rest of IKE_SA_INIT
			}
			out = append(out, c)
		}
		if init {
			c := bytes.Clone(b)
			c[8], c[9] = 0, 0
			binary.BigEndian.PutUint32(c[20:], 7)
			return append(out, c)
		}
		plain := &message.Message{Header: message.Header{SPIi: n.r.spii, SPIr: n.r.spir, Exchange: message.IKEAuth,
			Flags: message.FlagResponse, MessageID: binary.BigEndian.Uint32(b[20:])},
			Payloads: []message.Payload{notify(message.AuthenticationFailed, nil)}}
		p, err := plain.AppendBinary(nil)
		require.NoError(t, err)
		del := &message.Message{Header: message.Header{SPIi: n.r.spii, SPIr: n.r.spir, Exchange: message.Informational},
			Payloads: []message.Payload{&message.Delete{Protocol: message.ProtocolIKE}}}
		q, err := del.AppendBinary(nil)
		require.NoError(t, err)
		return append(out, p, q)
	}
	n.start()
	n.established()
	_, failed := event[Failed](n)
	require.False(t, failed)
	_, closed := event[Closed](n)
	require.False(t, closed)
}

func TestInitFromAnotherAddressIsIgnored(t *testing.T) {
	n := newNetwork(t, nil)
	out := n.m.Start(n.now)
	answer := n.r.handle(out.Packets[0])[0]
	require.Empty(t, n.m.Handle(n.now, Datagram{From: netip.MustParseAddrPort("192.168.0.66:500"), Data: answer}))
	require.NotEmpty(t, n.m.Handle(n.now, Datagram{From: gwAddr, Data: answer}).Packets)
}

func TestIncompleteInitIsIgnored(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) {
		r.editInit = func(m *message.Message) { m.Payloads = m.Payloads[1:] }
	})
	n.start()
	for n.wait() {
	}
	err := n.failure()
	require.ErrorIs(t, err, ErrNoAnswer)
	require.Contains(t, err.Error(), "without SA")
}

func TestInitErrors(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) { r.firstErr = message.InvalidSyntax })
	n.start()
	require.ErrorIs(t, n.failure(), ErrRefused)
	n = newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) {
		r.editInit = func(m *message.Message) {
			if ke, ok := message.First[*message.KE](m.Payloads); ok {
				ke.Data = make([]byte, len(ke.Data))
			}
		}
	})
	n.start()
	require.ErrorIs(t, n.failure(), ErrProtocol, "point outside of the curve")
}

func TestWrongGatewayAUTH(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) { r.badAuth = true })
	n.start()
	require.ErrorIs(t, n.failure(), ErrGatewayAuth)
	require.Equal(t, message.AuthenticationFailed, n.r.lastNotified, "RFC 7296 section 2.21.2")
	_, ok := event[Established](n)
	require.False(t, ok)
}

func TestWrongMSK(t *testing.T) {
	n := newNetwork(t, func(_ *Config, _ *responder, e *fakeEAP) { e.msk = bytes.Repeat([]byte{1}, 64) })
	n.start()
	require.ErrorIs(t, n.failure(), ErrAuthFailed)
}

func TestEAPWithoutKeyDoesNotProveTheGateway(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, e *fakeEAP) { r.msk, e.msk = nil, nil })
	n.start()
	require.ErrorIs(t, n.failure(), ErrGatewayAuth)
}

func TestEAPSuccessBeforeAnyMethod(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, e *fakeEAP) { r.rounds = 0; e.msk = nil })
	n.start()
	require.ErrorIs(t, n.failure(), ErrGatewayAuth)
}

func TestGatewayIdentity(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) { r.idr, _ = ParseIdentity("sun.strongswan.org") })
	n.start()
	require.ErrorIs(t, n.failure(), ErrGatewayAuth)
	require.Zero(t, n.eap.requests, "no EAP with the wrong gateway")

	var heard Identity
	n = newNetwork(t, func(c *Config, _ *responder, _ *fakeEAP) {
		c.RemoteRounds[0].ID, _ = ParseIdentity("*.strongswan.org")
		c.Authentication.GatewayIdentified = func(id Identity) error { heard = id; return nil }
	})
	n.start()
	n.established()
	require.Equal(t, "moon.strongswan.org", heard.String())
	require.NotContains(t, n.r.seen[1], "IDr")

	n = newNetwork(t, func(c *Config, _ *responder, _ *fakeEAP) {
		c.Authentication.GatewayIdentified = func(Identity) error { return errors.New("unknown") }
	})
	n.start()
	require.ErrorIs(t, n.failure(), ErrGatewayAuth)
}

// The certificate inside EAP is held against the identity of the first response:
// what it proves is that identity and no other that remote.id allows too.
func TestGatewayKeepsItsIdentityDuringEAP(t *testing.T) {
	answers := 0
	n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
		c.RemoteRounds[0].ID, _ = ParseIdentity("*.strongswan.org")
		r.editAuth = func(ps []message.Payload) []message.Payload {
			switch answers++; answers {
			case 1:
				return append(ps, notify(message.AnotherAuthFollows, nil))
			case 2:
				r.idr, _ = ParseIdentity("sun.strongswan.org")
				return append(ps, &message.IDr{Identity: r.idr})
			}
			return ps
		}
	})
	n.start()
	require.ErrorIs(t, n.failure(), ErrGatewayAuth)
	require.ErrorContains(t, n.failure(), "'sun.strongswan.org'")
	require.Equal(t, 2, answers)
}

func TestEAPFailure(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) { r.eapFailure = true })
	n.start()
	require.ErrorIs(t, n.failure(), ErrEAP)
	require.Len(t, n.r.seen, 5, "nothing is sent after EAP-Failure")
}

func TestEAPErrorOfOurs(t *testing.T) {
	bad := errors.New("certificate signed by unknown authority")
	n := newNetwork(t, func(_ *Config, _ *responder, e *fakeEAP) { e.fail = bad })
	n.start()
	err := n.failure()
	require.ErrorIs(t, err, ErrEAP)
	require.ErrorIs(t, err, bad)
	require.Equal(t, message.AuthenticationFailed, n.r.lastNotified)

	n = newNetwork(t, func(_ *Config, r *responder, e *fakeEAP) {
		e.fail, e.alert = bad, eapPacket(2, 2, []byte{21, 0, 21, 3, 3, 0, 2, 2, 48})
	})
	n.start()
	require.ErrorIs(t, n.failure(), bad)
	require.Equal(t, "IKE_AUTH request 3 [ EAP/RES/TTLS ]", n.r.seen[len(n.r.seen)-1], "the alert reaches the server")
}

func TestEAPAnswersLater(t *testing.T) {
	n := newNetwork(t, nil)
	n.hold = true
	n.start()
	for range 4 { // three requests and EAP-Success
		require.Nil(t, n.m.sas.current.pending)
		n.now = n.now.Add(time.Minute)
		n.run(n.m.Tick(n.now))
		require.Len(t, n.work, 1)
		work := n.work[0]
		n.work = nil
		r := work.Do(t.Context())
		n.run(n.m.Resume(n.now, r))
		require.Empty(t, n.m.Resume(n.now, r), "an answer counts once")
	}
	n.established()
	require.Empty(t, n.m.Resume(n.now, Result{}), "an unknown answer does nothing")
}

func TestEstablishTimeout(t *testing.T) {
	n := newNetwork(t, nil)
	n.hold = true
	n.start()
	require.Equal(t, n.now.Add(DefaultEstablishTimeout), n.m.NextDeadline())
	n.wait()
	require.ErrorIs(t, n.failure(), ErrTimeout)
}

func TestVirtualIP(t *testing.T) {
	n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
		c.VirtualIPs.Wanted = []netip.Addr{netip.IPv4Unspecified()}
		r.vip = netip.MustParseAddr("10.3.0.1")
	})
	n.start()
	_, c := n.established()
	require.Equal(t, "IKE_AUTH request 1 [ IDi N(INIT_CONTACT) IDr CPRQ(ADDR DNS) SA TSi TSr N(MOBIKE_SUP) N(EAP_ONLY) ]", n.r.seen[1])
	require.Equal(t, "10.3.0.1/32", selectors(c.LocalTS), "narrowed to the virtual IP although the gateway did not")
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.3.0.1/32")}, c.Internal.Addresses)
	require.Equal(t, []netip.Addr{netip.MustParseAddr("10.1.0.53")}, c.Internal.DNS)
	require.Equal(t, []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}, c.Internal.Subnets)
}

// A gateway that was asked for no configuration does not replace our name
// servers.
func TestUnaskedConfiguration(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) {
		r.editChild = func(ps []message.Payload) []message.Payload {
			return append([]message.Payload{&message.CP{CPType: message.CPReply, Attributes: []message.CPAttribute{
				{Type: message.InternalIP4DNS, Value: []byte{192, 0, 2, 53}},
				{Type: message.InternalDNSDomain, Value: []byte("bank.example")},
				{Type: message.InternalIP4Address, Value: []byte{10, 3, 0, 1}},
			}}}, ps...)
		}
	})
	n.start()
	_, child := n.established()
	require.Equal(t, Internal{}, child.Internal)
}

func childFailure(t *testing.T, edit func(*Config, *responder, *fakeEAP)) (*network, error) {
	t.Helper()
	n := newNetwork(t, edit)
	n.start()
	_, ok := event[Established](n)
	require.True(t, ok)
	f, ok := event[ChildFailed](n)
	require.True(t, ok)
	require.False(t, n.m.Done(), "the IKE_SA stays")
	require.ErrorIs(t, f.Err, ErrChild)
	return n, f.Err
}

func TestChildRefused(t *testing.T) {
	_, err := childFailure(t, func(_ *Config, r *responder, _ *fakeEAP) { r.childErr = message.TSUnacceptable })
	require.ErrorContains(t, err, "192.168.0.100/32 === 10.1.0.0/16")
	_, err = childFailure(t, func(_ *Config, r *responder, _ *fakeEAP) { r.childErr = message.NoProposalChosen })
	require.ErrorContains(t, err, "AES_GCM_16_128")
	_, err = childFailure(t, func(c *Config, r *responder, _ *fakeEAP) { r.childErr = message.InternalAddressFailure })
	var refused *ChildError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, message.InternalAddressFailure, refused.Notify)
	n, err := childFailure(t, func(c *Config, r *responder, _ *fakeEAP) {
		c.VirtualIPs.Wanted = []netip.Addr{netip.IPv4Unspecified()}
		r.editChild = func(ps []message.Payload) []message.Payload {
			ps[1] = &message.TSi{Selectors: []TrafficSelector{mustTS("10.3.0.0/24")}}
			return ps
		}
	})
	require.ErrorIs(t, err, ErrNoVirtualIP, "the gateway allows it with a virtual IP only")
	require.Equal(t, "INFORMATIONAL request 6 [ D ]", n.r.seen[len(n.r.seen)-1], "the gateway's half is deleted")
	edits := map[string]func(ps []message.Payload) []message.Payload{
		"no TS":   func(ps []message.Payload) []message.Payload { return ps[:1] },
		"nothing": func(ps []message.Payload) []message.Payload { return nil },
		"SPI": func(ps []message.Payload) []message.Payload {
			ps[0].(*message.SA).Proposals[0].SPI = []byte{0, 0, 0, 9}
			return ps
		},
		"short SPI": func(ps []message.Payload) []message.Payload {
			ps[0].(*message.SA).Proposals[0].SPI = []byte{9}
			return ps
		},
		"other cipher": func(ps []message.Payload) []message.Payload {
			ps[0].(*message.SA).Proposals[0].Transforms[0].KeyBits = 256
			return ps
		},
		"other net": func(ps []message.Payload) []message.Payload {
			ps[2] = &message.TSr{Selectors: []TrafficSelector{message.SelectorFromPrefix(netip.MustParsePrefix("172.16.0.0/12"))}}
			return ps
		},
		"transport": func(ps []message.Payload) []message.Payload { return append(ps, notify(message.UseTransportMode, nil)) },
	}
	for name, edit := range edits {
		t.Run(name, func(t *testing.T) {
			childFailure(t, func(_ *Config, r *responder, _ *fakeEAP) { r.editChild = edit })
		})
	}
}

func TestWidenedSelectorsAreCut(t *testing.T) {
	n := newNetwork(t, func(_ *Config, r *responder, _ *fakeEAP) { r.widen = true })
	n.start()
	_, c := n.established()
	require.Equal(t, "10.1.0.0/16", selectors(c.RemoteTS))
}

func up(t *testing.T, edit func(*Config, *responder, *fakeEAP)) *network {
	t.Helper()
	n := newNetwork(t, edit)
	n.start()
	n.established()
	n.r.seen = nil
	return n
}

func TestPeerDeletesTheIKESA(t *testing.T) {
	n := up(t, nil)
	n.fromGateway(n.r.request(message.Informational, &message.Delete{Protocol: message.ProtocolIKE}))
	require.Equal(t, []string{"INFORMATIONAL response 0 [ ]"}, n.r.respSeen)
	c, ok := event[Closed](n)
	require.True(t, ok)
	require.True(t, c.ByPeer)
	require.True(t, n.m.Done())
}

func TestPeerDeletesTheChild(t *testing.T) {
	n := up(t, nil)
	del := &message.Delete{Protocol: message.ProtocolESP, SPIs: [][]byte{{1, 2, 3, 4}, {0xc1, 2, 3, 4}}}
	n.fromGateway(n.r.request(message.Informational, del))
	c, ok := event[ChildClosed](n)
	require.True(t, ok)
	require.Equal(t, uint32(0xc1020304), c.SPIOut)
	d, ok := message.First[*message.Delete](n.r.responses[0].Payloads)
	require.True(t, ok)
	require.Equal(t, [][]byte{binary.BigEndian.AppendUint32(nil, n.r.spiIn)}, d.SPIs)
	n.fromGateway(n.r.request(message.Informational, del))
	require.Equal(t, "INFORMATIONAL response 1 [ ]", n.r.respSeen[1], "the second time there is nothing to delete")
	require.False(t, n.m.Done())
}

func TestPeerRequestsAreAnsweredOnce(t *testing.T) {
	n := up(t, nil)
	req := n.r.request(message.Informational, notify(message.Cookie2, []byte("12345678")))
	n.fromGateway(req)
	n.fromGateway(req)
	require.Len(t, n.sent[len(n.sent)-2:], 2)
	require.Equal(t, n.sent[len(n.sent)-1], n.sent[len(n.sent)-2], "the same octets")
	require.Equal(t, "INFORMATIONAL response 0 [ N(COOKIE2) ]", n.r.respSeen[0])
	before := len(n.sent)
	n.r.myID = 9
	n.fromGateway(n.r.request(message.Informational))
	forged := bytes.Clone(req[0])
	forged[len(forged)-1] ^= 1
	n.fromGateway([][]byte{forged})
	require.Len(t, n.sent, before, "outside of the window, or forged")
}

func TestPeerRequestInFragments(t *testing.T) {
	n := up(t, func(_ *Config, r *responder, _ *fakeEAP) { r.fragSize = 300 })
	req := n.r.request(message.Informational, &message.VendorID{Data: make([]byte, 900)}, notify(message.Cookie2, []byte("12345678")))
	require.Greater(t, len(req), 3)
	n.fromGateway(req)
	require.Len(t, n.r.respSeen, 1)
	before := len(n.sent)
	n.fromGateway(req)
	require.Len(t, n.sent, before+1, "its first fragment asks for the response again, the others do not")
}

func TestPeerSendsWhatCannotBeRead(t *testing.T) {
	n := up(t, nil)
	n.fromGateway(n.r.request(message.Informational, &message.Raw{PayloadType: 200, Critical: true, Body: []byte{1}}))
	require.Equal(t, message.UnsupportedCriticalPayload, n.r.responses[0].ErrorNotify().NotifyType)
	require.Equal(t, []byte{200}, n.r.responses[0].ErrorNotify().Data)
	n.fromGateway(n.r.request(message.Informational, &message.Raw{PayloadType: message.TypeNotify, Body: []byte{1}}))
	require.Equal(t, message.InvalidSyntax, n.r.responses[1].ErrorNotify().NotifyType)
	n.fromGateway(n.r.request(message.ExchangeType(99)))
	require.Equal(t, message.InvalidSyntax, n.r.responses[2].ErrorNotify().NotifyType)
	require.False(t, n.m.Done())
}

func TestCreateChildIsRefused(t *testing.T) {
	n := up(t, nil)
	esp := crypto.SAPayload(n.r.esp, []byte{0xc1, 9, 9, 9})
	no := &message.Nonce{Data: make([]byte, 32)}
	rekey := func(spi ...byte) message.Payload {
		return &message.Notify{Protocol: message.ProtocolESP, SPI: spi, NotifyType: message.RekeySA}
	}
	ts := message.SelectorFromPrefix(netip.MustParsePrefix("172.16.0.0/12"))
	tsi, tsr := &message.TSi{Selectors: []TrafficSelector{ts}}, &message.TSr{Selectors: []TrafficSelector{ts}}
	n.fromGateway(n.r.request(message.CreateChildSA, esp, no))
	n.fromGateway(n.r.request(message.CreateChildSA, esp, no, tsi, tsr))
	n.fromGateway(n.r.request(message.CreateChildSA, rekey(0xc1, 2, 3, 4), esp, &message.Nonce{Data: make([]byte, 17)}, tsi, tsr))
	n.fromGateway(n.r.request(message.CreateChildSA, crypto.SAPayload(n.r.proposals, make([]byte, 8)), no))
	n.fromGateway(n.r.request(message.CreateChildSA, rekey(1, 2, 3, 4), esp, no))
	n.fromGateway(n.r.request(message.CreateChildSA, no))
	var got []message.NotifyType
	for _, r := range n.r.responses {
		got = append(got, r.ErrorNotify().NotifyType)
	}
	require.Equal(t, []message.NotifyType{message.InvalidSyntax, message.TSUnacceptable, message.TSUnacceptable, message.InvalidSyntax,
		message.ChildSANotFound, message.InvalidSyntax}, got)
}

func TestPeerRejectsUsLater(t *testing.T) {
	n := up(t, nil)
	n.fromGateway(n.r.request(message.Informational, notify(message.AuthenticationFailed, nil)))
	require.ErrorIs(t, n.failure(), ErrAuthFailed)
	require.Len(t, n.r.respSeen, 1)
}

func TestDPD(t *testing.T) {
	n := up(t, func(c *Config, _ *responder, _ *fakeEAP) { c.Timers.DPDDelay = 30 * time.Second })
	require.Equal(t, n.now.Add(30*time.Second), n.m.NextDeadline())
	n.m.Alive(n.now.Add(10 * time.Second))
	require.Equal(t, n.now.Add(40*time.Second), n.m.NextDeadline())
	n.wait()
	require.Equal(t, []string{"INFORMATIONAL request 6 [ ]"}, n.r.seen)
	require.Equal(t, n.now.Add(30*time.Second), n.m.NextDeadline())
	n.drop = func(toGateway bool, _ int, _ []byte) bool { return toGateway }
	for n.wait() {
	}
	require.ErrorIs(t, n.failure(), ErrNoAnswer)
}

func TestDelete(t *testing.T) {
	n := up(t, nil)
	n.run(n.m.Delete(n.now))
	require.Equal(t, []string{"INFORMATIONAL request 6 [ D ]"}, n.r.seen)
	c, ok := event[Closed](n)
	require.True(t, ok)
	require.False(t, c.ByPeer)
	require.True(t, n.m.Done())
	require.Empty(t, n.m.Delete(n.now))
	n.m.Close()
}

func TestDeleteUnanswered(t *testing.T) {
	n := up(t, nil)
	n.drop = func(bool, int, []byte) bool { return true }
	n.run(n.m.Delete(n.now))
	for n.wait() {
	}
	_, ok := event[Closed](n)
	require.True(t, ok)
	_, failed := event[Failed](n)
	require.False(t, failed)
}

func TestDeleteWaitsForTheExchangeThatIsOut(t *testing.T) {
	n := up(t, func(c *Config, _ *responder, _ *fakeEAP) { c.Timers.DPDDelay = time.Second })
	lost := true
	n.drop = func(bool, int, []byte) bool { return lost }
	n.wait()
	n.run(n.m.Delete(n.now))
	require.Empty(t, n.r.seen)
	lost = false
	n.wait()
	require.Equal(t, []string{"INFORMATIONAL request 6 [ ]", "INFORMATIONAL request 7 [ D ]"}, n.r.seen)
	require.True(t, n.m.Done())
}

func TestBothDelete(t *testing.T) {
	n := up(t, nil)
	lost := true
	n.drop = func(bool, int, []byte) bool { return lost }
	n.run(n.m.Delete(n.now))
	lost = false
	n.fromGateway(n.r.request(message.Informational, &message.Delete{Protocol: message.ProtocolIKE}))
	c, ok := event[Closed](n)
	require.True(t, ok)
	require.False(t, c.ByPeer)
}

func TestDeleteBeforeEstablished(t *testing.T) {
	n := newNetwork(t, nil)
	n.hold = true
	n.start()
	n.run(n.m.Delete(n.now))
	_, ok := event[Closed](n)
	require.True(t, ok)
	require.Contains(t, n.log.String(), "destroying IKE_SA in state CONNECTING without notification")
}

func TestUnreadableResponseEndsTheIKESA(t *testing.T) {
	n := newNetwork(t, nil)
	out := n.m.Start(n.now)
	auth := n.m.Handle(n.now, Datagram{From: gwAddr, Data: n.r.handle(out.Packets[0])[0]})
	require.Len(t, auth.Packets, 1)
	b := n.r.seal(message.Header{SPIi: n.r.spii, SPIr: n.r.spir, Exchange: message.IKEAuth, Flags: message.FlagResponse, MessageID: 1},
		[]message.Payload{&message.Raw{PayloadType: message.TypeIDr, Body: []byte{1}}})
	n.run(n.m.Handle(n.now, Datagram{From: gwAddr, Data: b[0]}))
	require.ErrorIs(t, n.failure(), ErrProtocol)
}

func TestRefusedInFirstAuth(t *testing.T) {
	n := newNetwork(t, nil)
	out := n.m.Start(n.now)
	n.m.Handle(n.now, Datagram{From: gwAddr, Data: n.r.handle(out.Packets[0])[0]})
	b := n.r.seal(message.Header{SPIi: n.r.spii, SPIr: n.r.spir, Exchange: message.IKEAuth, Flags: message.FlagResponse, MessageID: 1},
		[]message.Payload{notify(message.AuthenticationFailed, nil)})
	n.run(n.m.Handle(n.now, Datagram{From: gwAddr, Data: b[0]}))
	require.ErrorIs(t, n.failure(), ErrAuthFailed)
}

func TestKeysAreForgotten(t *testing.T) {
	n := up(t, nil)
	require.Equal(t, make([]byte, len(n.m.sas.current.keys.Pi)), n.m.sas.current.keys.Pi, "needed for AUTH only")
	d := n.m.sas.current.keys.D
	n.m.Close()
	require.Equal(t, make([]byte, len(d)), d)
	require.Empty(t, n.m.Tick(n.now.Add(time.Hour)))
}

func TestConfigErrors(t *testing.T) {
	for _, c := range []struct {
		field, says string
		edit        func(*Config)
	}{
		{"Local", "no local address", func(c *Config) { c.Local = netip.AddrPort{} }},
		{"Remote", "no gateway address", func(c *Config) { c.Remote = netip.AddrPort{} }},
		{"Local", "families", func(c *Config) { c.Remote = netip.MustParseAddrPort("[2001:db8::1]:500") }},
		{"LocalRounds.ID", "local identity", func(c *Config) { c.LocalRounds[0].ID = Identity{} }},
		{"LocalRounds", "an EAP method", func(c *Config) { c.LocalRounds[0].EAP = nil }},
		{"LocalRounds", "one of an EAP", func(c *Config) { c.LocalRounds[0].PSK = []byte("x") }},
		{"LocalRounds", "no authentication of our own", func(c *Config) { c.LocalRounds = nil }},
		{"RemoteRounds", "no authentication of the gateway", func(c *Config) { c.RemoteRounds = nil }},
		{"RemoteRounds.PSK", "but there is none", func(c *Config) { c.RemoteRounds[0].Method = RemotePSK }},
		{"RemoteRounds.Loose", "may show another identity", func(c *Config) { c.RemoteRounds[0].Loose = true }},
		{"Authentication.PPK", "an ID and a key", func(c *Config) { c.Authentication.PPK = &PPK{Key: []byte("x")} }},
		{"RemoteRounds.Method", "with EAP, which we", func(c *Config) { c.LocalRounds[0] = LocalRound{ID: c.LocalRounds[0].ID, PSK: []byte("x")} }},
		{"RemoteRounds.Verifier", "no CA certificate", func(c *Config) { c.RemoteRounds[0].Method = RemotePubkey }},
		{"Fragmentation.Size", "fragment size", func(c *Config) { c.Fragmentation.Size = 10 }},
		{"Fragmentation.MaxPacket", "maximum packet", func(c *Config) { c.Fragmentation.MaxPacket = 10 }},
		{"Retransmission", "retransmission", func(c *Config) { c.Retransmission.Base = 0.5 }},
		{"", "proposals of home", func(c *Config) { c.Proposals = []string{"rot13"} }},
		{"", "esp_proposals", func(c *Config) { c.Children[0].Proposals = []string{"rot13"} }},
	} {
		cfg := testConfig(t)
		cfg.LocalRounds[0].EAP = &fakeEAP{}
		c.edit(&cfg)
		_, err := New(cfg)
		require.ErrorContains(t, err, c.says)
		if c.field != "" {
			var bad *ConfigError
			require.ErrorAs(t, err, &bad)
			require.Equal(t, c.field, bad.Field)
		}
	}
}
