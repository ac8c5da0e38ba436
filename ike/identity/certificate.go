package identity

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"net/netip"

	"github.com/gotnc/gotnc/ike/message"
)

// Of returns the identities that a certificate holds: its subject, and of its
// subjectAltName host names, e-mail addresses, IP addresses and URIs.
func Of(c *x509.Certificate) []message.Identity {
	ids := []message.Identity{{IDType: message.IDDERDN, Data: c.RawSubject}}
	for _, n := range c.DNSNames {
		ids = append(ids, message.Identity{IDType: message.IDFQDN, Data: []byte(n)})
	}
	for _, n := range c.EmailAddresses {
		ids = append(ids, message.Identity{IDType: message.IDRFC822, Data: []byte(n)})
	}
	for _, ip := range c.IPAddresses {
		a, ok := netip.AddrFromSlice(ip)
		if !ok {
			continue
		}
		id := message.Identity{IDType: message.IDIPv4, Data: a.Unmap().AsSlice()}
		if a.Unmap().Is6() {
			id.IDType = message.IDIPv6
		}
		ids = append(ids, id)
	}
	for _, u := range c.URIs {
		ids = append(ids, message.Identity{IDType: message.IDURI, Data: []byte(u.String())})
	}
	return ids
}

// Held reports how well a certificate holds id, which may be a pattern. The
// common name does not count by itself. A KEY_ID is the certificate's
// subjectKeyIdentifier. A host name with a wildcard in the certificate
// ("*.example.org") holds every host of the domain.
func Held(c *x509.Certificate, id message.Identity) Match {
	if id.IDType == message.IDKeyID {
		if len(id.Data) > 0 && bytes.Equal(c.SubjectKeyId, id.Data) {
			return Perfect
		}
		return None
	}
	best := None
	for _, have := range Of(c) {
		best = max(best, Matches(id, have))
		if have.IDType == message.IDFQDN && id.IDType == message.IDFQDN && hostOf(have.Data, id.Data) {
			best = max(best, OneWild)
		}
	}
	return best
}

// hostOf reports whether host is one label before the domain of the wildcard
// "*.domain" (RFC 6125 section 6.4.3).
func hostOf(wildcard, host []byte) bool {
	domain, ok := bytes.CutPrefix(wildcard, []byte("*."))
	label, rest, dot := bytes.Cut(host, []byte("."))
	return ok && dot && len(label) > 0 && !bytes.Contains(label, []byte("*")) && bytes.Contains(domain, []byte(".")) && message.EqualFold(rest, domain)
}

// Names lists what a certificate is for, for an error.
func Names(c *x509.Certificate) (names []string) {
	for _, id := range Of(c)[1:] {
		names = append(names, id.String())
	}
	return append(names, fmt.Sprintf("%q", c.Subject.String()))
}
