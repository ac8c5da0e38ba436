package swanctl

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

// Token is a section token<suffix> of secrets: a private key in the TPM.
type Token struct {
	Name   string // of the section
	Pos    config.Pos
	Handle uint32 // of a persistent key
	PIN    Secret // authorization value of the key; nil = none
	// PINPos is where the PIN is; Pos where there is none.
	PINPos config.Pos
}

var tokenKeys = keys{"handle": used, "slot": used, "module": used, "pin": used}

const noPKCS11 = "tokens of PKCS #11 modules are not supported, only keys and certificates in a TPM"

func (m *Config) token(n *config.Node) {
	m.unknown(n, tokenKeys, nil, nil, nil, m.fault)
	t := &Token{Name: n.Name(), Pos: n.Pos(), PINPos: n.Pos()}
	if v, ok := n.Lookup("pin"); ok {
		t.PIN, t.PINPos = Secret(v.Text), v.Pos
	}
	v, ok := n.Lookup("handle")
	if module, has := n.Lookup("module"); has {
		m.cfg.Warn(module.Errorf("%s is ignored: %s", n.Path(), noPKCS11))
		return
	}
	if !ok {
		m.fault(n.Pos().Errorf("%s names no handle and is ignored: add the handle of the key in the TPM, such as handle = 0x81010001", n.Path()))
		return
	}
	h, err := ParseHandle(v.Text)
	switch {
	case err != nil:
		m.fault(v.Errorf("%s is ignored: handle: %w", n.Path(), err))
	case h>>24 != persistent:
		m.fault(v.Errorf("%s is ignored: handle = %s is not one of a persistent key in a TPM (0x81000000 to 0x81ffffff); %s", n.Path(), config.QuoteText(v.Text), noPKCS11))
	default:
		t.Handle = h
		m.Tokens = append(m.Tokens, t)
	}
}

// The first octets of handles (TPM Library Part 2 section 7.2).
const (
	nvIndex    = 0x01
	persistent = 0x81
)

// ParseHandle reads a handle as strongSwan does: hexadecimal digits, with or without
// 0x and colons, of which the last four octets count.
func ParseHandle(text string) (uint32, error) {
	digits := strings.ReplaceAll(strings.TrimPrefix(text, "0x"), ":", "")
	digits = digits[max(0, len(digits)-8):]
	h, err := strconv.ParseUint(digits, 16, 32)
	if err != nil {
		return 0, fmt.Errorf("%s is no hexadecimal number", config.QuoteText(text))
	}
	return uint32(h), nil
}

// tokenPrefix begins what stands in Round.Certs for a certificate in the TPM.
const tokenPrefix = "tpm:0x"

// TokenIndex returns the NV index of an entry of Round.Certs that is a certificate in
// the TPM; false for the name of a file.
func TokenIndex(cert string) (index uint32, ok bool) {
	rest, ok := strings.CutPrefix(cert, tokenPrefix)
	if !ok {
		return 0, false
	}
	h, err := strconv.ParseUint(rest, 16, 32)
	return uint32(h), err == nil
}

// tokenCert returns the entry of Round.Certs for a section cert<suffix> with handle.
func tokenCert(n *config.Node, handle config.Value) (string, *config.Error) {
	if v, ok := n.Lookup("module"); ok {
		return "", v.Errorf("%s: %s", n.Path(), noPKCS11)
	}
	h, err := ParseHandle(handle.Text)
	switch {
	case err != nil:
		return "", handle.Errorf("%s: handle: %w", n.Path(), err)
	case h>>24 != nvIndex:
		return "", handle.Errorf("%s: handle = %s is no NV index of a TPM (0x01000000 to 0x01ffffff); %s", n.Path(), config.QuoteText(handle.Text), noPKCS11)
	}
	return fmt.Sprintf("%s%08x", tokenPrefix, h), nil
}
