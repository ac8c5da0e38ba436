package ike

import (
	"bytes"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/ike/message"
)

// Identity is who an end says it is (RFC 7296 §3.5); message.ParseIdentity
// reads one. The zero value is %any.
type Identity = message.Identity

// ParseIdentity reads an identity in swanctl.conf's notation. "*.example.org",
// "*@example.org" and distinguished names with "*" values are patterns.
func ParseIdentity(s string) (Identity, error) { return message.ParseIdentity(s) }

// IsPattern reports whether id stands for more than one identity.
func IsPattern(id Identity) bool {
	switch id.IDType {
	case message.IDAny:
		return true
	case message.IDFQDN, message.IDRFC822:
		return bytes.HasPrefix(id.Data, []byte("*"))
	case message.IDDERDN:
		for _, v := range dnValues(id.Data) {
			if v.value == "*" {
				return true
			}
		}
	}
	return false
}

// MatchIdentity reports whether id, which a peer showed, is want or fits its
// pattern. Names compare without case.
func MatchIdentity(want, id Identity) bool {
	if want.IDType == message.IDAny || want.Equal(id) {
		return true
	}
	if want.IDType != id.IDType {
		return false
	}
	switch want.IDType {
	case message.IDFQDN, message.IDRFC822:
		suffix, ok := bytes.CutPrefix(want.Data, []byte("*"))
		return ok && len(id.Data) >= len(suffix) && strings.EqualFold(string(id.Data[len(id.Data)-len(suffix):]), string(suffix))
	case message.IDDERDN:
		a, b := dnValues(want.Data), dnValues(id.Data)
		if a == nil || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !a[i].oid.Equal(b[i].oid) || a[i].value != "*" && !strings.EqualFold(a[i].value, b[i].value) {
				return false
			}
		}
		return true
	}
	return false
}

type dnValue struct {
	oid   asn1.ObjectIdentifier
	value string
}

// dnValues returns the attributes of an encoded name in order; nil where it
// cannot be decoded.
func dnValues(der []byte) []dnValue {
	var seq pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &seq); err != nil || len(rest) > 0 {
		return nil
	}
	var out []dnValue
	for _, set := range seq {
		for _, a := range set {
			out = append(out, dnValue{a.Type, fmt.Sprint(a.Value)})
		}
	}
	return out
}
