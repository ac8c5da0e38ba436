package gateway

import (
	"container/heap"
	"errors"
	"flag"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/testpki"
)

// A day in the life of a connection, on a fake clock: the Machine against this
// gateway, which rekeys, deletes CHILD_SAs and IKE_SAs, asks for CHILD_SAs, limits the
// authentication and collides with it on a network that loses, repeats and reorders,
// while the client's address changes and it is killed and started again. GOTNC_LIFE_SEEDS says
// how many days (default 8 with -short, else 40; `make check` takes 1,000), -life.seed
// replays one and prints what happened.

var lifeSeed = flag.Uint64("life.seed", 0, "replay one seed of TestLife")

// lifeTargets are hosts behind the gateway, by CHILD_SA.
var lifeTargets = map[string]string{"net": "10.1.0.9", "lab": "10.2.0.9"}

var lifeNames = []string{"net", "lab"}

func TestLife(t *testing.T) {
	ca, err := testpki.NewCA("Root CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue("moon.gotnc.test", testpki.ECDSA, nil)
	require.NoError(t, err)
	if *lifeSeed != 0 {
		l := newLife(*lifeSeed, Config{Certificate: cert})
		l.verbose = true
		err := l.run()
		t.Logf("%s\n%s", l.journal.String(), l.counts)
		require.NoError(t, err)
		return
	}
	n := 40
	if testing.Short() {
		n = 8
	}
	if s := os.Getenv("GOTNC_LIFE_SEEDS"); s != "" {
		n, err = strconv.Atoi(s)
		require.NoError(t, err)
	}
	var next atomic.Uint64
	var wait sync.WaitGroup
	var mu sync.Mutex
	var total lifeCounts
	failed := 0
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for seed := next.Add(1); seed <= uint64(n); seed = next.Add(1) {
				l := newLife(seed, Config{Certificate: cert})
				err := l.run()
				mu.Lock()
				total.add(l.counts)
				if err != nil {
					failed++
					if failed <= 20 {
						t.Errorf("seed %d after %v: %v; replay with: go test ./internal/gateway -run TestLife -life.seed %d", seed, l.now.Sub(lifeBegin).Round(time.Second), err, seed)
					}
				}
				mu.Unlock()
			}
		})
	}
	wait.Wait()
	t.Logf("%d days, %d failed: %s", n, failed, total)
}

var lifeBegin = time.Unix(1700000000, 0)

// life is one simulated day.
type life struct {
	seed uint64
	rng  *rand.Rand
	now  time.Time
	g    *Gateway
	wire wire

	current *session   // the IKE_SA that carries packets, or is to
	next    *session   // that reauthentication replaces it with; nil = none
	ending  []*session // that were replaced
	limited bool       // the gateway has limited the authentication
	// givenUp are IKE_SAs that the client gave up while it connected, because it moved or
	// got no answer. The gateway keeps one whose IKE_AUTH still arrives: it asks for no
	// sign of life, and the next try has no INITIAL_CONTACT beside the IKE_SA that is up.
	givenUp map[message.SPI]bool

	local, remote netip.AddrPort
	plane         tunnel
	open          exchanges
	vip           netip.Addr
	offers        []string // of the client's CHILD_SAs
	ikeOffers     []string
	broken        time.Time // since when a deletion has taken a CHILD_SA away; zero = none is missing
	gap           time.Time // since when a probe does not come back
	quiet         time.Time // since when nothing is under way
	ops           []op
	nextOp        time.Time
	probing       bool
	replies       [][]byte

	counts  lifeCounts
	journal journal
	verbose bool
	failure error
}

// lifeProposals are what the gateway, and the client for its CHILD_SAs, are
// configured with.
var lifeProposals = []struct{ ike, esp, client []string }{
	{esp: []string{"chacha20poly1305"}},
	{esp: []string{"chacha20poly1305-x25519"}},
	{esp: []string{"default"}},
	{esp: []string{"aes128gcm16-x25519", "aes128gcm16"}},
	{ // additional key exchanges (RFC 9370)
		ike: []string{"chacha20poly1305-prfsha256-x25519-ke1_mlkem768-ke2_ecp256"},
		esp: []string{"chacha20poly1305-x25519-ke1_mlkem768"}, client: []string{"chacha20poly1305-x25519-ke1_mlkem768"},
	},
	{
		ike: []string{"chacha20poly1305-prfsha256-x25519-ke1_ecp256"},
		esp: []string{"chacha20poly1305-x25519-ke1_ecp256-ke2_ecp384"}, client: []string{"chacha20poly1305-x25519-ke1_ecp256-ke2_ecp384"},
	},
}

