// Package client is the life of one connection of a profile: it connects to the
// gateway, attests, carries packets, renews keys, reconnects, and removes what it
// made. It knows no command line.
package client

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/transport"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// Config describes the run of a connection.
type Config struct {
	Profile *profile.Profile // with a connection; required
	Version string           // of this program, for the log
	Logger  *slog.Logger     // nil discards

	// Dataplane says who carries the packets: auto, xfrm, tun or none; "" = none.
	Dataplane string
	// Plane carries the packets in place of Dataplane; nil = as that says.
	Plane dataplane.Plane

	// Stay keeps the connection up, as keyingtries, dpd_action and close_action
	// say, until it is ended; else it ends once the tunnel is up.
	Stay bool
	// Reattest is the interval of new attestations of a connection that stays;
	// 0 = only when an IMC or the gateway asks.
	Reattest time.Duration
	// RunDir is where a connection that stays can be spoken to and leaves a note
	// of what to remove if it is killed; "" = DefaultRunDir.
	RunDir RunDir

	KeyLog   func(line string)                // gets the keys of the IKE_SAs; nil = none
	Trace    func(tnccs.Exchange)             // gets every PA-TNC message; nil = none
	Progress func(format string, args ...any) // says what goes on; nil = nobody
	// Met is called when the tunnel is up, or waits for packets; nil = nobody is.
	Met func()
	// OnUp is called once, when the tunnel is up for the first time; it may call
	// Status. Nil = nobody is called.
	OnUp func(Result)
	// OnEvent is called with what happens to a connection that stays; nil = nobody is.
	OnEvent func(Event)
	// Words makes a sentence of a failure, with what to do, and names its kind; nil = the
	// error as it is.
	Words func(Result, error) (sentence, code string)
}

// Client is one run of a connection: New, Run once, Close.
type Client struct {
	cfg     Config
	profile *profile.Profile
	logger  *slog.Logger
	tnc     *tnccs.Client
	builder *profile.Builder
	plane   dataplane.Plane
	runDir  *runFiles // of connections that stay; else nil

	state state

	// What the goroutine that supervises owns: the one of Run.
	started   time.Time
	redirects redirects
	keyed     bool                    // EAP came as far as its key
	found     map[string][]netip.Addr // names of the gateway that were looked up

	// lossTime and quickAnswer are the constants, but in tests.
	lossTime, quickAnswer time.Duration

	closed   sync.Once
	stop     context.CancelCauseFunc // ends the connection in order
	reauth   chan string             // asks for a new IKE_SA, and says why
	switched chan struct{}           // another IKE_SA carries the packets
	watchers watchers
	sock     atomic.Pointer[transport.Conn] // that carries the packets; nil before the first
	trap     trap

	// events serializes what the events of IKE_SAs do. It guards what follows;
	// between attempts that is the supervisor's.
	events  sync.Mutex
	failure error // why this end gave the connection up
	planeUp bool  // the data plane was started, or is a trap
	hooked  bool  // the hooks were told that the tunnel is up
	hooks   hooks
	record  cleanupRecord
}

// New loads the IMCs, chooses the data plane and takes the lock of the
// connection: what cannot work is an error at once. An IMC that does not load is
// an error that names it. The caller closes the Client.
func New(ctx context.Context, cfg Config) (c *Client, err error) {
	c = &Client{
		cfg: cfg, profile: cfg.Profile, logger: cfg.Logger, plane: cfg.Plane, lossTime: lossTime, quickAnswer: quickAnswer, found: map[string][]netip.Addr{},
		reauth: make(chan string, 1), switched: make(chan struct{}, 1), trap: trap{traffic: make(chan struct{}, 1)},
	}
	if c.logger == nil {
		c.logger = log.Discard()
	}
	if c.cfg.RunDir == "" {
		c.cfg.RunDir = runDirHere(true)
	}
	c.state.children = map[uint32]Child{}
	c.state.result = Result{Connection: c.profile.Connection.Name, IMCs: []string{}}
	c.builder = profile.NewBuilder(c.profile, tncSession{c}, c.logger)
	c.builder.Prepare() // while the IMCs are loaded
	if err := c.loadIMCs(ctx); err != nil {
		c.builder.Close()
		return nil, err
	}
	if c.plane == nil {
		c.plane, err = c.choosePlane()
	}
	if err == nil && cfg.Stay && (c.plane.Info().Carries || os.Geteuid() == 0) {
		c.runDir, err = c.takeLock()
	}
	if err != nil {
		_ = c.tnc.Close()
		c.builder.Close()
		return nil, err
	}
	return c, nil
}

