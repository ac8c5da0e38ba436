package ipsecconf

import (
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

func (c *conn) authentication(strict config.Value) error {
	by, hasBy := c.take("authby")
	method := func(v config.Value, ok bool) (config.Value, string) {
		switch {
		case ok:
			return v, v.Text
		case hasBy && (by.Text == "secret" || by.Text == "psk"):
			return by, "psk"
		case hasBy && by.Text == "ecdsasig":
			return by, "ecdsa"
		case hasBy && by.Text == "rsasig":
			return by, "rsa"
		}
		return c.at(), "pubkey"
	}
	eapID, hasEAPID := c.take("eap_identity")
	aaaID, hasAAAID := c.take("aaa_identity")
	var rounds []string // of the gateway
	for _, end := range []struct{ left, section string }{{"left", "local"}, {"right", "remote"}} {
		for _, round := range []string{"", "2"} {
			v, ok := c.take(end.left + "auth" + round)
			if round == "2" && !ok {
				continue
			}
			sec := end.section + round
			pos, auth := method(v, ok)
			if auth == "any" && end.section == "remote" {
				auth = "eap" // the method's own proof, or a certificate before it
			}
			c.put(pos, "auth", auth, sec)
			if round == "2" {
				c.put(pos, "round", "2", sec)
			}
			c.identity(end.left, round, sec)
			c.keys(end.left, round, sec)
			if end.section == "remote" {
				rounds = append(rounds, sec)
			}
			if end.section == "local" && strings.HasPrefix(auth, "eap") {
				if hasEAPID && eapID.Text != "%identity" && eapID.Text != "%any" {
					c.put(eapID, "eap_id", eapID.Text, sec)
				}
				if hasAAAID {
					c.put(aaaID, "aaa_id", aaaID.Text, sec)
				}
			}
		}
	}
	for _, sec := range rounds {
		switch strict.Text {
		case "yes":
			c.put(strict, "revocation", "strict", sec)
		case "ifuri":
			c.put(strict, "revocation", "ifuri", sec)
		}
	}
	if v, ok := c.take("leftca"); ok && v.Text != "%same" {
		c.t.cfg.Warn(v.Errorf("leftca has no effect: leftcert says which certificate is sent"))
	}
	switch v, ok := c.take("leftsendcert"); {
	case !ok:
	case v.Text == "always" || v.Text == "yes":
		c.put(v, "send_cert", "always")
	case v.Text == "never" || v.Text == "no":
		c.put(v, "send_cert", "never")
	case v.Text != "ifasked":
		c.t.cfg.Warn(v.Errorf("leftsendcert = %q: not one of never, ifasked, always", v.Text))
	}
	if v, ok := c.take("rightsendcert"); ok && (v.Text == "never" || v.Text == "no") {
		c.put(v, "send_certreq", "no")
	}
	return nil
}

// identity takes who an end is. The gateway is by default what right says, or
// whose certificate is named: with another identity it is somebody else.
func (c *conn) identity(end, round, sec string) {
	said, pinned := c.v[end+"id"+round].Text != "", c.v[end+"cert"+round].Text != ""
	if end == "right" && round == "" && !said && !pinned && c.right.Text != "" {
		c.put(c.right, "id", c.right.Text, sec)
		return
	}
	c.copy(end+"id"+round, "id", sec)
}

// keys takes what a round says of certificates and keys.
func (c *conn) keys(end, round, sec string) {
	if v, ok := c.take(end + "cert" + round); ok {
		c.put(v, "certs", c.t.path("certs", v.Text), sec)
	}
	if v, ok := c.take(end + "sigkey" + round); ok {
		if strings.HasPrefix(v.Text, "dns:") || strings.HasPrefix(v.Text, "ssh:") || strings.HasPrefix(v.Text, "0x") || strings.HasPrefix(v.Text, "0s") {
			c.t.cfg.Warn(v.Errorf("%ssigkey%s: only the file of a public key can be named", end, round))
		} else {
			c.put(v, "pubkeys", c.t.path("certs", v.Text), sec)
		}
	}
	if end != "right" {
		return
	}
	if v, ok := c.take("rightca" + round); ok && v.Text != "%any" {
		if v.Text == "%same" {
			v.Text = c.v["leftca"+round].Text
		}
		if v.Text != "" && !strings.HasPrefix(v.Text, "%") {
			c.put(v, "ca_id", v.Text, sec)
		}
	}
	c.copy("rightcertpolicy"+round, "cert_policy", sec)
	if v, ok := c.take("rightgroups" + round); ok {
		c.put(v, "groups", v.Text, sec)
	}
}
