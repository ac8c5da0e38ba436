package ipsecconf

import (
	"errors"
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

// secretsReader reads ipsec.secrets: "[owner …] : TYPE value", one a line. A
// line that cannot be read ends its file, as with strongSwan, which keeps what
// came before; the fault is reported.
type secretsReader struct {
	t      *translator
	held   int // secrets so far, of all files
	files  int
	faults []*config.Error
}

func (r *secretsReader) file(path string, depth int) error {
	if r.files++; r.files > maxFiles {
		return fmt.Errorf("%s: more than %d files included", path, maxFiles)
	}
	text, err := read(path)
	if err != nil {
		return err
	}
	if err := config.CheckEncoding(path, text); err != nil {
		return err
	}
	n, inline := 0, 0
	for line := range strings.Lines(text) {
		n++
		pos := config.Pos{File: path, Line: n}
		line = strings.TrimSpace(line)
		if inline > 0 { // inside of a key written out: a line with '}' ends it
			inline += strings.Count(line, "{") - strings.Count(line, "}")
			continue
		}
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "include "); ok {
			pattern, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
			if depth >= maxIncludes {
				r.fault(pos.Errorf("include %s: includes are nested deeper than %d", pattern, maxIncludes))
				continue
			}
			for _, f := range includes(r.t.cfg, path, strings.Trim(pattern, `"`), pos) {
				if err := r.file(f, depth+1); err != nil {
					return err
				}
			}
			continue
		}
		opened, err := r.secret(line, pos)
		if err != nil {
			r.fault(pos.Errorf("%w; this secret and those after it in the file are not read", err))
			return nil
		}
		inline = opened
	}
	return nil
}

func (r *secretsReader) fault(e *config.Error) { r.faults = append(r.faults, e) }

// secret reads one line. It returns how many braces of a key that is written out
// stay open.
func (r *secretsReader) secret(line string, pos config.Pos) (open int, err error) {
	flat := strings.ReplaceAll(line, "\t", " ") // of the same length
	owners, rest := "", ""
	if strings.HasPrefix(flat, ": ") {
		rest = line[2:]
	} else if i := strings.Index(flat, " : "); i >= 0 {
		owners, rest = line[:i], line[i+3:]
	} else {
		return 0, errors.New("a secret is written [owner …] : TYPE value, with a blank on each side of the colon")
	}
	rest = strings.TrimSpace(rest)
	end := strings.IndexAny(rest, " \t")
	if end < 0 {
		return 0, fmt.Errorf("after the colon the type of the secret and its value are expected, such as EAP \"…\", not %s alone", config.QuoteText(rest))
	}
	kind, value := rest[:end], strings.TrimSpace(rest[end:])
	ids, err := words(owners)
	if err != nil {
		return 0, err
	}
	r.held++
	name := fmt.Sprintf("-%d", r.held)
	put := func(section string, v config.Value) {
		v.Pos = pos
		r.t.cfg.Put([]string{"secrets", section}, v)
	}
	switch kind {
	case "EAP", "XAUTH", "NTLM", "PSK":
		secret, err := oneSecret(value)
		if err != nil {
			return 0, err
		}
		section := map[string]string{"EAP": "eap", "XAUTH": "xauth", "NTLM": "ntlm", "PSK": "ike"}[kind] + name
		secret.Key = "secret"
		put(section, secret)
		for i, id := range ids {
			put(section, config.Value{Key: fmt.Sprintf("id%d", i), Text: id.Text})
		}
	case "RSA", "ECDSA", "PKCS8", "P12":
		if strings.HasPrefix(value, "{") {
			r.t.cfg.Warn(pos.Errorf("a private key that is written out is passed over: put it into a file of ipsec.d/private"))
			return strings.Count(value, "{") - strings.Count(value, "}"), nil
		}
		vs, err := words(value)
		if err != nil {
			return 0, err
		}
		if len(vs) == 0 {
			return 0, errors.New("the name of the file is missing: write it behind the type")
		}
		section := map[string]string{"RSA": "rsa", "ECDSA": "ecdsa", "PKCS8": "pkcs8", "P12": "pkcs12"}[kind] + name
		put(section, config.Value{Key: "file", Text: r.t.path("private", vs[0].Text)})
		if len(vs) > 1 && vs[1].Text != "%prompt" {
			vs[1].Key = "secret"
			put(section, vs[1])
		}
	case "PIN":
		vs, err := words(value)
		if err != nil {
			return 0, err
		}
		keyID := ""
		if len(vs) > 0 {
			keyID, _ = parseSmartcard(vs[0].Text, persistent)
		}
		if keyID == "" {
			r.t.cfg.Warn(pos.Errorf("secrets of type PIN are passed over but for keys in a TPM (PIN %%smartcard:0x81010001 \"…\"): put the key there, or into a file"))
			return 0, nil
		}
		put("token"+name, config.Value{Key: "handle", Text: keyID})
		if len(vs) > 1 && vs[1].Text != "%prompt" {
			vs[1].Key = "pin"
			put("token"+name, vs[1])
		}
	default:
		return 0, fmt.Errorf("%s is no type of secret: RSA, ECDSA, PKCS8, P12, PSK, EAP, XAUTH, NTLM, PIN are", config.QuoteText(kind))
	}
	return 0, nil
}

// oneSecret reads a secret: in single or double quotes as it stands; else to the
// next blank, where 0x means hexadecimal digits and 0s Base64.
func oneSecret(s string) (config.Value, error) {
	vs, err := words(s)
	if err != nil {
		return config.Value{}, err
	}
	if len(vs) == 0 {
		return config.Value{}, errors.New("the secret is missing: write it behind the type")
	}
	return vs[0], nil
}

// words splits at blanks outside of quotes, which are taken off; what was quoted
// is Literal. Nothing escapes a quote; a '#' begins a comment only where a word
// could begin.
func words(s string) (out []config.Value, err error) {
	for s = strings.TrimSpace(s); s != "" && s[0] != '#'; s = strings.TrimSpace(s) {
		if s[0] == '"' || s[0] == '\'' {
			end := strings.IndexByte(s[1:], s[0])
			if end < 0 {
				return nil, fmt.Errorf("the quote %c is not closed: add it at the end", s[0])
			}
			out = append(out, config.Value{Text: s[1 : 1+end], Literal: true})
			s = s[end+2:]
			continue
		}
		end := strings.IndexAny(s, " \t")
		if end < 0 {
			end = len(s)
		}
		out = append(out, config.Value{Text: s[:end]})
		s = s[end:]
	}
	return out, nil
}
