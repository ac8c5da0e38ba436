package imc

import (
	"sync"
	"sync/atomic"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

// connection is the state of one connection.
type connection struct {
	id uint32

	closed atomic.Bool // deleted, or a call of it failed beyond repair

	mu           sync.Mutex // held by the call that works on the connection
	state        ConnectionState
	retried      bool // imc-attestation.retry was used
	requests     bool // segmentation contracts are requested of IMVs
	machine      *pts.Machine
	hasLong      bool
	hasExclusive bool
	sizeLimit    int                                // octets of a PA-TNC message that the host takes; 0 = no limit
	oneMessage   bool                               // the host keeps one message a batch
	contracts    map[contractKey]*patnc.Segmenter   // that IMVs requested
	requested    map[MessageType]bool               // contracts that were requested of IMVs
	incoming     map[contractKey]*patnc.Reassembler // under those
}

// acquire begins a call's work on the connection; false where another call works
// on it, on another thread or around this one. Every true acquire has its release.
func (c *connection) acquire() bool { return c.mu.TryLock() }

// release ends a call's work, and drops the state of a connection that was closed
// meanwhile.
func (c *connection) release() {
	if c.closed.Load() {
		c.drop()
	}
	c.mu.Unlock()
	// Closed between the two lines above: nobody else drops it.
	if c.closed.Load() && c.mu.TryLock() {
		c.drop()
		c.mu.Unlock()
	}
}

func (c *connection) drop() {
	c.machine.Close()
	c.contracts, c.incoming = nil, nil
}

// close ends the connection; it may be called at any time. A call that works on
// the connection drops the state when it releases it.
func (c *connection) close() {
	c.closed.Store(true)
	if c.mu.TryLock() {
		c.drop()
		c.mu.Unlock()
	}
}

// setLanguage makes the user's language the one in which the verifiers' texts
// are preferred. Hosts may refuse: strongSwan has a setting of its own for it.
func (a *Agent) setLanguage(l *loaded, host Host, id uint32) {
	if host == nil || a.cfg.Language == "" || !host.Has(FuncSetAttribute) {
		return
	}
	if r := host.SetAttribute(l.id, id, AttributePreferredLanguage, append([]byte(a.cfg.Language), 0)); r == ResultSuccess {
		log.Detailf(a.log, "IMC %d %q prefers texts in %q on Connection ID %d", l.id, a.name, a.cfg.Language, id)
	}
}

// create adds a connection's state and asks the host what the connection can.
func (a *Agent) create(l *loaded, id uint32) Result {
	c := &connection{id: id, state: ConnectionCreate, machine: pts.NewMachine(pts.Config{
		Logger:      a.cfg.Logger,
		Measurer:    a.cfg.Measurer,
		HashUpTo:    a.opt.hashAlgorithm,
		NonceLength: a.opt.nonceLength,
		Groups:      l.groups,
		TPM:         a.cfg.TPM,
		Collector:   a.collector(),
		Wait:        a.cfg.Wait,
		Now:         a.cfg.Now,
		Rand:        a.cfg.Rand,
	})}
	a.mu.Lock()
	_, exists := l.conns[id]
	full := len(l.conns) >= MaxConnections
	if !exists && !full {
		l.conns[id] = c
	}
	host := l.host
	a.mu.Unlock()
	switch {
	case exists:
		log.Infof(a.log, "IMC %d %q already created a state for Connection ID %d", l.id, a.name, id)
		return ResultOther
	case full:
		log.Infof(a.log, "IMC %d %q keeps %d connections already; the TNC client does not delete them", l.id, a.name, MaxConnections)
		return ResultOther
	}
	v := attributes{host: host, imcID: l.id, connectionID: id}
	long := v.bool(AttributeHasLongTypes)
	excl := v.bool(AttributeHasExclusive)
	soh := v.bool(AttributeHasSOH)
	tnccs := v.text(AttributeIFTNCCSProtocol) + " " + v.text(AttributeIFTNCCSVersion)
	transport := v.text(AttributeIFTProtocol) + " " + v.text(AttributeIFTVersion)
	size := v.uint32(AttributeMaxMessageSize)
	c.mu.Lock()
	c.hasLong, c.hasExclusive = long, excl
	c.oneMessage = keepsOneMessage(host)
	c.requests = !c.oneMessage && a.opt.segmentation
	c.sizeLimit = int(min(size, maxMessageSize))
	if size == 0xFFFFFFFF {
		c.sizeLimit = 0
	}
	c.release()
	a.setLanguage(l, host, id)
	log.Detailf(a.log, "IMC %d %q created a state for %s Connection ID %d: %slong %sexcl %ssoh",
		l.id, a.name, tnccs, id, sign(long), sign(excl), sign(soh))
	log.Detailf(a.log, "  over %s with maximum PA-TNC message size of %d bytes", transport, size)
	return ResultSuccess
}

// collector returns a connection's own collector of evidence, nil for none.
func (a *Agent) collector() pts.Collector {
	if a.cfg.Collector == nil {
		return nil
	}
	return a.cfg.Collector()
}

func sign(b bool) string {
	if b {
		return "+"
	}
	return "-"
}
