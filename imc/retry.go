package imc

import (
	"github.com/gotnc/gotnc/internal/base/log"
)

// wantsRetry reports whether imc-attestation.retry asks for one more handshake
// of a connection that was not allowed, as imc-test.retry does: what isolated
// the machine may have been put right meanwhile. One retry a connection.
func (a *Agent) wantsRetry(c *connection, state ConnectionState) bool {
	if state == ConnectionAccessAllowed || c.retried || !a.opt.retry {
		return false
	}
	c.retried = true
	return true
}

// retry asks the host for another handshake. strongSwan takes that only from
// inside TNC_IMC_NotifyConnectionChange with the recommendation.
func (a *Agent) retry(l *loaded, c *connection) {
	a.mu.Lock()
	host := l.host
	a.mu.Unlock()
	if host == nil || !host.Has(FuncRequestHandshakeRetry) {
		log.Infof(a.log, "IMC %d %q cannot retry: the TNC client does not offer it", l.id, a.name)
		return
	}
	if r := host.RequestHandshakeRetry(l.id, c.id, RetryRemediationComplete); r != ResultSuccess {
		log.Infof(a.log, "IMC %d %q: the TNC client does not retry the handshake of Connection ID %d: %v", l.id, a.name, c.id, r)
		return
	}
	log.Infof(a.log, "IMC %d %q requested a handshake retry for Connection ID %d", l.id, a.name, c.id)
}
