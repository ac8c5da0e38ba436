package gateway_test

import (
	"context"
	gocrypto "crypto"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	mrand "math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/transport"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tnccs"
)

// until waits for the newest client to come to a state.
func (w *world) until(s gateway.State) gateway.ClientReport {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.gw.Report().Last().State == s }, 5*time.Second, 5*time.Millisecond,
		"%+v", w.gw.Report().Last())
	return w.gw.Report().Last()
}

func TestAllowMeasuresFilesDirectoriesAndMetadata(t *testing.T) {
	dir := files(t)
	w := newWorld(t, func(c *gateway.Config) {
		c.Policy = imv.Policy{
			Files:       map[string]string{dir + "/a.txt": sum([]byte("hello\n"))},
			Directories: map[string]map[string]string{dir: {"a.txt": sum([]byte("hello\n")), "b.txt": sum([]byte("world\n"))}},
			Metadata:    []string{dir + "/a.txt", dir + "/"},
		}
	})
	out := w.connect(options{})
	require.NoError(t, out.err)
	require.NotNil(t, out.child)
	require.Equal(t, tnccs.RecommendAllow, out.tnc.Recommendation)
	require.Equal(t, tnccs.AssessmentCompliant, out.tnc.Assessment)
	r := w.until(gateway.Deleted)
	require.Equal(t, "carol@strongswan.org", r.Identity)
	require.Equal(t, user, r.EAPIdentity)
	require.EqualValues(t, tls.VersionTLS13, r.TLSVersion)
	require.Equal(t, "10.3.0.2", r.VirtualIP.String())
	require.Equal(t, []string{"10.1.0.0/16"}, r.LocalTS)
	require.Equal(t, []string{"10.3.0.2/32"}, r.RemoteTS)
	a := r.Assessment
	require.Equal(t, imv.Allow, a.Recommendation)
	require.Empty(t, a.Findings)
	require.Empty(t, a.Errors)
	require.Equal(t, "sha256", a.Hash)
	require.NotEmpty(t, a.Product)
	require.NotEmpty(t, a.Version)
	require.NotZero(t, a.SegmentSize)
	require.Len(t, a.Files, 3)
	for _, f := range a.Files {
		require.Equal(t, imv.Match, f.Result, f.String())
	}
	require.Len(t, a.Metadata, 3)
	require.Equal(t, dir+"/a.txt", a.Metadata[0].Path)
	require.EqualValues(t, 6, a.Metadata[0].Size)
	require.WithinDuration(t, time.Now(), a.Metadata[0].Modified, time.Minute)
}

func TestIsolateNarrowsAndSaysWhy(t *testing.T) {
	dir := files(t)
	w := newWorld(t, func(c *gateway.Config) {
		c.Quarantine = []netip.Prefix{netip.MustParsePrefix("10.1.99.0/24")}
		c.Policy = imv.Policy{
			Files:       map[string]string{dir + "/a.txt": sum([]byte("other")), dir + "/none": ""},
			Remediation: "https://example.org/help",
		}
	})
	out := w.connect(options{})
	require.NoError(t, out.err)
	require.Equal(t, tnccs.RecommendIsolate, out.tnc.Recommendation)
	require.Len(t, out.tnc.Reasons, 1)
	require.Contains(t, out.tnc.Reasons[0].Text, dir+"/a.txt: content differs")
	require.Contains(t, out.tnc.Reasons[0].Text, dir+"/none: File Not Found")
	require.Equal(t, "en", out.tnc.Reasons[0].Language)
	require.Equal(t, "https://example.org/help", out.tnc.Remediation[0].URI)
	require.Equal(t, "10.1.99.0/24", out.child.RemoteTS[0].String())
	require.Equal(t, imv.Isolate, w.until(gateway.Deleted).Assessment.Recommendation)
}

func TestDenyEndsInEAPFailure(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Policy.Force, c.Policy.Reason = imv.Deny, "go away" })
	out := w.connect(options{})
	require.ErrorIs(t, out.err, ike.ErrEAP)
	require.Equal(t, tnccs.RecommendDeny, out.tnc.Recommendation)
	require.Equal(t, "go away", out.tnc.Reasons[0].Text)
	require.Contains(t, w.until(gateway.Failed).Failure, "access denied")
}

