package message

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/internal/wire"
)

// IDType is an identity type (RFC 7296 §3.5).
type IDType uint8

// Identity types.
const (
	IDAny    IDType = 0 // "%any"; never sent
	IDIPv4   IDType = 1
	IDFQDN   IDType = 2
	IDRFC822 IDType = 3
	IDIPv6   IDType = 5
	IDDERDN  IDType = 9
	IDDERGN  IDType = 10
	IDKeyID  IDType = 11
)

// Identity is what IDi and IDr payloads contain (RFC 7296 §3.5):
//
//	type (1) | reserved (3) | data
type Identity struct {
	IDType   IDType
	Reserved [3]byte // as received: the AUTH payload covers it
	Data     []byte
}

// Body returns IDx' of RFC 7296 §2.15: the payload without generic header.
func (id Identity) Body() []byte {
	return append(append([]byte{byte(id.IDType)}, id.Reserved[:]...), id.Data...)
}

// Equal reports whether both are the same identity. Host names, e-mail
// addresses and the values of distinguished names compare without case; the
// string types inside a distinguished name do not count.
func (id Identity) Equal(o Identity) bool {
	if id.IDType != o.IDType {
		return false
	}
	if id.IDType == IDFQDN || id.IDType == IDRFC822 {
		return asciiEqualFold(id.Data, o.Data)
	}
	return bytes.Equal(id.Data, o.Data) || id.IDType == IDDERDN && equalDN(id.Data, o.Data)
}

func equalDN(a, b []byte) bool {
	var x, y pkix.RDNSequence
	for _, v := range []struct {
		der []byte
		to  *pkix.RDNSequence
	}{{a, &x}, {b, &y}} {
		if rest, err := asn1.Unmarshal(v.der, v.to); err != nil || len(rest) != 0 {
			return false
		}
	}
	return slices.EqualFunc(x, y, func(x, y pkix.RelativeDistinguishedNameSET) bool {
		return slices.EqualFunc(x, y, func(x, y pkix.AttributeTypeAndValue) bool {
			s, ok := x.Value.(string)
			u, also := y.Value.(string)
			return ok && also && x.Type.Equal(y.Type) && asciiEqualFold([]byte(s), []byte(u))
		})
	})
}

