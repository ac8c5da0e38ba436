package ipsecconf

import (
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

// secrets reads ipsec.secrets: [owners] : TYPE value.
func (t *translator) secrets(path string, depth int) error {
	text, err := read(path)
	if err != nil {
		return err
	}
	if depth > maxIncludes {
		return fmt.Errorf("%s: includes are nested deeper than %d", path, maxIncludes)
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		pos := config.Pos{File: path, Line: n}
		line = strings.TrimSpace(cutComment(strings.TrimRight(line, "\r\n")))
		if line == "" {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "include "); ok {
			if err := include(path, unquote(strings.TrimSpace(rest)), pos, func(f string) error { return t.secrets(f, depth+1) }); err != nil {
				return err
			}
			continue
		}
		owners, rest, ok := cutColon(line)
		if !ok {
			return pos.Errorf("a secret is written [owner …] : TYPE value")
		}
		words := fields(rest)
		if len(words) < 2 {
			return pos.Errorf("after the colon the type of the secret and its value are expected")
		}
		t.held++
		name := fmt.Sprintf("-%d", t.held)
		put := func(section, key, value string) {
			t.cfg.Put([]string{"secrets", section}, config.Value{Key: key, Text: value, Pos: pos})
		}
		switch kind := strings.ToUpper(words[0]); kind {
		case "EAP", "XAUTH", "NTLM", "PSK", "PPK":
			section := map[string]string{"EAP": "eap", "XAUTH": "xauth", "NTLM": "ntlm", "PSK": "ike", "PPK": "ppk"}[kind] + name
			put(section, "secret", words[1])
			for i, id := range fields(owners) {
				put(section, fmt.Sprintf("id%d", i), id)
			}
		case "RSA", "ECDSA", "PKCS8", "PRIV", "P12":
			kind := map[string]string{"RSA": "rsa", "ECDSA": "ecdsa", "PKCS8": "pkcs8", "PRIV": "private", "P12": "pkcs12"}[kind]
			put(kind+name, "file", t.path("private", words[1]))
			if len(words) > 2 && words[2] != "%prompt" {
				put(kind+name, "secret", words[2])
			}
		case "PIN":
			t.cfg.Warn(pos.Errorf("secrets of type PIN are not supported: tokens cannot be used, put the key into a file"))
		default:
			t.cfg.Warn(pos.Errorf("secrets of type %s are not supported", kind))
		}
	}
	return nil
}

// cutColon splits at the first colon that is a word of its own, so that IPv6
// addresses may be owners.
func cutColon(line string) (owners, rest string, ok bool) {
	quoted := false
	for i := 0; i < len(line); i++ {
		if line[i] == '"' {
			quoted = !quoted
		}
		if line[i] == ':' && !quoted && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t') {
			return line[:i], line[i+1:], true
		}
	}
	return "", "", false
}

// fields splits at blanks outside of quotes, which are taken off.
func fields(s string) (out []string) {
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		if s[0] == '"' || s[0] == '\'' {
			if end := strings.IndexByte(s[1:], s[0]); end >= 0 {
				out = append(out, s[1:1+end])
				s = s[end+2:]
				continue
			}
		}
		end := strings.IndexAny(s, " \t")
		if end < 0 {
			end = len(s)
		}
		out = append(out, s[:end])
		s = s[end:]
	}
	return out
}
