package swanctl

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

// Secret is octets that never appear in a log or an error.
type Secret []byte

// String hides the octets.
func (s Secret) String() string { return "(secret)" }

// GoString hides the octets.
func (s Secret) GoString() string { return "(secret)" }

// LogValue hides the octets.
func (s Secret) LogValue() slog.Value { return slog.StringValue("(secret)") }

// Zero overwrites the octets.
func (s Secret) Zero() { clear(s) }

// SharedSecret is a section of secrets that holds a secret: eap<suffix>,
// xauth<suffix>, ntlm<suffix>, ike<suffix>, ppk<suffix>.
type SharedSecret struct {
	Kind   string // "eap", "xauth", "ntlm", "ike", "ppk"
	Name   string // of the section
	Pos    config.Pos
	IDs    []string // who it belongs to; empty = any
	Secret Secret
}

// PrivateKey is a section of secrets that opens a private key.
type PrivateKey struct {
	Kind       string // "private", "rsa", "ecdsa", "pkcs8", "pkcs12"
	Name       string
	Pos        config.Pos
	File       string
	Passphrase Secret
	// PassphrasePos is where the passphrase is; Pos where there is none.
	PassphrasePos config.Pos
	Asked         bool // the passphrase was typed, it is not of the file
}

var sharedKinds = []string{"eap", "xauth", "ntlm", "ike", "ppk"}
var keyKinds = []string{"private", "rsa", "ecdsa", "pkcs8", "pkcs12"}

func (m *Config) secret(n *config.Node) {
	name := n.Name()
	switch {
	case hasPrefix(name, sharedKinds):
		s := &SharedSecret{Kind: kindOf(name, sharedKinds), Name: name, Pos: n.Pos()}
		for _, v := range n.Values() {
			if strings.HasPrefix(v.Key, "id") {
				s.IDs = append(s.IDs, v.Text)
			}
		}
		m.unknown(n, keys{"secret": used}, []string{"id"}, nil, nil, m.fault)
		v, ok := n.Lookup("secret")
		if !ok {
			m.fault(n.Pos().Errorf("%s holds no secret and is ignored; add secret = \"…\"", n.Path()))
			return
		}
		b, err := decodeSecret(v)
		if err != nil {
			m.fault(v.Errorf("the secret of %s is ignored: %w", n.Path(), err))
			return
		}
		s.Secret = b
		m.Secrets = append(m.Secrets, s)
	case hasPrefix(name, keyKinds):
		k := &PrivateKey{Kind: kindOf(name, keyKinds), Name: name, Pos: n.Pos(), PassphrasePos: n.Pos()}
		m.unknown(n, keys{"file": used, "secret": used}, nil, nil, nil, m.fault)
		if v, ok := n.Lookup("secret"); ok {
			k.Passphrase, k.PassphrasePos = Secret(v.Text), v.Pos
		}
		v, ok := n.Lookup("file")
		if !ok {
			m.fault(n.Pos().Errorf("%s names no file and is ignored", n.Path()))
			return
		}
		k.File = m.path(k.Kind, v.Text)
		m.Keys = append(m.Keys, k)
	case strings.HasPrefix(name, "token"):
		m.token(n)
	default:
		m.fault(n.Pos().Errorf("section %q is not known in secrets; eap<suffix>, ike<suffix>, private<suffix> are", name))
	}
}

func kindOf(name string, kinds []string) string {
	for _, k := range kinds {
		if strings.HasPrefix(name, k) {
			return k
		}
	}
	return ""
}