func TestClientWithoutIMCIsDenied(t *testing.T) {
	w := newWorld(t, nil)
	out := w.connect(options{noIMC: true})
	require.ErrorIs(t, out.err, ike.ErrEAP)
	require.Equal(t, tnccs.RecommendDeny, out.tnc.Recommendation)
	require.Contains(t, w.until(gateway.Failed).Assessment.Reason, "no Attestation IMC")
}

func TestWrongPassword(t *testing.T) {
	w := newWorld(t, nil)
	out := w.connect(options{password: "wrong"})
	require.ErrorIs(t, out.err, ike.ErrEAP)
	require.Contains(t, w.until(gateway.Failed).Failure, "wrong name or password")
}

func TestSegmentsAreReassembled(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) {
		c.Policy = imv.Policy{SegmentSize: 200, Metadata: []string{"/etc/"}}
	})
	out := w.connect(options{})
	require.NoError(t, out.err)
	a := w.until(gateway.Deleted).Assessment
	require.Equal(t, imv.Allow, a.Recommendation, "%v", a.Findings)
	require.Greater(t, len(a.Metadata), 5)
	require.Greater(t, a.Rounds, 5)
	require.EqualValues(t, 200, a.SegmentSize)
	require.Contains(t, a.Attributes, "TCG/Segment Envelope")
	require.Equal(t, "TCG/Unix-Style File Metadata", a.Attributes[len(a.Attributes)-1])
}

func TestPolicyOnProductAndDevice(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.Policy.Product, c.Policy.Devices = "Plan 9", []string{"x"} })
	out := w.connect(options{})
	require.Equal(t, tnccs.RecommendIsolate, out.tnc.Recommendation)
	require.Len(t, w.until(gateway.Deleted).Assessment.Findings, 2)
}

// Every way to speak that the client has.
func TestWaysToSpeak(t *testing.T) {
	dir := files(t)
	for name, c := range map[string]struct {
		gw func(*gateway.Config)
		o  options
	}{
		"EAP-TNC":        {gw: func(c *gateway.Config) { c.Phase2 = []string{"md5", "tnc"} }, o: options{method: eap.TypeTNC}},
		"PT without MD5": {gw: func(c *gateway.Config) { c.Phase2 = []string{"pt"} }},
		"TLS 1.2":        {gw: func(c *gateway.Config) { c.MaxTLS = tls.VersionTLS12 }},
		"ask identity":   {gw: func(c *gateway.Config) { c.AskIdentity = true }},
		"sign":           {gw: func(c *gateway.Config) { c.SignAuth = true }},
		"CBC, modp": {gw: func(c *gateway.Config) {
			c.IKEProposals, c.ESPProposals = []string{"aes256-sha256-modp2048"}, []string{"aes128-sha256"}
		}},
		"ECP, ChaCha": {gw: func(c *gateway.Config) { c.IKEProposals = []string{"aes128gcm16-prfsha256-ecp256"} }},
		"ML-KEM": {
			gw: func(c *gateway.Config) {
				c.IKEProposals = []string{"aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke2_mlkem1024"}
			},
			o: options{edit: func(c *ike.Config) {
				c.Proposals = []string{"aes128gcm16-prfsha256-x25519-ke1_mlkem768-ke2_mlkem1024", "default"}
			}},
		},
		"small fragments": {gw: func(c *gateway.Config) { c.FragmentSize, c.EAPFragmentSize = 300, 500 }, o: options{edit: func(c *ike.Config) { c.Fragmentation.Size = 400 }}},
		"no fragments":    {gw: func(c *gateway.Config) { c.Faults.NoFragmentation = true }},
		"segments":        {gw: func(c *gateway.Config) { c.Policy.SegmentSize = 64; c.Policy.Metadata = []string{"/etc/"} }},
		"no contract":     {gw: func(c *gateway.Config) { c.Policy.NoSegmentation = true }},
		"no virtual IP":   {o: options{edit: func(c *ike.Config) { c.VirtualIPs.Wanted = nil }}},
		"SHA-384": {gw: func(c *gateway.Config) {
			c.Policy.Hash, c.Policy.Files = "sha384", map[string]string{dir + "/a.txt": sum384([]byte("hello\n"))}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(cfg *gateway.Config) {
				cfg.Policy.Files = map[string]string{dir + "/a.txt": sum([]byte("hello\n"))}
				cfg.Policy.Directories = map[string]map[string]string{dir: nil}
				if c.gw != nil {
					c.gw(cfg)
				}
			})
			out := w.connect(c.o)
			require.NoError(t, out.err)
			require.NoError(t, out.childErr)
			require.NotNil(t, out.child)
			r := w.until(gateway.Deleted)
			require.Equal(t, tnccs.RecommendAllow, out.tnc.Recommendation, "%+v", r.Assessment)
		})
	}
}

