package tlspeer

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

var (
	errMismatch = errors.New("certificate does not carry the expected identity")
	errDN       = errors.New("malformed distinguished name")
)

// MatchIdentity returns a Config.MatchIdentity for an identity in the words of
// swanctl.conf (aaa_id, or the gateway's IKE identity): a distinguished name
// ("C=CH, O=strongSwan, CN=moon"), which has to be the subject, with "*" for
// any value of an attribute; else a host name, e-mail or IP address, which has
// to be a subjectAltName. A leading "@" is ignored. "%any" and "*" accept
// every certificate that the trusted CAs issued.
func MatchIdentity(identity string) (func(*x509.Certificate) error, error) {
	mismatch := func(c *x509.Certificate) error {
		return fmt.Errorf("%w %q; set aaa_id to the identity of the EAP server", errMismatch, identity)
	}
	switch id := strings.TrimSpace(identity); {
	case id == "":
		return nil, ErrNoIdentity
	case id == "%any" || id == "*":
		return func(*x509.Certificate) error { return nil }, nil
	case strings.Contains(id, "="):
		want, err := parseDN(id)
		if err != nil {
			return nil, fmt.Errorf("read identity %q: %w", identity, err)
		}
		return func(c *x509.Certificate) error {
			if !want.matches(c.Subject.Names) {
				return mismatch(c)
			}
			return nil
		}, nil
	default:
		id = strings.TrimPrefix(id, "@")
		return func(c *x509.Certificate) error {
			if !inAltNames(c, id) {
				return mismatch(c)
			}
			return nil
		}, nil
	}
}

func inAltNames(c *x509.Certificate, id string) bool {
	if ip, err := netip.ParseAddr(id); err == nil {
		for _, have := range c.IPAddresses {
			if a, ok := netip.AddrFromSlice(have); ok && a.Unmap() == ip.Unmap() {
				return true
			}
		}
		return false
	}
	if strings.Contains(id, "@") {
		for _, have := range c.EmailAddresses {
			if strings.EqualFold(have, id) {
				return true
			}
		}
		return false
	}
	return c.VerifyHostname(id) == nil
}

type dnAttribute struct {
	oid   string
	value string
}

type dn []dnAttribute

// dnTypes are the attribute names that strongSwan reads, in upper case.
var dnTypes = map[string]string{
	"CN": "2.5.4.3", "SN": "2.5.4.4", "SERIALNUMBER": "2.5.4.5",
	"C": "2.5.4.6", "L": "2.5.4.7", "ST": "2.5.4.8", "O": "2.5.4.10",
	"OU": "2.5.4.11", "T": "2.5.4.12", "D": "2.5.4.13", "N": "2.5.4.41",
	"G": "2.5.4.42", "I": "2.5.4.43", "DNQUALIFIER": "2.5.4.46",
	"UID": "0.9.2342.19200300.100.1.1", "DC": "0.9.2342.19200300.100.1.25",
	"E": "1.2.840.113549.1.9.1", "EMAIL": "1.2.840.113549.1.9.1", "EMAILADDRESS": "1.2.840.113549.1.9.1",
}

// parseDN reads "C=CH, O=Linux strongSwan" or "/C=CH/O=…"; values may stand in
// double quotes.
func parseDN(s string) (dn, error) {
	sep := ","
	if rest, ok := strings.CutPrefix(s, "/"); ok {
		sep, s = "/", rest
	}
	var out dn
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		typ, rest, ok := strings.Cut(s, "=")
		oid, known := dnTypes[strings.ToUpper(strings.TrimSpace(typ))]
		if !ok || !known {
			return nil, fmt.Errorf("%w: attribute %q", errDN, strings.TrimSpace(typ))
		}
		var value string
		rest = strings.TrimLeft(rest, " ")
		if quoted, ok := strings.CutPrefix(rest, `"`); ok {
			if value, rest, ok = strings.Cut(quoted, `"`); !ok {
				return nil, fmt.Errorf("%w: missing quote", errDN)
			}
			rest = strings.TrimSpace(rest)
			if rest != "" && !strings.HasPrefix(rest, sep) {
				return nil, fmt.Errorf("%w: text after quote", errDN)
			}
			s = strings.TrimPrefix(rest, sep)
		} else {
			value, s, _ = strings.Cut(rest, sep)
		}
		out = append(out, dnAttribute{oid, strings.TrimSpace(value)})
	}
	if len(out) == 0 {
		return nil, errDN
	}
	return out, nil
}

func (d dn) matches(names []pkix.AttributeTypeAndValue) bool {
	if len(d) != len(names) {
		return false
	}
	for i, want := range d {
		value, ok := names[i].Value.(string)
		if !ok || names[i].Type.String() != want.oid {
			return false
		}
		if want.value != "*" && !bytes.EqualFold([]byte(want.value), []byte(value)) {
			return false
		}
	}
	return true
}