func newLife(seed uint64, cfg Config) *life {
	l := &life{seed: seed, givenUp: map[message.SPI]bool{}, rng: rand.New(rand.NewPCG(seed, 1)), now: lifeBegin, open: exchanges{},
		local: netip.MustParseAddrPort("192.0.2.2:4500"), remote: netip.MustParseAddrPort("198.51.100.1:4500"), vip: netip.MustParseAddr("10.3.0.2")}
	l.wire = wire{rng: l.rng, delay: time.Duration(5+l.rng.IntN(400)) * time.Millisecond}
	if l.rng.IntN(4) > 0 {
		l.wire.loss, l.wire.twice = l.rng.Float64()*0.1, l.rng.Float64()*0.1
	}
	cfg.Identity, cfg.PSK, cfg.MOBIKE, cfg.Tries = "moon.gotnc.test", []byte("secret"), true, 120
	cfg.Networks = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("10.2.0.0/16")}
	cfg.Unique = true
	p := lifeProposals[l.rng.IntN(len(lifeProposals))]
	cfg.IKEProposals, cfg.ESPProposals, l.offers, l.ikeOffers = p.ike, p.esp, p.client, p.ike
	if l.ikeOffers == nil {
		l.ikeOffers = []string{"chacha20poly1305-prfsha256-x25519"}
	}
	cfg.Rand = lifeRand{rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1})}
	if *lifeSeed != 0 {
		cfg.Logger = log.NewWriter(lineWriter{l, "gw     "}, slog.LevelInfo)
	}
	var err error
	l.g, err = InMemory(cfg, l.remote, func(to netip.AddrPort, b []byte) {
		if l.probing {
			l.replies = append(l.replies, b)
			return
		}
		l.wire.send(l.now, datagram{from: l.remote, to: to, data: b})
	})
	l.failure = err
	return l
}

// lifeRand is a repeatable source. Single octets are not taken of it: the standard
// library reads one at random.
type lifeRand struct{ *rand.ChaCha8 }

func (r lifeRand) Read(b []byte) (int, error) {
	if len(b) == 1 {
		b[0] = 0
		return 1, nil
	}
	return r.ChaCha8.Read(b)
}

type lineWriter struct {
	l    *life
	side string
}

func (w lineWriter) Write(b []byte) (int, error) {
	w.l.journal.add(w.l.now, "%s%s", w.side, strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

func (l *life) fail(err error) {
	if err != nil && l.failure == nil {
		l.failure = err
	}
}

// run lives the day.
func (l *life) run() error {
	if l.failure == nil {
		l.fail(l.connect(true))
	}
	defer func() { _ = l.g.Close() }()
	end := lifeBegin.Add(24 * time.Hour)
	l.nextOp = lifeBegin.Add(time.Minute)
	for steps := 0; l.failure == nil && l.now.Before(end); steps++ {
		if steps > 400000 {
			return errors.New("deadlines do not advance")
		}
		l.step(end)
		l.check()
		l.fail(l.succeed())
	}
	return l.failure
}

// step lets the next thing happen.
func (l *life) step(end time.Time) {
	next := end
	earlier := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	if len(l.wire.queue) > 0 {
		earlier(l.wire.queue[0].at)
	}
	for _, s := range l.sessions() {
		earlier(s.m.NextDeadline())
	}
	earlier(l.g.NextDeadline())
	for _, o := range l.ops {
		earlier(o.at)
	}
	earlier(l.nextOp)
	if !l.quiet.IsZero() && l.now.Sub(l.quiet) < 10*time.Second {
		earlier(l.quiet.Add(10 * time.Second))
	}
	if next.After(l.now) {
		l.now = next
	}
	for i, o := range l.ops {
		if !l.now.Before(o.at) {
			l.ops = append(l.ops[:i:i], l.ops[i+1:]...)
			l.say("-- %s", o.name)
			o.do(l)
			return
		}
	}
	if !l.now.Before(l.nextOp) {
		l.plan()
		return
	}
	if len(l.wire.queue) > 0 && !l.now.Before(l.wire.queue[0].at) {
		d := heap.Pop(&l.wire).(*datagram)
		l.counts.datagrams++
		switch {
		case d.toGateway:
			l.g.Deliver(l.now, d.from, d.data)
		case d.to != l.local: // the client has moved
		default:
			l.open.received(d.data[4:])
			for _, s := range l.sessions() {
				l.carry(s, s.m.Handle(l.now, ike.Datagram{From: d.from, To: d.to, Data: d.data[4:]}))
			}
		}
		return
	}
	for _, s := range l.sessions() {
		l.carry(s, s.m.Tick(l.now))
	}
	l.g.Tick(l.now)
}

func (l *life) say(format string, args ...any) {
	if l.verbose {
		l.journal.add(l.now, format, args...)
	}
}