// Faults that a client must survive.
func TestFaultsThatAreSurvived(t *testing.T) {
	for name, f := range map[string]gateway.Faults{
		"cookie":        {Cookie: true},
		"two cookies":   {CookieTwice: true},
		"invalid KE":    {InvalidKE: true},
		"cookie and KE": {Cookie: true, InvalidKE: true},
		"lost requests": {DropIn: 2},
		"lost answers":  {DropOut: 2},
		"lossy":         {DropEvery: 4},
		"duplicates":    {Duplicate: true},
		"garbage":       {Garbage: true},
		"fragments":     {FragmentSize: 300, ReorderFragments: true},
		"lossy pieces":  {FragmentSize: 400, DropEvery: 9},
		"DPD":           {DPD: 100 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *gateway.Config) { c.Faults = f })
			out := w.connect(options{on: func(*transport.Conn, *ike.ChildSA) {
				if f.DPD > 0 {
					time.Sleep(500 * time.Millisecond)
				}
			}})
			require.NoError(t, out.err)
			require.NotNil(t, out.child)
			require.Equal(t, tnccs.RecommendAllow, out.tnc.Recommendation)
			if f.DropOut > 0 {
				require.NotZero(t, w.gw.Report().Last().Retransmits)
			}
			w.until(gateway.Deleted)
		})
	}
}

// Faults that have to end a connection, with the reason that the user sees.
func TestFaultsThatEndTheConnection(t *testing.T) {
	other, err := testpki.NewCA("Other CA", testpki.ECDSA)
	require.NoError(t, err)
	foreign, err := other.Issue(serverName, testpki.ECDSA, nil)
	require.NoError(t, err)
	for name, c := range map[string]struct {
		f    gateway.Faults
		want error
		edit func(*ike.Config)
	}{
		"silent":       {f: gateway.Faults{Silent: true}, want: ike.ErrNoAnswer},
		"silent later": {f: gateway.Faults{SilentAfter: 3}, want: ike.ErrNoAnswer},
		"proposal":     {f: gateway.Faults{NoProposal: true}, want: ike.ErrProposal},
		"identity":     {f: gateway.Faults{WrongIdentity: "mallory.strongswan.org"}, want: ike.ErrGatewayAuth},
		"certificate":  {f: gateway.Faults{Certificate: &foreign}, want: ike.ErrEAP},
		"AUTH":         {f: gateway.Faults{BadAuth: true}, want: ike.ErrGatewayAuth},
		"EAP failure":  {f: gateway.Faults{EAPFailure: true}, want: ike.ErrEAP},
		"EAP success":  {f: gateway.Faults{EarlySuccess: true}, want: ike.ErrEAP},
		"batch":        {f: gateway.Faults{BadBatch: true}, want: ike.ErrEAP},
		"deleted":      {f: gateway.Faults{DeleteAfter: 50 * time.Millisecond}, want: ike.ErrPeerDeleted},
		"too late": {f: gateway.Faults{DropEvery: 2}, want: ike.ErrTimeout,
			edit: func(c *ike.Config) {
				c.Timers.EstablishTimeout = 200 * time.Millisecond
				c.Retransmission = ike.Retransmission{Timeout: 150 * time.Millisecond, Base: 1, Tries: 3}
			}},
		"undecided": {f: gateway.Faults{NoRecommendation: true}, want: ike.ErrEAP},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(cfg *gateway.Config) { cfg.Faults = c.f })
			out := w.connect(options{stay: true, edit: func(cfg *ike.Config) {
				cfg.Retransmission = ike.Retransmission{Timeout: 50 * time.Millisecond, Base: 1, Tries: 3}
				if c.edit != nil {
					c.edit(cfg)
				}
			}})
			require.ErrorIs(t, out.err, c.want)
		})
	}
}

