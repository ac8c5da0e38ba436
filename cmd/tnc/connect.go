package main

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/explain"
	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/ike/udp"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

// connection is one run of a connection of swanctl.conf. newConnection, run,
// close; once.
type connection struct {
	*profile.Profile
	logger   *slog.Logger
	progress *progress
	plane    plane // who carries the packets
	mark     uint32
	// ready hears that the connection stands; with stay unset it then ends.
	ready func(*outcome)
	stay  bool

	client  *tnccs.Client
	session *tnccs.Session // nil until the gateway asks for attestation
	begun   bool           // it did, for the newest IKE_SA

	transcript *explain.Transcript // of --explain, else nil
	sock       *udp.Conn
	out        outcome
	started    time.Time
	failure    error // why the connection was given up from our side
	up         bool
	keyed      bool // EAP came as far as its key

	life     lifeState
	hooks    hooks
	end      context.CancelCauseFunc // ends the connection in order
	needsUDP bool                    // the data plane takes ESP in UDP only
	planeUp  bool                    // the data plane was started, or is a trap
	hooked   bool                    // the hooks were told that it is up
	trap     trap
	reattest time.Duration // 0 = only when asked to
	left     leftovers
	keylog   func(line string) // of --keylog, else nil
	guard    *guard            // of connections that stay; else nil

	builder *profile.Builder
}

// newConnection loads the IMCs: an IMC that does not load is an error that
// names it.
func newConnection(ctx context.Context, s *profile.Profile, logger *slog.Logger, p *progress, traced bool) (*connection, error) {
	c := &connection{Profile: s, logger: logger, progress: p, plane: noPlane{}, trap: trap{traffic: make(chan struct{}, 1)}}
	c.out = outcome{Connection: s.Connection.Name, assessed: assessed{Recommendation: recNone}, IMCs: []string{}}
	c.builder = profile.NewBuilder(s, tncSession{c}, logger)
	cfg, err := s.TNC(logger, false)
	if err != nil {
		return nil, err
	}
	s.Log(logger, version)
	if traced {
		c.transcript = &explain.Transcript{}
		cfg.Trace = c.transcript.Add
	}
	if c.client, err = tnccs.NewClient(cfg); err != nil {
		return nil, err
	}
	err = s.LoadIMCs(c.client, s.IMCOptions(ctx, logger), func(e dlimc.Entry) {
		p.note("loading IMC %q", e.Name)
		c.out.IMCs = append(c.out.IMCs, e.Name)
	})
	if err != nil {
		_ = c.client.Close()
		return nil, err
	}
	return c, nil
}

// close ends the IMCs; the connection must not run any more.
func (c *connection) close() {
	if c.session != nil {
		_ = c.session.Close()
	}
	if err := c.client.Close(); err != nil {
		log.Group(c.logger, log.TNC).Warn(err.Error())
	}
}

// run connects and returns the outcome with the reason where it failed.
func (c *connection) run(ctx context.Context) (*outcome, error) {
	c.started = time.Now()
	err := c.connect(ctx)
	c.settle()
	if c.planeUp {
		c.hooks.down()
	}
	if cerr := c.plane.close(); cerr != nil {
		log.Group(c.logger, log.KNL).Warn(cerr.Error())
	}
	if c.failure != nil {
		err = c.failure
	}
	if (c.up || c.trap.laid) && (errors.Is(err, context.Canceled) || errors.Is(err, errDown)) {
		err = nil // the user ended it
	}
	if err != nil {
		err = c.explain(err)
	}
	c.out.setExit(err)
	return &c.out, err
}
