package swanctl

import (
	"math"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

// Auth is how one end authenticates in a round.
type Auth struct {
	Class  string // "pubkey", "psk", "eap"
	Method string // of EAP: "ttls", "md5", "" = what the gateway starts with
	// Constraints are the whole of a pubkey entry that says more
	// ("rsa-2048-sha256"); of EAP what follows the colon ("eap-ttls:rsa-2048").
	Constraints string
}

// String writes the auth as swanctl.conf does.
func (a Auth) String() string {
	if a.Class == "eap" {
		s := "eap"
		if a.Method != "" {
			s += "-" + a.Method
		}
		if a.Constraints != "" {
			s += ":" + a.Constraints
		}
		return s
	}
	if a.Constraints != "" {
		return a.Constraints
	}
	return a.Class
}

// Round is a local<suffix> or remote<suffix> section.
type Round struct {
	Name   string // of the section
	Pos    config.Pos
	Round  int
	Auth   Auth
	ID     string   // "" = not set (remote: %any)
	EAPID  string   // "" = not set: ID
	AAAID  string   // local only: what the EAP server shows; "" = the gateway's ID
	Groups []string // which no gateway shows
	Certs  []string // files, and certificates in a TPM (TokenIndex)
	// CertsPos is where Certs are named; Pos where none are.
	CertsPos config.Pos
	CACerts  []string // files; remote only: the chain has to lead over one of them
	PubKeys  []string // files with raw public keys
	// Revocation is "relaxed", "ifuri" or "strict"; remote only.
	Revocation string
	// CAID is an identity that a CA of the chain has to hold; remote only.
	CAID string
	// CAPos is where CAs are named (ca_id, else cacerts); Pos where none are.
	CAPos config.Pos
	// CertPolicy are OIDs of certificate policies that the certificate has to
	// have; remote only.
	CertPolicy []string
	// ConfirmID: where none of Certs holds ID, the subject of the first one is
	// the identity (ipsec.conf).
	ConfirmID bool
	// OptionalCA: CAID counts only where a CA certificate with that subject is
	// loaded (ipsec.conf).
	OptionalCA bool
}

// EAPIdentity returns the identity for the EAP method: eap_id, else id; "" where
// neither is set. %any and * are as if not set.
func (r *Round) EAPIdentity() string {
	if id := named(r.EAPID); id != "" {
		return id
	}
	return named(r.ID)
}

// named returns an identity, "" for one that stands for any.
func named(id string) string {
	switch id {
	case "%any", "%any6", "*", "0.0.0.0", "::":
		return ""
	}
	return id
}

var localKeys = keys{
	"round": used, "auth": used, "id": used, "eap_id": used, "aaa_id": used, "certs": used,
	"pubkeys": used, "xauth_id": without("XAuth belongs to IKEv1"),
}

var remoteKeys = keys{
	"round": used, "auth": used, "id": used, "eap_id": used, "groups": used, "certs": used, "cacerts": used,
	"cert_policy": used, "ca_id": used, "pubkeys": used, "revocation": used, "xauth_id": without("XAuth belongs to IKEv1"),
}

var certKeys = keys{"file": used, "handle": used, "slot": used, "module": used}

func (m *Config) round(n *config.Node, local bool, bad func(*config.Error)) *Round {
	r := reader{n, bad}
	rd := &Round{Name: n.Name(), Pos: n.Pos(), CertsPos: n.Pos(), CAPos: n.Pos()}
	for _, key := range []string{"cacerts", "ca_id"} {
		if v, ok := n.Lookup(key); ok {
			rd.CAPos = v.Pos
		}
	}
	if v, ok := n.Lookup("certs"); ok {
		rd.CertsPos = v.Pos
	}
	rd.Round = int(r.integer("round", 0, 0, math.MaxInt32))
	rd.Auth = typed(r, "auth", Auth{Class: "pubkey"}, parseAuth)
	rd.ID = r.str("id", "")
	rd.EAPID = r.str("eap_id", "")
	k, prefixes := localKeys, []string{"cert"}
	if local {
		rd.AAAID = r.str("aaa_id", "")
	} else {
		k, prefixes = remoteKeys, []string{"cert", "cacert"}
		rd.Groups = r.list("groups")
		rd.CertPolicy = r.list("cert_policy")
		rd.CAID = r.str("ca_id", "")
		rd.Revocation = r.oneOf("revocation", "relaxed", "relaxed", "ifuri", "strict")
	}
	for _, f := range r.list("pubkeys") {
		rd.PubKeys = append(rd.PubKeys, m.path("pubkey", f))
	}
	for _, f := range r.list("certs") {
		rd.Certs = append(rd.Certs, m.path("x509", f))
	}
	if !local {
		for _, f := range r.list("cacerts") {
			rd.CACerts = append(rd.CACerts, m.path("x509ca", f))
		}
	}
	for _, s := range n.Sections() {
		sub := n.Sub(s)
		isCA := !local && hasPrefixFold(s, []string{"cacert"})
		if !isCA && !hasPrefixFold(s, []string{"cert"}) {
			continue
		}
		m.unknown(sub, certKeys, nil, nil, nil, bad)
		v, ok := sub.Lookup("file")
		handle, inTPM := sub.Lookup("handle")
		switch {
		case ok && inTPM:
			bad(handle.Errorf("%s names a file and a handle: take one out", sub.Path()))
		case inTPM && local:
			cert, err := tokenCert(sub, handle)
			if err != nil {
				bad(err)
				continue
			}
			if len(rd.Certs) == 0 {
				rd.CertsPos = handle.Pos
			}
			rd.Certs = append(rd.Certs, cert)
		case inTPM:
			bad(handle.Errorf("%s: only our own certificates are read from a TPM: put the gateway's into a file", sub.Path()))
		case !ok:
			bad(sub.Pos().Errorf("%s names no file and no handle", sub.Path()))
		case isCA:
			rd.CACerts = append(rd.CACerts, m.path("x509ca", v.Text))
		default:
			rd.Certs = append(rd.Certs, m.path("x509", v.Text))
		}
	}
	m.unknown(n, k, nil, nil, prefixes, bad)
	return rd
}

// parseAuth reads auth as strongSwan's vici plugin does: "pubkey", "rsa",
// "ecdsa" and "ike:" with what they may be followed by, "psk", "eap-<method>".
func parseAuth(v config.Value) (Auth, error) {
	text, lower := v.Text, strings.ToLower(v.Text)
	for _, p := range []string{"pubkey", "rsa", "ecdsa", "ike:"} {
		if strings.HasPrefix(text, p) {
			a := Auth{Class: "pubkey"}
			if text != "pubkey" {
				a.Constraints = text
			}
			return a, nil
		}
	}
	switch {
	case lower == "psk":
		return Auth{Class: "psk"}, nil
	case lower == "eap" || strings.HasPrefix(lower, "eap-") || strings.HasPrefix(lower, "eap:"):
		name, constraints, _ := strings.Cut(text, ":")
		_, method, _ := strings.Cut(strings.ToLower(name), "-")
		return Auth{Class: "eap", Method: method, Constraints: constraints}, nil
	case strings.HasPrefix(lower, "xauth"):
		return Auth{}, v.Errorf("auth = %q: XAuth belongs to IKEv1, which is not supported: use psk, pubkey or eap-<method>", text)
	case strings.HasPrefix(lower, "ed25519"), strings.HasPrefix(lower, "ed448"):
		return Auth{}, v.Errorf("auth = %q: write ike:%s", text, text)
	}
	for _, m := range []string{"ttls", "tls", "md5", "mschapv2", "peap", "gtc", "tnc"} {
		if lower == m || lower == "eap"+m || lower == "eap_"+m {
			return Auth{}, v.Errorf("auth = %q: is \"eap-%s\" meant?", text, m)
		}
	}
	return Auth{}, v.Errorf("auth = %q: not one of pubkey, rsa, ecdsa, ike:<schemes>, psk, eap-<method>%s", text,
		config.Suggest(text, []string{"pubkey", "psk", "eap-ttls", "eap-tls", "eap-md5", "eap-mschapv2", "eap-peap", "eap-gtc"}))
}