// decodeSecret reads a secret: text, or hex after 0x, or Base64 after 0s. Its
// errors do not repeat the secret.
func decodeSecret(v config.Value) (Secret, error) {
	text := v.Text
	if v.Literal {
		return Secret(text), nil
	}
	if len(text) >= 2 && text[0] == '0' {
		switch text[1] {
		case 'x', 'X':
			h := strings.NewReplacer(":", "", "_", "").Replace(text[2:])
			if len(h)%2 == 1 {
				h = "0" + h
			}
			b, err := hex.DecodeString(h)
			if err != nil {
				return nil, errors.New("after 0x hexadecimal digits are expected; quote a secret of another kind differently")
			}
			return b, nil
		case 's', 'S':
			enc := base64.StdEncoding
			if !strings.HasSuffix(text, "=") && len(text[2:])%4 != 0 {
				enc = base64.RawStdEncoding
			}
			b, err := enc.DecodeString(text[2:])
			if err != nil {
				return nil, errors.New("after 0s Base64 is expected")
			}
			return b, nil
		}
	}
	return Secret(text), nil
}

// Secret returns the best secret of a kind for an identity: one that names
// it, else one that names a wildcard for it, else one that names nobody; of
// equals the last. "eap" also finds "xauth" ones, as with strongSwan. The
// Secret belongs to m and is zeroed by its Close.
func (m *Config) Secret(kind, id string) (*SharedSecret, bool) {
	var best *SharedSecret
	at := OwnerOther
	for _, s := range slices.Backward(m.Secrets) {
		if s.Kind != kind && !(kind == "eap" && s.Kind == "xauth") && !(kind == "xauth" && s.Kind == "eap") {
			continue
		}
		q := OwnerOther
		if len(s.IDs) == 0 {
			q = OwnerAny
		}
		for _, owner := range s.IDs {
			q = max(q, m.match(owner, id))
		}
		if q > at {
			best, at = s, q
		}
	}
	return best, best != nil
}

// SharedKey returns the best preshared key between two identities, as
// strongSwan picks it: of secrets of kind "ike" the one that names the other end
// best, of equals the one that names us best, of equals the last. One that names
// nobody fits everybody; one that names only others does not fit.
func (m *Config) SharedKey(us, them string) (*SharedSecret, bool) {
	var best *SharedSecret
	var at [2]OwnerMatch
	for _, s := range slices.Backward(m.Secrets) {
		if s.Kind != "ike" {
			continue
		}
		var q [2]OwnerMatch
		if len(s.IDs) == 0 {
			q = [2]OwnerMatch{OwnerAny, OwnerAny}
		}
		for _, owner := range s.IDs {
			q[0], q[1] = max(q[0], m.match(owner, us)), max(q[1], m.match(owner, them))
		}
		if q[0]+q[1] > 0 && (q[1] > at[1] || q[1] == at[1] && q[0] > at[0]) {
			best, at = s, q
		}
	}
	return best, best != nil
}

// OwnerMatch is how well an owner of a secret fits an identity; more is better.
type OwnerMatch int

// Matches of an owner.
const (
	OwnerOther OwnerMatch = 0
	OwnerAny   OwnerMatch = 1 // %any, or the secret names nobody
	OwnerWild  OwnerMatch = 2 // a pattern
	OwnerIs    OwnerMatch = 3
)

func (m *Config) match(owner, id string) OwnerMatch {
	switch {
	case owner == "%any" || owner == "*":
		return OwnerAny
	case owner == id:
		return OwnerIs
	case m.Match != nil:
		return m.Match(owner, id)
	}
	return matchText(owner, id)
}

// matchText compares as text what may be host names, e-mail addresses or IP
// addresses.
func matchText(owner, id string) OwnerMatch {
	owner, id = strings.TrimPrefix(owner, "@"), strings.TrimPrefix(id, "@")
	if strings.EqualFold(owner, id) {
		return OwnerIs
	}
	if a, err := netip.ParseAddr(owner); err == nil {
		if b, err := netip.ParseAddr(id); err == nil && a.Unmap() == b.Unmap() {
			return OwnerIs
		}
	}
	if strings.HasPrefix(owner, "*") && len(id) >= len(owner)-1 && strings.EqualFold(owner[1:], id[len(id)-len(owner)+1:]) {
		return OwnerWild
	}
	return OwnerOther
}
