package ipsecconf

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

// round is one authentication round of one end.
type round struct {
	end     string // "left" or "right"
	suffix  string // "" or "2"
	section string // "local", "remote2"
	us      bool
}

// authentication translates who both ends are and how they prove it. authby
// counts only where neither leftauth nor rightauth is set, and of "pubkey",
// "rsasig" and "ecdsasig" each means any public key, as with strongSwan.
func (c *conn) authentication(strict config.Value) {
	by, hasBy := c.take("authby")
	if c.v["leftauth"].Text != "" || c.v["rightauth"].Text != "" {
		hasBy = false
	}
	eapID, hasEAPID := c.take("eap_identity")
	aaaID, hasAAAID := c.take("aaa_identity")
	c.sameCA()
	local := ""
	for _, r := range []round{{c.us, "", "local", true}, {c.us, "2", "local2", true}, {c.them(), "", "remote", false}, {c.them(), "2", "remote2", false}} {
		v, ok := c.take(r.end + "auth" + r.suffix)
		if r.suffix != "" && !ok {
			c.unusedRound(r)
			continue
		}
		if !ok {
			v = c.at()
		}
		auth := c.class(r, v, local)
		switch {
		case !ok && hasBy && strings.HasPrefix(by.Text, "xauth"):
			c.bad(by.Errorf("authby = %s: XAuth belongs to IKEv1, which is not supported: use psk or pubkey", by.Text))
		case !ok && hasBy && (by.Text == "secret" || by.Text == "psk"):
			v, auth = by, "psk"
		}
		if r.us && r.suffix == "" {
			local = auth
		}
		c.put(v, "auth", auth, r.section)
		if r.suffix == "2" {
			c.put(v, "round", "2", r.section)
		}
		c.identity(r)
		c.keys(r)
		if strings.HasPrefix(auth, "eap") && r.us {
			if hasEAPID {
				id := eapID.Text
				if id == "%identity" {
					id = "%any"
				}
				c.put(eapID, "eap_id", id, r.section)
			}
			if hasAAAID {
				c.put(aaaID, "aaa_id", aaaID.Text, r.section)
			}
		}
		if !r.us && strict.Text != "" && strict.Text != "no" {
			c.put(strict, "revocation", map[string]string{"yes": "strict", "ifuri": "ifuri"}[strict.Text], r.section)
		}
	}
	c.certificates()
}

// class translates leftauth or rightauth. "any" of the gateway is what we do, or
// a public key where our EAP method does not prove who it is; strongSwan takes a method that it does not know for "any", which lets a
// typing error decide about security: it is refused here.
func (c *conn) class(r round, v config.Value, local string) string {
	is := func(prefixes ...string) bool { return hasPrefix(v.Text, prefixes...) }
	switch {
	case v.Text == "":
		return "pubkey"
	case v.Text == "psk" || v.Text == "secret":
		return "psk"
	case is("pubkey", "rsa", "ecdsa", "ike:", "eap-", "eap:"), v.Text == "eap":
		return v.Text
	case v.Text == "any" && !r.us:
		switch method, _, _ := strings.Cut(local, ":"); method {
		case "psk":
			return "psk"
		case "eap", "eap-ttls", "eap-tls", "eap-peap":
			return "eap"
		}
		return "pubkey"
	case v.Text == "any":
		return "pubkey"
	case is("xauth"):
		c.bad(v.Errorf("%sauth%s = %s: XAuth belongs to IKEv1, which is not supported: use psk, pubkey or eap-<method>", r.end, r.suffix, v.Text))
	default:
		c.bad(v.Errorf("%sauth%s = %s: not one of pubkey, rsa, ecdsa, psk, eap-<method>%s", r.end, r.suffix, config.QuoteText(v.Text),
			config.Suggest(v.Text, []string{"pubkey", "psk", "eap-ttls", "eap-tls", "eap-md5", "eap-mschapv2", "eap-peap", "eap-gtc"})))
	}
	return "pubkey"
}

