// Package identity compares identities as strongSwan does: patterns, and what
// a certificate holds.
package identity

import (
	"bytes"
	"net/netip"

	"github.com/gotnc/gotnc/ike/message"
)

// Match is how well an identity fits; more is better.
type Match int

// Matches. Between Any and Perfect every wildcard costs one.
const (
	None    Match = 0
	Any     Match = 1  // %any, or a lone "*"
	OneWild Match = 19 // one wildcard
	Perfect Match = 20
)

// IsPattern reports whether id matches more than one identity.
func IsPattern(id message.Identity) bool {
	switch id.IDType {
	case message.IDAny, message.IDIPv4Range, message.IDIPv6Range:
		return true
	case message.IDFQDN, message.IDRFC822:
		return bytes.HasPrefix(id.Data, []byte("*"))
	case message.IDDERDN:
		for _, v := range message.ParseDN(id.Data) {
			if v.Value == "*" {
				return true
			}
		}
	}
	return false
}

// inRange compares an address with a range of addresses.
func inRange(want, id message.Identity) Match {
	from, to, ok := want.AddrRange()
	a, isAddr := netip.AddrFromSlice(id.Data)
	fits := id.IDType == message.IDIPv4 || id.IDType == message.IDIPv6
	switch {
	case !ok || !isAddr || !fits || a.BitLen() != from.BitLen() || a.Compare(from) < 0 || a.Compare(to) > 0:
		return None
	case from == to:
		return Perfect
	}
	return OneWild
}

// Matches reports how well id, which a peer showed, fits want: an identity or a
// pattern. Ranges hold addresses. A leading "*" of a name matches anything; in a distinguished name
// a value "*" does, and order and number of the attributes count. Names compare
// without case.
func Matches(want, id message.Identity) Match {
	switch {
	case want.IDType == message.IDAny:
		return Any
	case want.IDType == message.IDIPv4Range, want.IDType == message.IDIPv6Range:
		return inRange(want, id)
	case want.Equal(id):
		return Perfect
	case want.IDType != id.IDType:
		return None
	}
	switch want.IDType {
	case message.IDFQDN, message.IDRFC822:
		suffix, ok := bytes.CutPrefix(want.Data, []byte("*"))
		switch {
		case !ok || len(id.Data) < len(suffix):
			return None
		case len(suffix) == 0:
			return Any
		case message.EqualFold(id.Data[len(id.Data)-len(suffix):], suffix):
			return OneWild
		}
	case message.IDDERDN:
		a, b := message.ParseDN(want.Data), message.ParseDN(id.Data)
		if a == nil || len(a) != len(b) {
			return None
		}
		wild := 0
		for i := range a {
			switch {
			case !a[i].Type.Equal(b[i].Type):
				return None
			case a[i].Value == "*":
				wild++
			case !message.EqualFold([]byte(a[i].Value), []byte(b[i].Value)):
				return None
			}
		}
		return max(Perfect-Match(wild), Any)
	}
	return None
}