func TestChildFaultsLeaveTheIKESA(t *testing.T) {
	for name, f := range map[string]gateway.Faults{
		"proposal":   {NoChildProposal: true},
		"virtual IP": {NoVirtualIP: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *gateway.Config) { c.Faults = f })
			out := w.connect(options{})
			require.Nil(t, out.child)
			require.ErrorIs(t, out.childErr, ike.ErrChild)
			w.until(gateway.Deleted)
		})
	}
	w := newWorld(t, func(c *gateway.Config) { c.Networks = []netip.Prefix{netip.MustParsePrefix("192.168.7.0/24")} })
	require.ErrorIs(t, w.connect(options{}).childErr, ike.ErrChild, "traffic selectors")
}

// ping sends echo requests through the tunnel and counts the answers.
func ping(t *testing.T, conn *transport.Conn, child *ike.ChildSA, dst string, n int) int {
	in, out, err := child.Ciphers(nil)
	require.NoError(t, err)
	sa, err := esp.NewSA(esp.Config{SPIIn: child.SPIIn, SPIOut: child.SPIOut, In: in, Out: out, LocalTS: child.LocalTS, RemoteTS: child.RemoteTS})
	require.NoError(t, err)
	defer sa.Close()
	got := make(chan esp.Echo, 2*n)
	conn.OnESP(func(packets ...[]byte) {
		for _, p := range packets {
			inner, err := sa.Open(p)
			if err != nil {
				continue
			}
			if e, err := esp.ParseEcho(inner); err == nil && e.Reply {
				got <- e
			}
		}
	})
	defer conn.OnESP(nil)
	answers := 0
	for i := range n {
		src, _ := child.LocalTS[0].Prefix()
		e := esp.Echo{Src: src.Addr(), Dst: netip.MustParseAddr(dst), ID: 7, Seq: uint16(i), Data: make([]byte, 10*i)}
		p, err := e.Append(nil)
		require.NoError(t, err)
		p, err = sa.Seal(nil, p)
		require.NoError(t, err)
		require.NoError(t, conn.SendESP(p))
		require.NoError(t, conn.SendESP(p), "a replay")
		select {
		case a := <-got:
			require.Equal(t, e.Seq, a.Seq)
			require.Len(t, a.Data, len(e.Data))
			require.Equal(t, e.Dst, a.Src)
			answers++
		case <-time.After(2 * time.Second):
		}
	}
	return answers
}

func TestPingThroughTheTunnel(t *testing.T) {
	for _, proposal := range []string{"default", "aes128-sha256", "aes256gcm16", "chacha20poly1305"} {
		t.Run(proposal, func(t *testing.T) {
			w := newWorld(t, func(c *gateway.Config) { c.ESPProposals = []string{proposal} })
			answers := 0
			out := w.connect(options{
				edit: func(c *ike.Config) { c.Children[0].Proposals = []string{proposal} },
				on:   func(c *transport.Conn, child *ike.ChildSA) { answers = ping(t, c, child, "10.1.2.3", 20) },
			})
			require.NoError(t, out.err)
			require.Equal(t, 20, answers)
			r := w.until(gateway.Deleted)
			require.Equal(t, 20, r.Echoes)
			require.Equal(t, 20, r.PacketsIn)
			require.Equal(t, 20, r.PacketsBad, "replays")
		})
	}
}

