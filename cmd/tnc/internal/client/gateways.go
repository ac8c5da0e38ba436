package client

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/transport"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Attempt is an address of the gateway that did not lead to a connection. Its JSON
// names are an interface for scripts (docs/json.md).
type Attempt struct {
	Host    string    `json:"host"`              // as remote_addrs has it
	Address string    `json:"address,omitempty"` // and port; "" where the name was not found
	Error   string    `json:"error"`
	At      time.Time `json:"at"`

	err error
}

func (a Attempt) String() string {
	switch {
	case a.Address == "", a.ofHost():
		return a.Host + ": " + a.Error
	}
	return fmt.Sprintf("%s (%s): %s", a.Host, a.Address, a.Error)
}

// ofHost reports whether the host is that address itself.
func (a Attempt) ofHost() bool {
	at, err := netip.ParseAddrPort(a.Address)
	return err == nil && at.Addr().String() == a.Host
}

// AttemptsError is why none of several addresses of the gateway led to a
// connection.
type AttemptsError struct {
	Connection string
	Attempts   []Attempt
}

func (e *AttemptsError) Error() string {
	var each []string
	for _, a := range e.Attempts {
		each = append(each, a.String())
	}
	return "no address of the gateway led to a connection: " + strings.Join(each, "; ")
}

// Unwrap returns the reasons.
func (e *AttemptsError) Unwrap() []error {
	var errs []error
	for _, a := range e.Attempts {
		errs = append(errs, a.err)
	}
	return errs
}

// quickAnswer is how long an address of several may be silent before the next one
// is tried: two transmissions with the default times, and a little more. When all
// have been tried, those that were silent get their full time.
const quickAnswer = 12 * time.Second

// round is one try of all addresses of the gateway.
type round struct {
	*Client
	attempts []Attempt
	slow     []endpoint           // those that did not answer quickly
	tcp      map[netip.Addr]error // why such an address was not reached over TCP either
}

// endpoint is an address of the gateway, and this end's for it.
type endpoint struct {
	host   string // as configured
	remote netip.AddrPort
	local  netip.Addr // zero = any
	tcp    bool       // over TCP
}

func (e endpoint) String() string {
	if e.tcp {
		return e.remote.String() + " over TCP"
	}
	return e.remote.String()
}

// connectOnce tries the addresses of the gateway in turn, in the order of
// remote_addrs and of the name service (RFC 6724), until one leads to a connection
// that ends, or fails for a reason that no other address changes.
func (c *Client) connectOnce(ctx context.Context) error {
	hosts, err := c.gatewayHosts()
	if err != nil {
		return err
	}
	r := &round{Client: c}
	for i, host := range hosts {
		addrs, err := c.gatewayAddresses(ctx, host)
		if err != nil {
			r.failed(host, netip.AddrPort{}, c.gatewayNotFound(err))
			continue
		}
		several := len(hosts) > 1 || len(addrs) > 1
		last := i == len(hosts)-1
		for j, addr := range addrs {
			e := endpoint{host: host, remote: netip.AddrPortFrom(addr, c.profile.Connection.RemotePort)}
			patience := time.Duration(0)
			if several && (!last || j < len(addrs)-1 || len(r.slow) > 0) {
				patience = c.quickAnswer
			}
			if done, err := r.tryBoth(ctx, e, patience); done {
				return err
			}
		}
	}
	for _, e := range slices.Clone(r.slow) {
		if done, err := r.try(ctx, e, 0); done {
			return err
		}
	}
	switch len(r.attempts) {
	case 0:
		return context.Cause(ctx)
	case 1:
		return r.attempts[0].err
	}
	return &AttemptsError{c.profile.Connection.Name, r.attempts}
}

// gatewayHosts returns the names and addresses of the gateway.
func (c *Client) gatewayHosts() ([]string, error) {
	if c.redirects.gateway != "" {
		return []string{c.redirects.gateway}, nil
	}
	return c.profile.RemoteHosts()
}

// gatewayAddresses looks a name of the gateway up. Where it is not found while a
// connection is made again, the addresses of the last time count, as in strongSwan:
// the name servers may be behind the tunnel.
func (c *Client) gatewayAddresses(ctx context.Context, host string) ([]netip.Addr, error) {
	addrs, err := resolve(ctx, host)
	if err != nil {
		if known := c.found[host]; known != nil && c.timesUp() > 0 && ctx.Err() == nil {
			log.Infof(log.Group(c.logger, log.IKE), "'%s' is not found (%v), using its last addresses", host, err)
			return known, nil
		}
		return nil, err
	}
	c.found[host] = addrs
	return addrs, nil
}