func asciiEqualFold(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	lower := func(c byte) byte {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

// String returns the identity as strongSwan prints it; octets that are not
// printable ASCII become '?'.
func (id Identity) String() string {
	switch id.IDType {
	case IDAny:
		return "%any"
	case IDIPv4, IDIPv6:
		if a, ok := netip.AddrFromSlice(id.Data); ok {
			return a.String()
		}
	case IDFQDN, IDRFC822:
		return printable(id.Data)
	case IDDERDN:
		var rdn pkix.RDNSequence
		if rest, err := asn1.Unmarshal(id.Data, &rdn); err == nil && len(rest) == 0 {
			return printable([]byte(dnString(rdn)))
		}
	}
	return "(" + fmt.Sprintf("ID_%d", uint8(id.IDType)) + ":#" + hex.EncodeToString(id.Data) + ")"
}

func printable(b []byte) string {
	out := bytes.Clone(b)
	for i, c := range out {
		if c < 0x20 || c > 0x7e {
			out[i] = '?'
		}
	}
	return string(out)
}

// ErrIdentity is the cause where a string is not an identity.
var ErrIdentity = errors.New("not an identity")

// ParseIdentity reads an identity in the notation of swanctl.conf: an
// address, "name@domain", "host.domain" (or "@host"), a distinguished name
// ("C=CH, O=example, CN=gw"), "@#0a0b" for a key ID, and the explicit prefixes
// "fqdn:", "email:", "rfc822:", "keyid:", "ipv4:", "ipv6:", "asn1dn:". "%any" and "" are
// IDAny.
func ParseIdentity(s string) (Identity, error) {
	if s == "" || s == "%any" || s == "*" || s == "%any6" || s == "0.0.0.0" || s == "::" {
		return Identity{}, nil
	}
	if p, v, ok := strings.Cut(s, ":"); ok {
		switch p {
		case "fqdn", "dns":
			return textIdentity(IDFQDN, v, s)
		case "email", "rfc822", "userfqdn":
			return textIdentity(IDRFC822, v, s)
		case "keyid":
			return textIdentity(IDKeyID, v, s)
		case "ipv4", "ipv6":
			return addrIdentity(v)
		case "asn1dn":
			return dnIdentity(v)
		}
	}
	if strings.Contains(s, "=") && !strings.HasPrefix(s, "@") {
		return dnIdentity(s)
	}
	if v, ok := strings.CutPrefix(s, "@#"); ok {
		return hexIdentity(IDKeyID, v, s)
	}
	if v, ok := strings.CutPrefix(s, "@@"); ok {
		return textIdentity(IDRFC822, v, s)
	}
	if v, ok := strings.CutPrefix(s, "@"); ok {
		return textIdentity(IDFQDN, v, s)
	}
	if strings.Contains(s, "@") {
		return textIdentity(IDRFC822, s, s)
	}
	if id, err := addrIdentity(s); err == nil {
		return id, nil
	}
	return textIdentity(IDFQDN, s, s)
}

func textIdentity(t IDType, v, whole string) (Identity, error) {
	if strings.HasPrefix(v, "#") {
		return hexIdentity(t, v[1:], whole)
	}
	if v == "" {
		return Identity{}, fmt.Errorf("parse identity %q: %w", whole, ErrIdentity)
	}
	return Identity{IDType: t, Data: []byte(v)}, nil
}

func hexIdentity(t IDType, v, whole string) (Identity, error) {
	b, err := hex.DecodeString(v)
	if err != nil || len(b) == 0 {
		return Identity{}, fmt.Errorf("parse identity %q: bad hex: %w", whole, ErrIdentity)
	}
	return Identity{IDType: t, Data: b}, nil
}

func addrIdentity(v string) (Identity, error) {
	a, err := netip.ParseAddr(v)
	if err != nil || a.Zone() != "" {
		return Identity{}, fmt.Errorf("parse identity %q: %w", v, ErrIdentity)
	}
	if a = a.Unmap(); a.Is4() {
		return Identity{IDType: IDIPv4, Data: a.AsSlice()}, nil
	}
	return Identity{IDType: IDIPv6, Data: a.AsSlice()}, nil
}

// dnTypes are the attribute types that names in configurations use.
var dnTypes = map[string]asn1.ObjectIdentifier{
	"CN": {2, 5, 4, 3}, "SN": {2, 5, 4, 4}, "SERIALNUMBER": {2, 5, 4, 5}, "C": {2, 5, 4, 6}, "L": {2, 5, 4, 7},
	"ST": {2, 5, 4, 8}, "S": {2, 5, 4, 8}, "STREET": {2, 5, 4, 9}, "O": {2, 5, 4, 10}, "OU": {2, 5, 4, 11}, "T": {2, 5, 4, 12},
	"D": {2, 5, 4, 13}, "N": {2, 5, 4, 41}, "G": {2, 5, 4, 42}, "I": {2, 5, 4, 43}, "DNQ": {2, 5, 4, 46},
	"E": {1, 2, 840, 113549, 1, 9, 1}, "EMAIL": {1, 2, 840, 113549, 1, 9, 1}, "EMAILADDRESS": {1, 2, 840, 113549, 1, 9, 1},
	"UID": {0, 9, 2342, 19200300, 100, 1, 1}, "DC": {0, 9, 2342, 19200300, 100, 1, 25},
}

func dnString(rdn pkix.RDNSequence) string {
	var parts []string
	for _, set := range rdn {
		for _, a := range set {
			name := a.Type.String()
			for n, oid := range dnTypes {
				if oid.Equal(a.Type) && (len(n) < len(name) || len(n) == len(name) && n > name) {
					name = n
				}
			}
			parts = append(parts, fmt.Sprintf("%s=%v", name, a.Value))
		}
	}
	return strings.Join(parts, ", ")
}

// dnIdentity reads "C=CH, O=example, CN=gw" or "/C=CH/O=example/CN=gw"; the
// order is that of the text.
func dnIdentity(s string) (Identity, error) {
	bad := func(why string) (Identity, error) {
		return Identity{}, fmt.Errorf("parse identity %q: %s: %w", s, why, ErrIdentity)
	}
	if v, ok := strings.CutPrefix(s, "#"); ok {
		return hexIdentity(IDDERDN, v, s)
	}
	sep, text := ",", s
	if strings.HasPrefix(s, "/") {
		sep, text = "/", s[1:]
	}
	var seq []asn1.RawValue
	for _, part := range splitUnescaped(text, sep[0]) {
		key, value, ok := strings.Cut(part, "=")
		key, value = strings.ToUpper(strings.TrimSpace(key)), strings.TrimSpace(value)
		if !ok || value == "" {
			return bad("want type=value in every part")
		}
		oid, ok := dnTypes[key]
		if !ok {
			return bad("unknown attribute type " + key)
		}
		tag := asn1.TagUTF8String
		switch {
		case oid.Equal(dnTypes["E"]) || oid.Equal(dnTypes["DC"]):
			tag = asn1.TagIA5String
		case isPrintableString(value):
			tag = asn1.TagPrintableString
		}
		atv, err := asn1.Marshal(struct {
			Type  asn1.ObjectIdentifier
			Value asn1.RawValue
		}{oid, asn1.RawValue{Tag: tag, Bytes: []byte(value)}})
		if err != nil {
			return bad(err.Error())
		}
		seq = append(seq, asn1.RawValue{Tag: asn1.TagSet, IsCompound: true, Bytes: atv})
	}
	der, err := asn1.Marshal(seq)
	if err != nil || len(seq) == 0 {
		return bad("empty name")
	}
	return Identity{IDType: IDDERDN, Data: der}, nil
}

// splitUnescaped splits at sep; a backslash takes the next character literally.
func splitUnescaped(s string, sep byte) (parts []string) {
	var cur []byte
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			cur = append(cur, s[i])
		case s[i] == sep:
			parts, cur = append(parts, string(cur)), nil
		default:
			cur = append(cur, s[i])
		}
	}
	return append(parts, string(cur))
}

func isPrintableString(s string) bool {
	for _, c := range []byte(s) {
		if 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(" '()+,-./:=?", c) >= 0 {
			continue
		}
		return false
	}
	return true
}

func parseIdentity(r *wire.Reader) Identity {
	at := r.Offset()
	id := Identity{IDType: IDType(r.U8())}
	copy(id.Reserved[:], r.Bytes(3))
	id.Data = clone(r.Rest())
	if r.Err() == nil && (id.IDType == IDIPv4 && len(id.Data) != 4 || id.IDType == IDIPv6 && len(id.Data) != 16) {
		r.Fail(at, wire.ErrLength)
	}
	return id
}

// IDi is the identity of the initiator.
type IDi struct{ Identity }

// Type returns TypeIDi.
func (*IDi) Type() PayloadType { return TypeIDi }

// AppendBody appends the identity.
func (p *IDi) AppendBody(b []byte) ([]byte, error) { return append(b, p.Body()...), nil }

// IDr is the identity of the responder.
type IDr struct{ Identity }

// Type returns TypeIDr.
func (*IDr) Type() PayloadType { return TypeIDr }

// AppendBody appends the identity.
func (p *IDr) AppendBody(b []byte) ([]byte, error) { return append(b, p.Body()...), nil }
