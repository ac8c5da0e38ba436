package message

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// IDType is an identity type (RFC 7296 section 3.5).
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
	IDURI    IDType = 201 // of private use: strongSwan's for the URI of a certificate

	// Ranges of addresses, first and last, are patterns only; never sent. The
	// numbers are IKEv1's.
	IDIPv4Range IDType = 7
	IDIPv6Range IDType = 8
)

// Identity is what IDi and IDr payloads contain (RFC 7296 section 3.5):
//
//	type (1) | reserved (3) | data
type Identity struct {
	IDType   IDType
	Reserved [3]byte // as received: the AUTH payload covers it
	Data     []byte
}

// Body returns IDx' of RFC 7296 section 2.15: the payload without generic header.
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
		return EqualFold(id.Data, o.Data)
	}
	return bytes.Equal(id.Data, o.Data) || id.IDType == IDDERDN && equalDN(id.Data, o.Data)
}

// EqualFold compares without the case of ASCII letters. Letters beyond are
// another's name, however they look: U+017F, the long s, is no s.
func EqualFold(a, b []byte) bool {
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
	case IDIPv4Range, IDIPv6Range:
		if from, to, ok := id.AddrRange(); ok {
			return from.String() + "-" + to.String()
		}
	case IDFQDN, IDRFC822, IDURI:
		return text.ASCII(id.Data)
	case IDKeyID:
		if s := string(id.Data); s != "" && text.ASCII(id.Data) == s && !strings.Contains(s, "?") {
			return s
		}
		return strings.ReplaceAll(fmt.Sprintf("% x", id.Data), " ", ":")
	case IDDERDN:
		if dn := ParseDN(id.Data); dn != nil {
			return text.ASCII([]byte(dnString(dn)))
		}
	}
	return "(" + fmt.Sprintf("ID_%d", uint8(id.IDType)) + ":#" + hex.EncodeToString(id.Data) + ")"
}

// ErrIdentity is the cause where a string is not an identity.
var ErrIdentity = errors.New("not an identity")

// AddrRange returns the first and the last address of a range.
func (id Identity) AddrRange() (from, to netip.Addr, ok bool) {
	if id.IDType != IDIPv4Range && id.IDType != IDIPv6Range {
		return from, to, false
	}
	n := len(id.Data) / 2
	from, ok1 := netip.AddrFromSlice(id.Data[:n])
	to, ok2 := netip.AddrFromSlice(id.Data[n:])
	return from, to, ok1 && ok2
}

// ParseIdentity reads an identity in the notation of swanctl.conf: an
// address, a subnet or a range of addresses (patterns both), "name@domain", "host.domain" (or "@host"), a distinguished name
// ("C=CH, O=example, CN=gw"), "@#0a0b" for a key ID, the explicit prefixes
// "fqdn:", "dns:", "email:", "rfc822:", "userfqdn:", "keyid:", "ipv4:", "ipv6:",
// "asn1dn:", and "{11}:" for a type by number; after these "#" begins hex digits.
// "%any" and "" are IDAny. Other text with a colon is a key ID.
func ParseIdentity(s string) (Identity, error) {
	if s == "" || s == "%any" || s == "*" || s == "%any6" || s == "0.0.0.0" || s == "::" || s == "0::0" {
		return Identity{}, nil
	}
	if p, v, ok := strings.Cut(s, ":"); ok {
		switch strings.ToLower(p) {
		case "fqdn", "dns":
			return textIdentity(IDFQDN, v, s)
		case "email", "rfc822", "userfqdn":
			return textIdentity(IDRFC822, v, s)
		case "keyid":
			return textIdentity(IDKeyID, v, s)
		case "uri":
			return textIdentity(IDURI, v, s)
		case "asn1gn", "xmppaddr":
			return textIdentity(IDDERGN, v, s)
		case "ipv4", "ipv6":
			return addrIdentity(v)
		case "ipv4net", "ipv6net", "ipv4range", "ipv6range":
			return rangeIdentity(v)
		case "asn1dn":
			return dnIdentity(v)
		}
		if n, ok := strings.CutPrefix(p, "{"); ok && strings.HasSuffix(n, "}") {
			t, err := strconv.ParseUint(strings.TrimSuffix(n, "}"), 0, 8)
			if err != nil || t == 0 {
				return Identity{}, fmt.Errorf("parse identity %q: %w", s, ErrIdentity)
			}
			return textIdentity(IDType(t), v, s)
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
	if id, err := rangeIdentity(s); err == nil {
		return id, nil
	}
	if strings.Contains(s, ":") {
		return textIdentity(IDKeyID, s, s)
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

// rangeIdentity reads 192.0.2.0/24 or 192.0.2.1-192.0.2.9.
func rangeIdentity(v string) (Identity, error) {
	bad := fmt.Errorf("parse identity %q: %w", v, ErrIdentity)
	var from, to netip.Addr
	if p, err := netip.ParsePrefix(v); err == nil {
		from, to = p.Masked().Addr(), lastOf(p)
	} else {
		a, b, ok := strings.Cut(v, "-")
		if from, err = netip.ParseAddr(a); err != nil || !ok {
			return Identity{}, bad
		}
		if to, err = netip.ParseAddr(b); err != nil {
			return Identity{}, bad
		}
	}
	if from.BitLen() != to.BitLen() || from.Compare(to) > 0 || from.Zone() != "" || to.Zone() != "" {
		return Identity{}, bad
	}
	id := Identity{IDType: IDIPv4Range, Data: append(from.AsSlice(), to.AsSlice()...)}
	if from.Is6() {
		id.IDType = IDIPv6Range
	}
	return id, nil
}

// lastOf is the last address of a prefix.
func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := range b {
		host := max(0, min(8, (i+1)*8-p.Bits()))
		b[i] |= byte(1<<host - 1)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
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
