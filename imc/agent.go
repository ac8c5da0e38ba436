package imc

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

// MaxConnections bounds the connections that an Agent keeps a state for.
const MaxConnections = 4096

// Agent is one loaded IMC. Its methods are the TNC_IMC_* functions; they may be
// called from any thread, for different connections at once. The Agent holds
// no lock while it calls the Host. Create one with New.
type Agent struct {
	cfg  Config
	opt  options
	log  *slog.Logger // IMC
	tnc  *slog.Logger // TNC
	name string

	mu     sync.Mutex
	loaded *loaded // nil before Initialize and after Terminate
}

// loaded is what lives from Initialize to Terminate.
type loaded struct {
	id    uint32
	host  Host // nil before ProvideHost
	ctx   context.Context
	stop  context.CancelFunc
	conns map[uint32]*connection
	os    bool // sends operating system attributes

	groups pts.DHGroups // for D-H nonces
}

// New returns an Agent that is not initialised.
func New(cfg Config) *Agent {
	if cfg.Name == "" {
		cfg.Name = "Attestation"
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.WithTimeout == nil {
		cfg.WithTimeout = func(parent context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
			return context.WithCancel(parent)
		}
	}
	if cfg.Settings == nil {
		cfg.Settings = defaults{}
	}
	return &Agent{cfg: cfg, opt: readOptions(cfg.Settings), name: cfg.Name, log: log.Group(cfg.Logger, log.IMC), tnc: log.Group(cfg.Logger, log.TNC)}
}

// defaults is Settings where nothing is set.
type defaults struct{}

func (defaults) String(_, def string) string { return def }

func (defaults) Bool(_ string, def bool) bool { return def }

func (defaults) Int(_ string, def int) int { return def }

// Initialize is TNC_IMC_Initialize (IF-IMC 1.3 section 3.8.1). Only version 1 exists.
func (a *Agent) Initialize(imcID, minVersion, maxVersion uint32) (version uint32, r Result) {
	if a.Initialized() {
		log.Infof(a.log, "IMC %q has already been initialized", a.name)
		return 0, ResultAlreadyInitialized
	}
	if minVersion > Version1 || maxVersion < Version1 {
		log.Infof(a.log, "no common IF-IMC version")
		return 0, ResultNoCommonVersion
	}
	l := &loaded{id: imcID, conns: map[uint32]*connection{}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.os = a.cfg.Platform != nil && a.opt.osInfo
	log.Infof(a.log, "IMC %d %q initialized", imcID, a.name)
	ok := false
	if l.groups, ok = a.probe(); !ok {
		l.stop()
		return 0, ResultFatal
	}
	a.mu.Lock()
	if a.loaded != nil {
		a.mu.Unlock()
		l.stop()
		return 0, ResultAlreadyInitialized
	}
	a.loaded = l
	a.mu.Unlock()
	if l.os && !a.siblingLoaded("imc-os") {
		a.announcePlatform(l.ctx)
	}
	return Version1, ResultSuccess
}

// Initialized reports whether the Agent is between Initialize and Terminate.
func (a *Agent) Initialized() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.loaded != nil
}

// get returns what is loaded, or the result of a call that may not go on, after
// a line of log: every function takes the ID that Initialize was called with.
func (a *Agent) get(imcID uint32) (*loaded, Result) {
	a.mu.Lock()
	l := a.loaded
	a.mu.Unlock()
	switch {
	case l == nil:
		log.Infof(a.log, "IMC %q has not been initialized", a.name)
		return nil, ResultNotInitialized
	case l.id != imcID:
		log.Infof(a.log, "IMC %d %q was called by the unknown ID %d", l.id, a.name, imcID)
		return nil, ResultInvalidParameter
	}
	return l, ResultSuccess
}

// ProvideHost is TNC_IMC_ProvideBindFunction (IF-IMC 1.3 section 4.2.8.1), after
// the caller has bound the host's functions: it reports the message types, in the
// long form where the host has it. A host needs one way to report and one to
// send.
func (a *Agent) ProvideHost(imcID uint32, h Host) Result {
	l, r := a.get(imcID)
	if r != ResultSuccess {
		return r
	}
	if h == nil {
		log.Infof(a.log, "TNC client failed to provide bind function")
		return ResultInvalidParameter
	}
	if !h.Has(FuncSendMessage) && !h.Has(FuncSendMessageLong) {
		log.Infof(a.log, "TNC client offers neither %v nor %v", FuncSendMessage, FuncSendMessageLong)
		return ResultFatal
	}
	a.mu.Lock()
	l.host = h
	a.mu.Unlock()

	types := []MessageType{TypePTS}
	if l.os && !keepsOneMessage(h) {
		types = append(types, TypeOperatingSystem, TypeFirewall)
	}
	r = ResultFatal
	switch {
	case h.Has(FuncReportMessageTypesLong):
		r = h.ReportMessageTypesLong(imcID, types)
	case h.Has(FuncReportMessageTypes):
		short := make([]uint32, len(types))
		for i, t := range types {
			short[i], _ = t.Short()
		}
		r = h.ReportMessageTypes(imcID, short)
	}
	if r != ResultSuccess {
		log.Infof(a.log, "IMC %d %q could not report its message types: %v", imcID, a.name, r)
		return r
	}
	log.Infof(a.log, "IMC %d %q provided with bind function", imcID, a.name)
	return ResultSuccess
}

// keepsOneMessage reports whether the host may keep only the last message that
// an IMC sends in a batch. wpa_supplicant does, and neither it nor any other
// such host has the long functions; strongSwan has them. Two replies to one
// batch would replace each other there and nothing tells where a batch begins
// (BatchEnding is never called). So on such a host the operating system's
// attributes are sent at BeginHandshake, the only message then, and the type
// IETF/Operating System is not subscribed to: every later message is a reply
// of PTS, one for one received.
func keepsOneMessage(h Host) bool { return h == nil || !h.Has(FuncSendMessageLong) }

// NotifyConnectionChange is TNC_IMC_NotifyConnectionChange (IF-IMC 1.3 section 3.8.2).
func (a *Agent) NotifyConnectionChange(imcID, connectionID uint32, state ConnectionState) Result {
	l, r := a.get(imcID)
	if r != ResultSuccess {
		return r
	}
	if connectionID == AnyConnection {
		log.Infof(a.log, "IMC %d %q was notified of no connection in particular", l.id, a.name)
		return ResultInvalidParameter
	}
	switch state {
	case ConnectionCreate:
		return a.create(l, connectionID)
	case ConnectionDelete:
		a.mu.Lock()
		c := l.conns[connectionID]
		delete(l.conns, connectionID)
		a.mu.Unlock()
		if c == nil {
			log.Infof(a.log, "IMC %d %q has no state for Connection ID %d", l.id, a.name, connectionID)
			return ResultFatal
		}
		c.close()
		log.Detailf(a.log, "IMC %d %q deleted the state of Connection ID %d", l.id, a.name, connectionID)
		return ResultSuccess
	case ConnectionHandshake, ConnectionAccessAllowed, ConnectionAccessIsolated, ConnectionAccessNone:
		c, ok := a.connection(l, connectionID)
		if !ok {
			return ResultFatal
		}
		if !c.acquire() {
			return a.busy(l, c)
		}
		old := c.state
		c.state = state
		log.Detailf(a.log, "IMC %d %q changed state of Connection ID %d to '%v'", l.id, a.name, connectionID, state)
		if state == ConnectionHandshake && old != ConnectionCreate {
			c.machine.Reset()
			log.Detailf(a.log, "IMC %d %q reset state of Connection ID %d", l.id, a.name, connectionID)
		}
		retry := state != ConnectionHandshake && a.wantsRetry(c, state)
		c.release()
		if retry {
			a.retry(l, c)
		}
		return ResultSuccess
	}
	log.Infof(a.log, "IMC %d %q was notified of unknown state %d for Connection ID %d", l.id, a.name, uint32(state), connectionID)
	return ResultInvalidParameter
}

// busy answers a call for a connection that another call works on: the host
// drives a connection by one thread at a time.
func (a *Agent) busy(l *loaded, c *connection) Result {
	log.Infof(a.log, "IMC %d %q is busy with Connection ID %d", l.id, a.name, c.id)
	return ResultIllegalOperation
}

// connection finds a connection's state, or says that there is none.
func (a *Agent) connection(l *loaded, id uint32) (*connection, bool) {
	a.mu.Lock()
	c := l.conns[id]
	a.mu.Unlock()
	if c == nil {
		log.Infof(a.log, "IMC %d %q has no state for Connection ID %d", l.id, a.name, id)
	}
	return c, c != nil
}

// Terminate is TNC_IMC_Terminate (IF-IMC 1.3 section 3.8.8). It stops measurements
// under way, drops every connection's state and returns the Agent to where it
// was before Initialize.
func (a *Agent) Terminate(imcID uint32) Result {
	l, r := a.get(imcID)
	if r != ResultSuccess {
		return r
	}
	a.mu.Lock()
	if a.loaded != l { // another thread terminated it first
		a.mu.Unlock()
		return ResultNotInitialized
	}
	a.loaded = nil
	a.mu.Unlock()
	l.stop()
	a.mu.Lock()
	conns := l.conns
	l.conns = map[uint32]*connection{}
	a.mu.Unlock()
	for _, c := range conns {
		c.close()
	}
	log.Infof(a.log, "IMC %d %q terminated", l.id, a.name)
	return ResultSuccess
}
