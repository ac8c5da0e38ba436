package profile

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/identity"
)

// gatewayIdentity is who the gateway has to be: what its certificate must
// carry in EAP methods on TLS (strongSwan's aaa_id).
type gatewayIdentity struct {
	aaa    ike.Identity // local.aaa_id
	hasAAA bool         // else the IKE identity counts
	shown  ike.Identity // what the gateway showed as IDr, and remote.id allowed
}

// identified returns what records the gateway's IDr, and then calls also, where
// that is set.
func (g *gatewayIdentity) identified(also func(ike.Identity) error) func(ike.Identity) error {
	return func(id ike.Identity) error {
		g.shown = id
		if also != nil {
			return also(id)
		}
		return nil
	}
}

// match reports why the certificate is not the gateway's.
func (g *gatewayIdentity) match(leaf *x509.Certificate) error {
	want := g.aaa
	if !g.hasAAA {
		if want = g.shown; identity.IsPattern(want) {
			return errors.New("the gateway showed no identity: set remote.id in swanctl.conf")
		}
	}
	if identity.Held(leaf, want) == identity.None {
		return fmt.Errorf("the certificate is for %s, not for %s: check remote.id and remote_addrs in swanctl.conf; if they are right, somebody else answers in the gateway's place",
			strings.Join(identity.Names(leaf), ", "), want)
	}
	return nil
}