func TestSeveralClientsAtOnce(t *testing.T) {
	w := newWorld(t, nil)
	var wait sync.WaitGroup
	for i := range 6 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			out := w.connect(options{on: func(c *transport.Conn, child *ike.ChildSA) {
				if n := ping(t, c, child, "10.1.0.1", 3); n != 3 {
					t.Errorf("client %d: %d answers", i, n)
				}
			}})
			if out.err != nil || out.tnc.Recommendation != tnccs.RecommendAllow {
				t.Errorf("client %d: %v, %v", i, out.err, out.tnc.Recommendation)
			}
		}()
	}
	wait.Wait()
	seen := map[netip.Addr]bool{}
	for _, c := range w.gw.Report().Clients {
		seen[c.VirtualIP] = true
	}
	require.NotEmpty(t, seen)
}

func TestGatewayDeletes(t *testing.T) {
	w := newWorld(t, nil)
	done := make(chan struct{})
	go func() {
		defer close(done)
		require.Eventually(t, func() bool { return w.gw.Delete() == 1 }, 5*time.Second, 10*time.Millisecond)
	}()
	out := w.connect(options{stay: true})
	<-done
	require.ErrorIs(t, out.err, ike.ErrPeerDeleted)
	w.until(gateway.Deleted)
}

// signedBy trusts certificates that its CA signed.
type signedBy struct{ ca *x509.Certificate }

func (v signedBy) Verify(_ context.Context, p ike.PeerCertificates) ([]gocrypto.PublicKey, error) {
	c, err := x509.ParseCertificate(p.Certs[0])
	if err == nil {
		err = c.CheckSignatureFrom(v.ca)
	}
	if err != nil {
		return nil, err
	}
	return []gocrypto.PublicKey{c.PublicKey}, nil
}

func TestCertificateAuthentication(t *testing.T) {
	for _, k := range []testpki.Key{testpki.ECDSA, testpki.RSA} {
		for _, bad := range []bool{false, true} {
			t.Run(fmt.Sprintf("key %d, bad %v", k, bad), func(t *testing.T) {
				ca, err := testpki.NewCA("Root CA", k)
				require.NoError(t, err)
				cert, err := ca.Issue(serverName, k, nil)
				require.NoError(t, err)
				w := newWorld(t, func(c *gateway.Config) { c.Certificate, c.Faults.BadAuth = cert, bad })
				w.ca = ca
				out := w.connect(options{edit: func(c *ike.Config) {
					c.RemoteRounds[0].Method, c.RemoteRounds[0].Verifier = ike.RemotePubkey, signedBy{ca.Cert}
				}})
				if bad {
					require.ErrorIs(t, out.err, ike.ErrGatewayAuth)
					return
				}
				require.NoError(t, out.err)
				require.True(t, out.connected)
			})
		}
	}
}

func TestIPv6(t *testing.T) {
	if c, err := net.ListenPacket("udp", "[::1]:0"); err != nil {
		t.Skip("SKIP needs IPv6 on the loopback interface: sysctl net.ipv6.conf.lo.disable_ipv6=0")
	} else {
		require.NoError(t, c.Close())
	}
	w := newWorld(t, func(c *gateway.Config) {
		c.Listen = "[::1]:0"
		c.Pool = netip.MustParsePrefix("fec3::/64")
		c.Networks = []netip.Prefix{netip.MustParsePrefix("fec1::/16")}
	})
	answers := 0
	out := w.connect(options{
		edit: func(c *ike.Config) {
			ts, err := ike.ParseTrafficSelector("fec1::/16")
			require.NoError(t, err)
			c.Children[0].RemoteTS = []ike.TrafficSelector{ts}
			c.VirtualIPs.Wanted = []netip.Addr{netip.IPv6Unspecified()}
		},
		on: func(c *transport.Conn, child *ike.ChildSA) { answers = ping(t, c, child, "fec1::1", 3) },
	})
	require.NoError(t, out.err)
	require.Equal(t, 3, answers)
}