// gatewayNotFound returns why a name of the gateway was not found.
func (c *Client) gatewayNotFound(err error) error {
	e := &LookupError{Connection: c.profile.Connection.Name, Of: OfGateway, Err: err}
	if c.redirects.gateway != "" {
		e.Of = OfRedirect
	}
	return e
}

// try connects to one address; patience, where set, bounds the wait for its first
// answer. It reports whether the round is over.
func (r *round) try(ctx context.Context, e endpoint, patience time.Duration) (done bool, err error) {
	before := r.timesUp()
	e.local, err = r.localAddress(ctx, e.remote.Addr())
	if err == nil {
		err = routeTo(e.local, e.remote)
	}
	if err == nil {
		err = r.attempt(ctx, e, patience)
	}
	if ctx.Err() != nil || r.failure != nil || r.timesUp() != before || err == nil || !anotherMayWork(err) {
		return true, err
	}
	if errors.Is(err, errSilent) {
		r.slow = append(r.slow, e)
	}
	if tcp := r.tcp[e.remote.Addr()]; tcp != nil && !e.tcp {
		err = &FallbackError{err, tcp}
	}
	if e.tcp && r.profile.Charon.EncapTCP != tcpAlways {
		r.failedOverTCP(e, err)
		return false, nil
	}
	r.failed(e.host, e.remote, err)
	return false, nil
}

// failed records why an address did not lead to a connection.
func (r *round) failed(host string, remote netip.AddrPort, err error) {
	a := Attempt{Host: host, Error: err.Error(), At: time.Now(), err: err}
	if remote.IsValid() {
		a.Address = remote.String()
	}
	log.Infof(log.Group(r.logger, log.IKE), "connection '%s' failed at %v", r.profile.Connection.Name, a)
	r.attempts = replaceAttempt(r.attempts, a)
	r.state.addAttempt(a)
}

// failedOverTCP records why an address that does not answer over UDP was not reached
// over TCP either.
func (r *round) failedOverTCP(e endpoint, err error) {
	a := Attempt{Host: e.host, Address: e.remote.String(), Error: err.Error(), At: time.Now(), err: err}
	log.Infof(log.Group(r.logger, log.IKE), "connection '%s' failed over TCP at %v", r.profile.Connection.Name, a)
	r.attempts = replaceAttempt(r.attempts, a)
}

// replaceAttempt adds an attempt to a list with one for each address.
func replaceAttempt(list []Attempt, a Attempt) []Attempt {
	list = slices.DeleteFunc(list, func(b Attempt) bool { return b.Host == a.Host && b.Address == a.Address })
	return append(list, a)
}

// errSilent is of an address that did not answer quickly.
var errSilent = fmt.Errorf("%w so far", ike.ErrNoAnswer)

// anotherMayWork reports whether another address of the gateway may do better: this
// one was not reached, or did not prove to be the gateway. Where it refused this
// end, asking elsewhere with the same answers changes nothing.
func anotherMayWork(err error) bool {
	var redirect *ike.RedirectError
	if errors.As(err, &redirect) {
		return false
	}
	var lookup *LookupError
	var route *RouteError
	var family *FamilyError
	var certificate *eap.VerifyError
	var dial *transport.DialError
	if errors.As(err, &dial) || errors.As(err, &lookup) || errors.As(err, &route) || errors.As(err, &family) || errors.As(err, &certificate) {
		return true
	}
	for _, reason := range []error{ike.ErrNoAnswer, ike.ErrTimeout, ike.ErrMoved, ike.ErrProposal, ike.ErrGatewayAuth, ike.ErrProtocol, ike.ErrRefused} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// unfinished returns what has kept the connection from being up so far; nil where
// nothing is known.
func (c *Client) unfinished() error {
	r := c.result()
	attempts := r.Attempts
	if r.Gateway.IsValid() && !slices.ContainsFunc(attempts, func(a Attempt) bool { return a.Address == r.Gateway.String() }) {
		err := errSilent
		if sock := c.sock.Load(); sock != nil && sock.Stats().BytesReceived > 0 {
			err = errUnfinished
		}
		attempts = append(attempts, Attempt{Host: r.Gateway.Addr().String(), Address: r.Gateway.String(), Error: err.Error(), err: err})
	}
	switch len(attempts) {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%s: %w", attempts[0].Host, attempts[0].err)
	}
	return &AttemptsError{c.profile.Connection.Name, attempts}
}

// errUnfinished is of an address that answers.
var errUnfinished = errors.New("the gateway has not finished")
