package gateway_test

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"encoding/hex"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/md5"
	eaptnc "github.com/gotnc/gotnc/ike/eap/tnc"
	"github.com/gotnc/gotnc/ike/eap/ttls"
	"github.com/gotnc/gotnc/ike/transport"
	"github.com/gotnc/gotnc/imc"
	"github.com/gotnc/gotnc/imc/measure"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tnccs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	serverName = "moon.strongswan.org"
	user       = "carol"
	password   = "Ar3etTnp"
)

// agentIMC runs an imc.Agent as a collector of the TNC client.
type agentIMC struct {
	agent *imc.Agent
	id    uint32
}

func result(r imc.Result) error { return tnccs.ErrorOf(tnccs.Result(r)) }

func (a *agentIMC) Initialize(id uint32, host tnccs.TNCC) error {
	a.id = id
	if _, r := a.agent.Initialize(id, 1, 1); r != imc.ResultSuccess {
		return result(r)
	}
	return result(a.agent.ProvideHost(id, tncHost{host}))
}

func (a *agentIMC) NotifyConnectionChange(c uint32, s tnccs.ConnectionState) error {
	return result(a.agent.NotifyConnectionChange(a.id, c, imc.ConnectionState(s)))
}
func (a *agentIMC) BeginHandshake(c uint32) error { return result(a.agent.BeginHandshake(a.id, c)) }
func (a *agentIMC) BatchEnding(c uint32) error    { return result(a.agent.BatchEnding(a.id, c)) }
func (a *agentIMC) Terminate() error              { return result(a.agent.Terminate(a.id)) }
func (a *agentIMC) ReceiveMessage(c uint32, m tnccs.Message) error {
	var flags uint32
	if m.Exclusive {
		flags = imc.FlagExclusive
	}
	return result(a.agent.ReceiveMessageLong(a.id, c, flags, m.Data, m.Vendor, m.Subtype, m.SourceIMV, m.DestIMC))
}

// tncHost is the TNC client as the agent sees it.
type tncHost struct{ t tnccs.TNCC }

func (h tncHost) Has(imc.Function) bool { return true }
func (h tncHost) ReportMessageTypes(id uint32, types []uint32) imc.Result {
	return imc.Result(h.t.ReportMessageTypes(id, types))
}
func (h tncHost) ReportMessageTypesLong(id uint32, types []imc.MessageType) imc.Result {
	var vendors, subtypes []uint32
	for _, t := range types {
		vendors, subtypes = append(vendors, t.Vendor), append(subtypes, t.Subtype)
	}
	return imc.Result(h.t.ReportMessageTypesLong(id, vendors, subtypes))
}
func (h tncHost) RequestHandshakeRetry(id, c uint32, reason imc.RetryReason) imc.Result {
	return imc.Result(h.t.RequestHandshakeRetry(id, c, tnccs.RetryReason(reason)))
}
func (h tncHost) SendMessage(id, c uint32, m []byte, t uint32) imc.Result {
	return imc.Result(h.t.SendMessage(id, c, m, t))
}
func (h tncHost) SendMessageLong(id, c, flags uint32, m []byte, t imc.MessageType, imv uint32) imc.Result {
	return imc.Result(h.t.SendMessageLong(id, c, flags, m, t.Vendor, t.Subtype, imv))
}
func (h tncHost) ReserveAdditionalIMCID(id uint32) (uint32, imc.Result) {
	n, r := h.t.ReserveAdditionalIMCID(id)
	return n, imc.Result(r)
}

func (h tncHost) SetAttribute(id, c uint32, a imc.AttributeID, value []byte) imc.Result {
	return imc.Result(h.t.SetAttribute(id, c, tnccs.AttributeID(a), value))
}

func (h tncHost) GetAttribute(id, c uint32, a imc.AttributeID, _ int) ([]byte, imc.Result) {
	b, r := h.t.GetAttribute(id, c, tnccs.AttributeID(a))
	return b, imc.Result(r)
}

// peer is an eap.Peer below IKE.
type peer struct{ *eap.Peer }

func (p peer) Handle(b []byte) ([]byte, ike.EAPStatus, error) {
	response, status, err := p.Peer.Handle(b)
	switch status {
	case eap.StatusSuccess:
		return response, ike.EAPSuccess, err
	case eap.StatusFailure:
		return response, ike.EAPFailure, err
	}
	return response, ike.EAPContinue, err
}

// world is a CA, a gateway and what a client needs to reach it.
type world struct {
	t   *testing.T
	ca  *testpki.CA
	gw  *gateway.Gateway
	log *slog.Logger
}