// What is no message of a client must neither be answered for long nor harm.
func TestHostileDatagrams(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.MaxClients = 1 << 16 })
	c, err := net.Dial("udp", w.gw.Addr().String())
	require.NoError(t, err)
	defer func() { require.NoError(t, c.Close()) }()
	rng := mrand.New(mrand.NewPCG(1, 2))
	header := message.Header{SPIi: 1, Exchange: message.IKESAInit, Flags: message.FlagInitiator}
	proposals := crypto.DefaultIKE()
	init, err := (&message.Message{Header: header, Payloads: []message.Payload{
		crypto.SAPayload(proposals, nil), &message.KE{Method: crypto.PreferredKE(proposals), Data: make([]byte, 32)}, &message.Nonce{Data: make([]byte, 32)},
	}}).AppendBinary(nil)
	require.NoError(t, err)
	other := header
	other.Version = 0x30
	major, err := (&message.Message{Header: other}).AppendBinary(nil)
	require.NoError(t, err)
	for _, b := range [][]byte{{0xff}, {0}, {0, 0, 0, 0}, init, major, {1, 2, 3, 4, 5, 6, 7, 8, 9}} {
		_, err = c.Write(append([]byte{0, 0, 0, 0}, b...))
		require.NoError(t, err)
		_, err = c.Write(b)
		require.NoError(t, err)
	}
	for range 2000 {
		b := append([]byte{0, 0, 0, 0}, init...)
		for range 1 + rng.IntN(4) {
			b[4+rng.IntN(len(init))] = byte(rng.Uint32())
		}
		_, err = c.Write(b[:5+rng.IntN(len(init))])
		require.NoError(t, err)
		_, err = c.Write(b)
		require.NoError(t, err)
	}
	require.NoError(t, w.connect(options{}).err, "the gateway still works")
}

func TestHalfOpenClientsEnd(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.HalfOpen, c.Faults.SilentAfter = 200*time.Millisecond, 2 })
	_ = w.connect(options{edit: func(c *ike.Config) {
		c.Retransmission = ike.Retransmission{Timeout: 50 * time.Millisecond, Base: 1, Tries: 2}
	}})
	require.Equal(t, "timed out", w.until(gateway.Failed).Failure)
}

func TestListenRefusesBadConfigurations(t *testing.T) {
	ca, err := testpki.NewCA("Root CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue(serverName, testpki.ECDSA, nil)
	require.NoError(t, err)
	good := gateway.Config{Identity: serverName, Certificate: cert}
	for i, edit := range []func(*gateway.Config){
		func(c *gateway.Config) { c.Identity = "" },
		func(c *gateway.Config) { c.Certificate = tls.Certificate{} },
		func(c *gateway.Config) { c.Phase2 = []string{"gtc"} },
		func(c *gateway.Config) { c.Phase2 = []string{"pt", "md5"} },
		func(c *gateway.Config) { c.IKEProposals = []string{"rot13"} },
		func(c *gateway.Config) { c.ESPProposals = []string{"rot13"} },
		func(c *gateway.Config) { c.Listen = "nowhere" },
		func(c *gateway.Config) { c.Policy.Hash = "md5" },
		func(c *gateway.Config) { c.Policy.Files = map[string]string{"relative": ""} },
		func(c *gateway.Config) { c.Policy.Files = map[string]string{"/x": "zz"} },
		func(c *gateway.Config) { c.Policy.Metadata = []string{"x"} },
	} {
		bad := good
		edit(&bad)
		_, err := gateway.Listen(bad)
		require.Error(t, err, fmt.Sprint(i))
	}
	gw, err := gateway.Listen(good)
	require.NoError(t, err)
	require.NoError(t, gw.Close())
	require.NoError(t, gw.Close())
	require.NoError(t, gw.Serve(context.Background()), "after Close")
}

func TestFullGatewayIgnoresNewClients(t *testing.T) {
	w := newWorld(t, func(c *gateway.Config) { c.MaxClients = 1 })
	var second error
	out := w.connect(options{on: func(*transport.Conn, *ike.ChildSA) {
		second = w.connect(options{edit: func(c *ike.Config) {
			c.Retransmission = ike.Retransmission{Timeout: 20 * time.Millisecond, Base: 1, Tries: 2}
		}}).err
	}})
	require.NoError(t, out.err)
	require.ErrorIs(t, second, ike.ErrNoAnswer)
}
