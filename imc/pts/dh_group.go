package pts

import (
	"fmt"
	"strings"
)

// DHGroups is a set of Diffie-Hellman groups, most significant bit first (TCG
// PTS Protocol Binding section 3.8.6); one bit names one group.
type DHGroups uint16

// Groups, strongest last.
const (
	MODP1024 DHGroups = 0x8000 // IKE group 2
	MODP1536 DHGroups = 0x4000 // IKE group 5
	MODP2048 DHGroups = 0x2000 // IKE group 14
	ECP256   DHGroups = 0x1000 // IKE group 19, mandatory
	ECP384   DHGroups = 0x0800 // IKE group 20
	ECP521   DHGroups = 0x0400 // IKE group 21; the next bit, reserved by the specification
)

// MandatoryGroups must be supported by every implementation (TCG PTS Protocol
// Binding section 3.8.6).
const MandatoryGroups = ECP256

// groups by falling strength. Settings use the second name.
var groups = [...]struct {
	group         DHGroups
	name, setting string
}{
	{ECP521, "ECP_521", "ecp521"},
	{ECP384, "ECP_384", "ecp384"},
	{ECP256, "ECP_256", "ecp256"},
	{MODP2048, "MODP_2048", "modp2048"},
	{MODP1536, "MODP_1536", "modp1536"},
	{MODP1024, "MODP_1024", "modp1024"},
}

// Strongest returns the strongest group of the set, 0 for the empty set.
func (g DHGroups) Strongest() DHGroups {
	for _, e := range groups {
		if g&e.group != 0 {
			return e.group
		}
	}
	return 0
}

// Each returns the groups of the set one by one, the strongest first.
func (g DHGroups) Each() (one []DHGroups) {
	for _, e := range groups {
		if g&e.group != 0 {
			one = append(one, e.group)
		}
	}
	return one
}

// String lists the groups as strongSwan names them.
func (g DHGroups) String() string {
	var s []string
	for _, e := range groups {
		if g&e.group != 0 {
			s = append(s, e.name)
		}
	}
	if len(s) == 0 {
		return fmt.Sprintf("0x%04x", uint16(g))
	}
	return strings.Join(s, "|")
}

// ParseDHGroups reads names as strongswan.conf has them: modp2048, ecp256. Names that
// it does not know are returned.
func ParseDHGroups(names []string) (set DHGroups, unknown []string) {
words:
	for _, w := range names {
		for _, e := range groups {
			if strings.EqualFold(w, e.setting) {
				set |= e.group
				continue words
			}
		}
		unknown = append(unknown, w)
	}
	return set, unknown
}