func newWorld(t *testing.T, edit func(*gateway.Config)) *world {
	t.Helper()
	ca, err := testpki.NewCA("Root CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue(serverName, testpki.ECDSA, nil)
	require.NoError(t, err)
	w := &world{t: t, ca: ca}
	if testing.Verbose() {
		w.log = log.NewWriter(os.Stderr, slog.LevelInfo)
	}
	cfg := gateway.Config{Identity: serverName, Certificate: cert, Users: map[string]string{user: password}, Logger: w.log}
	if edit != nil {
		edit(&cfg)
	}
	w.gw, err = gateway.Listen(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.gw.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, w.gw.Close())
		require.NoError(t, <-served)
	})
	return w
}

// outcome is what a client's run came to.
type outcome struct {
	tnc       tnccs.Outcome
	err       error // of Run
	child     *ike.ChildSA
	childErr  error
	suite     string
	connected bool
}

// options of one run.
type options struct {
	method   eap.Type // PT where 0
	noIMC    bool
	password string
	edit     func(*ike.Config)
	// on runs once the CHILD_SA is up; then the client disconnects.
	on func(c *transport.Conn, child *ike.ChildSA)
	// stay keeps the connection until the gateway ends it.
	stay bool
	// agent changes the IMC.
	agent func(*imc.Config)
}

func (w *world) connect(o options) outcome {
	w.t.Helper()
	client, err := tnccs.NewClient(tnccs.Config{Logger: w.log})
	require.NoError(w.t, err)
	defer func() { require.NoError(w.t, client.Close()) }()
	if !o.noIMC {
		cfg := imc.Config{Logger: w.log, Measurer: measure.Files{}, Platform: measure.NewPlatform(measure.PlatformConfig{})}
		if o.agent != nil {
			o.agent(&cfg)
		}
		require.NoError(w.t, client.Add("Attestation", &agentIMC{agent: imc.New(cfg)}))
	}
	s := client.NewSession()
	defer func() { _ = s.Close() }()
	if o.method == 0 {
		o.method = eap.TypePT
	}
	if o.password == "" {
		o.password = password
	}
	roots := x509.NewCertPool()
	roots.AddCert(w.ca.Cert)
	inner := eap.Config{Identity: user, Methods: []eap.Offer{md5.Offer([]byte(o.password)),
		eaptnc.OfferPT(eaptnc.Config{Session: s}), eaptnc.OfferTNC(eaptnc.Config{Session: s})}}
	p := eap.NewPeer(eap.Config{Identity: user, Logger: w.log, Methods: []eap.Offer{
		ttls.Offer(ttls.Config{TLS: eap.TLSConfig{Roots: roots, ServerName: serverName}, Inner: inner, Logger: w.log})}})
	defer p.Close()

	conn, err := transport.Open(transport.Config{Remote: w.gw.Addr(), Logger: w.log, CloseTimeout: 2 * time.Second})
	require.NoError(w.t, err)
	defer func() { _ = conn.Close() }()
	local, err := ike.ParseIdentity("carol@strongswan.org")
	require.NoError(w.t, err)
	remote, err := ike.ParseIdentity(serverName)
	require.NoError(w.t, err)
	ts, err := ike.ParseTrafficSelector("10.1.0.0/16")
	require.NoError(w.t, err)
	cfg := ike.Config{
		Name: "home", LocalRounds: []ike.LocalRound{{ID: local, EAP: peer{p}}}, RemoteRounds: []ike.RemoteRound{{ID: remote}}, Logger: w.log,
		Children: []ike.ChildConfig{{Name: "home", RemoteTS: []ike.TrafficSelector{ts}}}, VirtualIPs: ike.VirtualIPs{Wanted: []netip.Addr{netip.IPv4Unspecified()}},
		ForceEncap: true, Retransmission: ike.Retransmission{Timeout: 300 * time.Millisecond, Base: 1, Tries: 8},
	}
	if o.edit != nil {
		o.edit(&cfg)
	}
	var out outcome
	var wait sync.WaitGroup
	defer wait.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out.err = conn.Run(ctx, cfg, func(e ike.Event) {
		switch e := e.(type) {
		case ike.Established:
			out.connected, out.suite = true, e.Suite
		case ike.ChildFailed:
			out.childErr = e.Err
			if !o.stay {
				conn.Stop()
			}
		case ike.ChildEstablished:
			out.child = e.Child
			if o.stay {
				return
			}
			wait.Add(1)
			go func() {
				defer wait.Done()
				if o.on != nil {
					o.on(conn, e.Child)
				}
				conn.Stop()
			}()
		}
	})
	out.tnc = s.Outcome()
	return out
}

func sum(b []byte) string    { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) }
func sum384(b []byte) string { s := sha512.Sum384(b); return hex.EncodeToString(s[:]) }

// files makes a directory with a.txt, b.txt and .hidden.
func files(t *testing.T) string {
	dir := t.TempDir()
	for name, text := range map[string]string{"a.txt": "hello\n", "b.txt": "world\n", ".hidden": "x"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	return dir
}
