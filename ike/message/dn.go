package message

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
)

// DNAttribute is one attribute of a distinguished name.
type DNAttribute struct {
	Type  asn1.ObjectIdentifier
	Value string // of any string type
}

// ParseDN returns the attributes of an encoded name in order; nil where it
// cannot be decoded, or holds values that are no strings.
func ParseDN(der []byte) []DNAttribute {
	var seq pkix.RDNSequence
	if rest, err := asn1.Unmarshal(der, &seq); err != nil || len(rest) > 0 {
		return nil
	}
	out := []DNAttribute{}
	for _, set := range seq {
		for _, a := range set {
			v, ok := a.Value.(string)
			if !ok {
				return nil
			}
			out = append(out, DNAttribute{a.Type, v})
		}
	}
	return out
}

// equalDN compares without case, and whatever the string types.
func equalDN(a, b []byte) bool {
	x, y := ParseDN(a), ParseDN(b)
	return x != nil && y != nil && slices.EqualFunc(x, y, func(x, y DNAttribute) bool {
		return x.Type.Equal(y.Type) && EqualFold([]byte(x.Value), []byte(y.Value))
	})
}

// dnTypes are the attribute types that names in configurations use.
var dnTypes = map[string]asn1.ObjectIdentifier{
	"CN": {2, 5, 4, 3}, "SN": {2, 5, 4, 4}, "SERIALNUMBER": {2, 5, 4, 5}, "C": {2, 5, 4, 6}, "L": {2, 5, 4, 7},
	"ST": {2, 5, 4, 8}, "S": {2, 5, 4, 8}, "STREET": {2, 5, 4, 9}, "O": {2, 5, 4, 10}, "OU": {2, 5, 4, 11}, "T": {2, 5, 4, 12},
	"D": {2, 5, 4, 13}, "N": {2, 5, 4, 41}, "G": {2, 5, 4, 42}, "I": {2, 5, 4, 43}, "DNQ": {2, 5, 4, 46},
	"E": {1, 2, 840, 113549, 1, 9, 1}, "EMAIL": {1, 2, 840, 113549, 1, 9, 1}, "EMAILADDRESS": {1, 2, 840, 113549, 1, 9, 1},
	"UID": {0, 9, 2342, 19200300, 100, 1, 1}, "DC": {0, 9, 2342, 19200300, 100, 1, 25},
}

func dnString(dn []DNAttribute) string {
	var parts []string
	for _, a := range dn {
		name := a.Type.String()
		for n, oid := range dnTypes {
			if oid.Equal(a.Type) && (len(n) < len(name) || len(n) == len(name) && n > name) {
				name = n
			}
		}
		parts = append(parts, name+"="+a.Value)
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