func (c *Client) loadIMCs(ctx context.Context) error {
	cfg, err := c.profile.TNC(c.logger, false)
	if err != nil {
		return err
	}
	c.profile.LogConfiguration(c.logger, c.cfg.Version)
	cfg.Trace = c.cfg.Trace
	if c.tnc, err = tnccs.NewClient(cfg); err != nil {
		return err
	}
	err = c.profile.LoadIMCs(c.tnc, c.profile.IMCOptions(ctx, c.logger), func(e dlimc.Entry) {
		c.progress("loading IMC %q", e.Name)
		c.state.result.IMCs = append(c.state.result.IMCs, e.Name)
	})
	if err != nil {
		_ = c.tnc.Close()
	}
	return err
}

// Close ends the IMCs and gives the lock back; Run must not run any more. It may
// be called more than once.
func (c *Client) Close() {
	c.closed.Do(func() {
		c.runDir.close()
		c.builder.Close()
		if s, _ := c.state.newestSession(); s != nil {
			_ = s.Close()
		}
		if err := c.tnc.Close(); err != nil {
			log.Group(c.logger, log.TNC).Warn(err.Error())
		}
	})
}

// Run connects and, where the connection stays, keeps it up until ctx is done,
// somebody ends it through the control socket, or it fails for good. The result
// is valid beside an error too; a connection that was up and that the user ended
// is no error.
func (c *Client) Run(ctx context.Context) (Result, error) {
	c.started = time.Now()
	err := c.supervise(ctx)
	if timeout := new(TimeoutError); errors.As(err, &timeout) && timeout.Last == nil {
		err = &TimeoutError{timeout.After, c.unfinished()}
	}
	if c.failure != nil {
		err = c.failure
	}
	res := c.result()
	byUser := (res.Up || res.Trapped) && (errors.Is(err, context.Canceled) || errors.Is(err, errDown))
	if byUser {
		err = nil
	}
	c.updateTotals(byUser)
	if c.planeUp {
		c.hooks.down()
	}
	c.warnPlane(c.plane.Close())
	c.happened(EventEnded, err, !res.Up, time.Time{})
	res = c.result()
	return res, c.cause(err)
}

// cause returns what is behind the failure of an IKE_SA.
func (c *Client) cause(err error) error {
	session, _ := c.state.newestSession()
	switch {
	case errors.Is(err, eap.ErrEarly) && session != nil:
		if v := session.PeerVerdict(); v != nil {
			return v // the gateway declared success ahead of its own measurement
		}
	case errors.Is(err, ike.ErrAuthFailed) && c.keyed && c.profile.Charon.TLS.VersionMax != "1.2":
		return &KeyError{err}
	}
	return err
}

// KeyError is the refusal of a gateway after EAP succeeded at both ends, so that
// the two disagree about the key that it yields.
type KeyError struct{ Err error }

func (e *KeyError) Error() string { return e.Err.Error() }
func (e *KeyError) Unwrap() error { return e.Err }

// met reports that the connection is up, or waits for packets.
func (c *Client) met() {
	if c.cfg.Met != nil {
		c.cfg.Met()
	}
}

func (c *Client) progress(format string, args ...any) {
	if c.cfg.Progress != nil {
		c.cfg.Progress(format, args...)
	}
}

// result returns a copy of what the connection has come to.
func (c *Client) result() Result {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	r := c.state.result
	r.IMCs, r.Attempts = slices.Clone(r.IMCs), slices.Clone(r.Attempts)
	r.Trapped = c.trap.laid
	return r
}

// updateTotals brings the figures and the attestation of the result up to date. With
// decided an attestation that was not decided, as one that was cut short or failed
// while the connection was up, leaves the last decision in place.
func (c *Client) updateTotals(decided bool) {
	session, _ := c.state.newestSession()
	var outcome tnccs.Outcome
	var verdict MutualVerdict
	if session != nil {
		outcome, verdict = session.Outcome(), VerdictOf(session)
	}
	c.state.update(func(r *Result) {
		if !r.Up || r.Duration == 0 {
			r.Duration = time.Since(c.started)
		}
		if sock := c.sock.Load(); sock != nil {
			r.Transport = c.transport()
			st := sock.Stats()
			r.Exchanges, r.BytesSent, r.BytesReceived = st.Exchanges, st.BytesSent, st.BytesReceived
		}
		if session != nil && (!decided || RecommendationOf(outcome.Recommendation) != None) {
			r.Outcome, r.Mutual = outcome, verdict
		}
	})
}
