package ipsecconf

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gotnc/gotnc/internal/config"
)

func (c *conn) authentication(strict config.Value) error {
	by, hasBy := c.take("authby")
	method := func(v config.Value, ok bool) (config.Value, string) {
		switch {
		case ok:
			return v, v.Text
		case hasBy && (by.Text == "secret" || by.Text == "psk"):
			return by, "psk"
		}
		return c.at(), "pubkey"
	}
	eapID, hasEAPID := c.take("eap_identity")
	aaaID, hasAAAID := c.take("aaa_identity")
	for _, end := range []struct{ left, section string }{{"left", "local"}, {"right", "remote"}} {
		for _, round := range []string{"", "2"} {
			v, ok := c.take(end.left + "auth" + round)
			if round == "2" && !ok {
				continue
			}
			sec := end.section + round
			pos, auth := method(v, ok)
			c.put(pos, "auth", auth, sec)
			if round == "2" {
				c.put(pos, "round", "2", sec)
			}
			c.copy(end.left+"id"+round, "id", sec)
			if v, ok := c.take(end.left + "cert" + round); ok {
				c.put(v, "certs", c.t.path("certs", v.Text), sec)
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
	if strict.Text == "yes" {
		c.put(strict, "revocation", "strict", "remote")
	} else if strict.Text == "ifuri" {
		c.put(strict, "revocation", "ifuri", "remote")
	}
	for _, k := range []string{"leftca", "rightca"} {
		if v, ok := c.take(k); ok && v.Text != "%same" {
			c.t.cfg.Warn(v.Errorf("%s is not checked: every CA of ipsec.d/cacerts is trusted", k))
		}
	}
	return c.cacerts()
}

// cacerts names every file of ipsec.d/cacerts.
func (c *conn) cacerts() error {
	dir := filepath.Join(c.t.dir, "ipsec.d", "cacerts")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var files []string
	for _, e := range entries {
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	if len(files) > maxCerts {
		return fmt.Errorf("%s holds more than %d files", dir, maxCerts)
	}
	if len(files) > 0 {
		c.put(c.at(), "cacerts", strings.Join(files, ","), "remote")
	}
	return nil
}