func hasPrefix(s string, prefixes ...string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

// identity translates who an end is: what id says, else its address. A leading
// "%" of the gateway's means that its certificate has to hold the identity
// whatever the gateway calls itself; of ours it means nothing.
func (c *conn) identity(r round) {
	v, ok := c.take(r.end + "id" + r.suffix)
	switch {
	case !ok && r.suffix == "2" && r.us:
		v, ok = c.localID, c.localID.Text != ""
	case !ok && r.suffix == "":
		host := c.remote
		if r.us {
			host = c.local
		}
		first, _, _ := strings.Cut(host, ",")
		if first = strings.TrimSpace(first); !anyHost(first) && !strings.ContainsAny(first, "/") {
			v, ok = c.at(), true
			v.Text = strings.TrimPrefix(first, "%")
		}
	}
	if r.us {
		if v.Text != "%any" && v.Text != "%any6" {
			v.Text = strings.TrimPrefix(v.Text, "%")
		}
		if r.suffix == "" {
			c.localID = v
		}
	}
	if ok && v.Text != "%any" && v.Text != "%any6" {
		c.put(v, "id", v.Text, r.section)
	}
}

// keys translates what a round says of certificates and keys.
func (c *conn) keys(r round) {
	if v, ok := c.take(r.end + "cert" + r.suffix); ok {
		var files []string
		for i, f := range v.List() {
			if strings.HasPrefix(f, smartcard) {
				keyID, err := parseSmartcard(f, nvIndex)
				switch {
				case err != nil:
					c.bad(v.Errorf("%scert%s = %s: %w: put the certificate and its key into files", r.end, r.suffix, config.QuoteText(f), err))
				case !r.us:
					c.bad(v.Errorf("%scert%s = %s: only our own certificates are read from a TPM: put the gateway's into a file", r.end, r.suffix, config.QuoteText(f)))
				default:
					c.put(v, "handle", keyID, r.section, fmt.Sprintf("cert%d", i+1))
					c.confirmed = append(c.confirmed, r.section)
				}
				continue
			}
			files = append(files, c.t.path("certs", f))
		}
		if len(files) > 0 {
			c.put(v, "certs", strings.Join(files, ","), r.section)
			c.confirmed = append(c.confirmed, r.section)
		}
	}
	for _, key := range []string{"sigkey", "rsasigkey"} {
		v, ok := c.take(r.end + key)
		if !ok || v.Text == "%cert" {
			continue
		}
		if hasPrefix(v.Text, "dns:", "ssh:", "0x", "0s") { // not a file
			c.bad(v.Errorf("%s%s: a key in the configuration is not supported: put it into a file and name that", r.end, key))
			continue
		}
		c.put(v, "pubkeys", c.t.path("certs", v.Text), r.section)
	}
	ca, hasCA := c.take(r.end + "ca" + r.suffix)
	groups, hasGroups := c.take(r.end + "groups" + r.suffix)
	policy, hasPolicy := c.take(r.end + "certpolicy")
	if r.us {
		if hasCA {
			c.warn(ca.Errorf("%sca%s has no effect: %scert says which certificate is sent", r.end, r.suffix, r.end))
		}
		return
	}
	if hasCA && ca.Text != "" && !strings.HasPrefix(ca.Text, "%") {
		c.put(ca, "ca_id", ca.Text, r.section)
		c.optionalCA = append(c.optionalCA, r.section)
	}
	if hasPolicy {
		c.put(policy, "cert_policy", policy.Text, r.section)
	}
	if hasGroups {
		c.put(groups, "groups", groups.Text, r.section)
	}
}

// sameCA gives an end whose CA is "%same" that of the other.
func (c *conn) sameCA() {
	for _, suffix := range []string{"", "2"} {
		for end, other := range map[string]string{"left": "right", "right": "left"} {
			if v := c.v[end+"ca"+suffix]; v.Text == "%same" {
				v.Text = c.v[other+"ca"+suffix].Text
				c.v[end+"ca"+suffix] = v
			}
		}
	}
}

// unusedRound forgets the settings of a second round that is not there.
func (c *conn) unusedRound(r round) {
	for _, key := range []string{"id2", "ca2", "groups2", "cert2"} {
		if v, ok := c.take(r.end + key); ok && key != "cert2" { // cert2 may be for EAP-TLS
			c.warn(v.Errorf("%s%s has no effect without %sauth2", r.end, key, r.end))
		}
	}
}

// certificates translates who sends certificates and asks for them.
func (c *conn) certificates() {
	if v, ok := c.take(c.us + "sendcert"); ok {
		c.put(v, "send_cert", map[string]string{"always": "always", "yes": "always", "never": "never", "no": "never", "ifasked": "ifasked"}[v.Text])
	}
	if v, ok := c.take(c.them() + "sendcert"); ok && (v.Text == "never" || v.Text == "no") {
		c.put(v, "send_certreq", "no")
	}
}
