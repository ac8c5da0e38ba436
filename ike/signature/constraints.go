package signature

import (
	gocrypto "crypto"
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Constraints are what an auth setting of swanctl.conf says beyond "pubkey":
// "rsa-3072-sha256-sha384", "rsa/pss-sha256", "ike:ecdsa-sha512",
// "pubkey-sha256-ike:rsa/pss-sha256". The zero value allows everything.
type Constraints struct {
	// Text is the setting.
	Text string
	// RSABits and ECDSABits are the least sizes of keys in the chain, in bits.
	RSABits, ECDSABits int
	// Chain are how the certificates of the chain may be signed; empty = any.
	Chain []Scheme
	// IKE are how AUTH may be signed; empty = any.
	IKE []Scheme
}

// ParseConstraints reads the setting. Key types and hashes count for AUTH too
// where it has no part "ike:".
func ParseConstraints(text string) (Constraints, error) {
	c := Constraints{Text: text}
	ike, explicit := false, false
	var plain []Scheme // outside of "ike:"
	var group Scheme   // key type that further hashes belong to
	begun, used := false, false
	add := func(s Scheme) {
		if ike {
			c.IKE = append(c.IKE, s)
			return
		}
		plain = append(plain, s)
		if s.Hash != 0 {
			c.Chain = append(c.Chain, s)
		}
	}
	flush := func() { // a key type without hashes means all of them
		if begun && !used && group.Key != AnyKey {
			add(group)
		}
	}
	for _, word := range strings.Split(text, "-") {
		rest, isIKE := strings.CutPrefix(word, "ike:")
		if isIKE {
			flush()
			ike, explicit, word = true, true, rest
		}
		switch h, isHash := parseHashName(word); {
		case isKeyWord(word):
			if !isIKE {
				flush()
			}
			group, begun, used = keyWords[word], true, false
		case isHash && begun:
			used = true
			if group.Key != AnyKey {
				add(Scheme{group.Key, group.PSS, h})
				continue
			}
			for _, s := range []Scheme{{RSA, false, h}, {RSA, true, h}, {ECDSA, false, h}, {Ed25519, false, Identity}} {
				add(s)
			}
		default:
			n, err := strconv.Atoi(word)
			if err != nil || n < 128 || n > 16384 || !begun {
				return c, fmt.Errorf("%q: %q is no key type (pubkey, rsa, rsa/pss, ecdsa, ed25519), size or hash (sha256, sha384, sha512)", text, word)
			}
			switch group.Key {
			case RSA:
				c.RSABits = n
			case ECDSA:
				c.ECDSABits = n
			}
		}
	}
	flush()
	if !explicit {
		c.IKE = plain
	}
	return c, nil
}

var keyWords = map[string]Scheme{
	"pubkey":  {},
	"rsa":     {Key: RSA},
	"rsa/pss": {Key: RSA, PSS: true},
	"ecdsa":   {Key: ECDSA},
	"ed25519": {Key: Ed25519},
	"eddsa":   {Key: Ed25519},
}

func isKeyWord(s string) bool {
	_, ok := keyWords[s]
	return ok
}

// covers reports whether a signature of scheme s fits the constraint w.
func (w Scheme) covers(s Scheme) bool {
	return (w.Key == AnyKey || w.Key == s.Key) && (w.Key != RSA || w.PSS == s.PSS || w.Hash == 0 && !w.PSS) && (w.Hash == 0 || w.Hash == s.Hash)
}

// CheckIKE reports whether AUTH may be signed with s.
func (c Constraints) CheckIKE(s Scheme) error {
	if len(c.IKE) == 0 || slices.ContainsFunc(c.IKE, func(w Scheme) bool { return w.covers(s) }) {
		return nil
	}
	return fmt.Errorf("it signed with %s, which auth = %s does not allow", s, c.Text)
}

// CheckChain checks keys and signatures of a chain, end entity first; the
// signature of its last certificate, the trust anchor, does not count.
func (c Constraints) CheckChain(chain []*x509.Certificate) error {
	for i, cert := range chain {
		if err := c.checkKey(cert.PublicKey); err != nil {
			return fmt.Errorf("certificate %q: %w", cert.Subject, err)
		}
		if i == len(chain)-1 || len(c.Chain) == 0 {
			continue
		}
		s, ok := certificateSchemes[cert.SignatureAlgorithm]
		if !ok || !slices.ContainsFunc(c.Chain, func(w Scheme) bool { return w.covers(s) }) {
			return fmt.Errorf("certificate %q is signed with %s, which auth = %s does not allow", cert.Subject, cert.SignatureAlgorithm, c.Text)
		}
	}
	return nil
}

func (c Constraints) checkKey(pub gocrypto.PublicKey) error {
	kind, bits := KeyOf(pub)
	least := map[Key]int{RSA: c.RSABits, ECDSA: c.ECDSABits}[kind]
	if bits < least {
		return fmt.Errorf("its %s key has %d bits, auth = %s asks for %d", kind, bits, c.Text, least)
	}
	return nil
}

var certificateSchemes = map[x509.SignatureAlgorithm]Scheme{
	x509.SHA1WithRSA: {RSA, false, SHA1}, x509.SHA256WithRSA: {RSA, false, SHA256}, x509.SHA384WithRSA: {RSA, false, SHA384}, x509.SHA512WithRSA: {RSA, false, SHA512},
	x509.SHA256WithRSAPSS: {RSA, true, SHA256}, x509.SHA384WithRSAPSS: {RSA, true, SHA384}, x509.SHA512WithRSAPSS: {RSA, true, SHA512},
	x509.ECDSAWithSHA1: {ECDSA, false, SHA1}, x509.ECDSAWithSHA256: {ECDSA, false, SHA256}, x509.ECDSAWithSHA384: {ECDSA, false, SHA384}, x509.ECDSAWithSHA512: {ECDSA, false, SHA512},
	x509.PureEd25519: {Ed25519, false, Identity},
}
