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

// Types of a new gateway's identity, RFC 5685 §5.1.
const (
	redirectIPv4 = 1
	redirectIPv6 = 2
	redirectFQDN = 3
)

// redirectNotify is what IKE_SA_INIT announces; nil = nothing.
func (m *Machine) redirectNotify() message.Payload {
	switch from := m.cfg.RedirectedFrom; {
	case from.Is4():
		return &message.Notify{NotifyType: message.RedirectedFrom, Data: append([]byte{redirectIPv4, 4}, from.AsSlice()...)}
	case from.Is6():
		return &message.Notify{NotifyType: message.RedirectedFrom, Data: append([]byte{redirectIPv6, 16}, from.AsSlice()...)}
	case m.cfg.FollowRedirects:
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

// initRedirect follows REDIRECT in the answer to IKE_SA_INIT: nothing protects
// it but our nonce (RFC 5685 §3). It reports whether there was one.
func (m *Machine) initRedirect(msg *message.Message) bool {
	n := msg.Notify(message.Redirect)
	if n == nil {
		return false
	}
	to, nonce, err := parseRedirect(n.Data)
	switch {
	case !m.cfg.FollowRedirects:
		m.drop("REDIRECT, which was not announced")
	case err != nil:
		m.drop(err.Error())
	case !bytes.Equal(nonce, m.ni):
		m.drop("REDIRECT with another nonce than ours")
	default:
		m.redirected(to)
	}
	return true
}

// redirected ends the IKE_SA in favour of another gateway.
func (m *Machine) redirected(to string) {
	log.Infof(m.ike, "peer redirected us to %s", to)
	m.fail(&RedirectError{From: m.remote.Addr(), To: to})
}

// authRedirect follows REDIRECT in the last IKE_AUTH response; the gateway is
// authenticated by then.
func (m *Machine) authRedirect(msg *message.Message) bool {
	n := msg.Notify(message.Redirect)
	if n == nil || !m.cfg.FollowRedirects {
		return false
	}
	to, _, err := parseRedirect(n.Data)
	if err != nil {
		m.ike.Info(err.Error())
		return false
	}
	m.redirectTo = to
	return true
}

// redirectRequest follows REDIRECT of the established IKE_SA, once its
// response is sent.
func (m *Machine) redirectRequest(n *message.Notify) {
	to, _, err := parseRedirect(n.Data)
	if err != nil || !m.cfg.FollowRedirects || m.state != stateEstablished || m.aside {
		m.ike.Info("ignoring REDIRECT")
		return
	}
	m.redirectTo = to
}

// followRedirect carries redirectRequest out.
func (m *Machine) followRedirect() {
	if m.redirectTo == "" || m.state != stateEstablished {
		return
	}
	to := m.redirectTo
	m.redirectTo = ""
	m.pending, m.queue = nil, nil
	m.request(request{exchange: message.Informational, what: doDelete,
		payloads: []message.Payload{&message.Delete{Protocol: message.ProtocolIKE}}})
	m.redirected(to)
}
