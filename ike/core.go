package ike

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// state is how far the connection has come.
type state uint8

const (
	stateCreated      state = iota // nothing sent
	stateInit                      // IKE_SA_INIT request is out
	stateIntermediate              // IKE_INTERMEDIATE request is out
	stateAuth                      // IKE_AUTH request without EAP is out
	stateStatus                    // OCSP responses for our certificate are being fetched; nothing is out
	stateSign                      // our AUTH is being signed; nothing is out
	stateVerify                    // the gateway's certificate is being verified; nothing is out
	stateEAP                       // IKE_AUTH request with EAP is out
	stateEAPPending                // EAP makes its answer; nothing is out
	stateAuthFinal                 // IKE_AUTH request with AUTH is out
	stateEstablished               // both sides are authenticated
	stateDeleting                  // our DELETE waits or is out
	stateDone
)

func (s state) String() string {
	return [...]string{"CREATED", "CONNECTING", "CONNECTING", "CONNECTING", "CONNECTING", "CONNECTING", "CONNECTING", "CONNECTING", "CONNECTING", "CONNECTING", "ESTABLISHED", "DELETING", "DESTROYING"}[s]
}

// core is what the parts of a Machine share: the configuration, the loggers,
// the state, the path, and time and Outputs of the call that runs.
type core struct {
	cfg                      Config
	ike, enc, net, chd, conf *slog.Logger
	rand                     io.Reader

	state state
	now   time.Time
	out   Outputs

	path      path
	fragments bool     // both sides know RFC 7383
	localID   Identity // of the current round
	remoteID  Identity // as the gateway says; authenticated once it is established
	dropped   string   // why the last datagram was dropped, for the error after giving up
}

func newCore(cfg Config) core {
	c := core{
		cfg: cfg, rand: cfg.Rand,
		ike: log.Group(cfg.Logger, log.IKE), enc: log.Group(cfg.Logger, log.ENC), net: log.Group(cfg.Logger, log.NET),
		chd: log.Group(cfg.Logger, log.CHD), conf: log.Group(cfg.Logger, log.CFG),
		path:    path{local: cfg.Local, remote: cfg.Remote},
		localID: cfg.LocalRounds[0].ID,
	}
	if c.rand == nil {
		c.rand = rand.Reader
	}
	if c.path.remote.Port() != PortIKE {
		c.path.marker, c.path.local = true, cfg.LocalNATT
	}
	return c
}

func (c *core) emit(e Event) { c.out.Events = append(c.out.Events, e) }

// fail ends the IKE_SA with a reason. The Machine forgets the keys at the end
// of the call.
func (c *core) fail(err error) {
	if c.state == stateDone {
		return
	}
	if c.connecting() {
		log.Infof(c.ike, "establishing IKE_SA failed: %v", err)
	}
	c.finish(Failed{Err: err})
}

// finish ends the IKE_SA with its last event.
func (c *core) finish(e Event) {
	if c.state == stateDone {
		return
	}
	c.emit(e)
	c.state = stateDone
}

// connecting reports whether the IKE_SA is not established yet.
func (c *core) connecting() bool { return c.state > stateCreated && c.state < stateEstablished }

// drop logs why a datagram is not used.
func (c *core) drop(why string) {
	c.dropped = why
	log.Infof(c.net, "ignoring packet: %s", why)
}

// ends returns both ends in strongSwan's form.
func (c *core) ends() string {
	return fmt.Sprintf("%s[%s]...%s[%s]", c.path.local.Addr(), c.localID, c.path.remote.Addr(), c.remoteID)
}

// transmit sends packets over the path.
func (c *core) transmit(packets [][]byte) {
	for _, b := range packets {
		log.Infof(c.net, "sending packet: from %s to %s (%d bytes)", endpoint(c.path.local), endpoint(c.path.remote), len(b))
		c.out.Packets = append(c.out.Packets, Packet{From: c.path.local, To: c.path.remote, Marker: c.path.marker, Data: b})
	}
}

// random returns n octets of Config.Rand.
func (c *core) random(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(c.rand, b); err != nil {
		return nil, fmt.Errorf("read random octets: %w", err)
	}
	return b, nil
}

// jitter returns a random duration in [0, limit).
func (c *core) jitter(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	b, err := c.random(8)
	if err != nil {
		return 0
	}
	return time.Duration(float64(limit) * (float64(binary.BigEndian.Uint64(b)>>11) / (math.MaxUint64 >> 11)))
}

// wait returns how long after the n-th transmission (0 = the first) the next
// one is due.
func (c *core) wait(n int) time.Duration {
	r := &c.cfg.Retransmission
	w := r.wait(n)
	return w - c.jitter(w*time.Duration(r.Jitter)/100)
}

// newSPI draws an SPI of an IKE_SA; 0 is reserved.
func (c *core) newSPI() (message.SPI, error) {
	for {
		b, err := c.random(8)
		if err != nil {
			return 0, err
		}
		if spi := message.SPI(binary.BigEndian.Uint64(b)); spi != 0 {
			return spi, nil
		}
	}
}

// retryAt is when a rekeying that failed is tried again.
func (c *core) retryAt() time.Time { return c.now.Add(rekeyRetry - c.jitter(rekeyRetryJitter)) }

// endpoint is an address and port in strongSwan's form: "192.0.2.1[500]".
type endpoint netip.AddrPort

func (e endpoint) String() string {
	a := netip.AddrPort(e)
	return fmt.Sprintf("%s[%d]", a.Addr(), a.Port())
}

// summary is a message as the log shows it; it is only made where that is on.
type summary struct{ *message.Message }

func (s summary) String() string { return s.Summary() }

// clone copies what the caller owns.
func clone(b []byte) []byte { return bytes.Clone(b) }

// due reports whether a timer has run out; zero = it does not run.
func due(at, now time.Time) bool { return !at.IsZero() && !now.Before(at) }
