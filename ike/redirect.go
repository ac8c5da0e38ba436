package ike

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// RedirectError: the gateway sends us to another one (RFC 5685). Whoever
// follows limits how often (MaxRedirects in RedirectPeriod, as strongSwan).
type RedirectError struct {
	From netip.Addr
	To   string // address or name
}

func (e *RedirectError) Error() string {
	return fmt.Sprintf("the gateway %s redirects to %s", e.From, e.To)
}

// Limits of following, in strongSwan's measure.
const (
	MaxRedirects          = 5
	RedirectPeriodSeconds = 300
)

// Types of a new gateway's identity, RFC 5685 section 5.1.
const (
	redirectIPv4 = 1
	redirectIPv6 = 2
	redirectFQDN = 3
)

// redirection follows REDIRECT (RFC 5685).
type redirection struct {
	*core
	to string // where the established IKE_SA sends us; "" = nowhere
}

// announce returns the notify for IKE_SA_INIT; nil = none.
func (d *redirection) announce() message.Payload {
	switch from := d.cfg.Redirects.From; {
	case from.Is4():
		return &message.Notify{NotifyType: message.RedirectedFrom, Data: append([]byte{redirectIPv4, 4}, from.AsSlice()...)}
	case from.Is6():
		return &message.Notify{NotifyType: message.RedirectedFrom, Data: append([]byte{redirectIPv6, 16}, from.AsSlice()...)}
	case d.cfg.Redirects.Follow:
		return &message.Notify{NotifyType: message.RedirectSupported}
	}
	return nil
}

// parseRedirect reads a REDIRECT notify; what follows the identity is the
// nonce of IKE_SA_INIT.
func parseRedirect(b []byte) (to string, nonce []byte, err error) {
	if len(b) < 2 || len(b) < 2+int(b[1]) {
		return "", nil, errors.New("REDIRECT is cut off")
	}
	id, nonce := b[2:2+int(b[1])], b[2+int(b[1]):]
	switch {
	case b[0] == redirectIPv4 && len(id) == 4, b[0] == redirectIPv6 && len(id) == 16:
		a, _ := netip.AddrFromSlice(id)
		if a.IsUnspecified() || a.IsMulticast() {
			return "", nil, fmt.Errorf("REDIRECT to %s", a)
		}
		return a.String(), nonce, nil
	case b[0] == redirectFQDN && len(id) > 0:
		for _, c := range id {
			if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.') {
				return "", nil, errors.New("REDIRECT to what is no name")
			}
		}
		return string(id), nonce, nil
	}
	return "", nil, fmt.Errorf("REDIRECT with identity of type %d and %d octets", b[0], len(id))
}

// fromInit follows REDIRECT in the answer to IKE_SA_INIT: nothing protects
// it but our nonce (RFC 5685 section 3). It reports whether there was one.
func (d *redirection) fromInit(msg *message.Message, ni []byte) bool {
	n := msg.Notify(message.Redirect)
	if n == nil {
		return false
	}
	to, nonce, err := parseRedirect(n.Data)
	switch {
	case !d.cfg.Redirects.Follow:
		d.drop("REDIRECT, which was not announced")
	case err != nil:
		d.drop(err.Error())
	case !bytes.Equal(nonce, ni):
		d.drop("REDIRECT with another nonce than ours")
	default:
		d.end(to)
	}
	return true
}

// end ends the IKE_SA in favour of another gateway.
func (d *redirection) end(to string) {
	log.Infof(d.ike, "peer redirected us to %s", to)
	d.fail(&RedirectError{From: d.path.remote.Addr(), To: to})
}

// fromAuth reads REDIRECT in the last IKE_AUTH response; the gateway is
// authenticated by then. It reports whether there is one to follow.
func (d *redirection) fromAuth(msg *message.Message) bool {
	n := msg.Notify(message.Redirect)
	if n == nil || !d.cfg.Redirects.Follow {
		return false
	}
	to, _, err := parseRedirect(n.Data)
	if err != nil {
		log.Infof(d.ike, "%v", err)
		return false
	}
	d.to = to
	return true
}

// fromRequest reads REDIRECT in a request of the established IKE_SA; follow acts
// on it once the response is sent.
func (d *redirection) fromRequest(sa *ikeSA, n *message.Notify) {
	to, _, err := parseRedirect(n.Data)
	if err != nil || !d.cfg.Redirects.Follow || d.state != stateEstablished || sa.retired {
		d.ike.Info("ignoring REDIRECT")
		return
	}
	d.to = to
}

// follow deletes the IKE_SA where the gateway redirected it.
func (d *redirection) follow(sa *ikeSA) {
	if d.to == "" || d.state != stateEstablished {
		return
	}
	to := d.to
	d.to = ""
	sa.abandon()
	d.end(to)
}
