package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap/tlspeer"
	"github.com/gotnc/gotnc/ike/message"
)

// gatewayIdentity is who the gateway has to be: what its certificate must
// carry in EAP-TTLS (strongSwan's aaa_id).
type gatewayIdentity struct {
	aaa   string       // local.aaa_id; "" = the IKE identity
	shown ike.Identity // what the gateway showed as IDr, and remote.id allowed
}

// identified takes the gateway's IDr; who else wants to hear it is told first.
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
	if want == "" {
		if g.shown.IDType == message.IDAny {
			return errors.New("the gateway showed no identity: set remote.id in swanctl.conf")
		}
		want = g.shown.String()
	}
	matches, err := tlspeer.MatchIdentity(want)
	if err != nil {
		return err
	}
	if matches(leaf) != nil {
		return fmt.Errorf("the certificate is for %s, not for %s: check remote.id and remote_addrs in swanctl.conf; if they are right, somebody else answers in the gateway's place",
			strings.Join(certificateNames(leaf), ", "), want)
	}
	return nil
}

// certificateNames lists what a certificate is for, for an error.
func certificateNames(leaf *x509.Certificate) []string {
	names := append([]string{}, leaf.DNSNames...)
	names = append(names, leaf.EmailAddresses...)
	for _, ip := range leaf.IPAddresses {
		names = append(names, ip.String())
	}
	return append(names, fmt.Sprintf("%q", leaf.Subject.String()))
}
