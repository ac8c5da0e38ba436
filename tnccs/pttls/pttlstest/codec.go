package pttlstest

import (
	"bytes"
	"fmt"
	"unicode/utf8"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tnccs/pttls"
)

// The values that only a server decodes.

// parseVersionRequest decodes the value of a Version Request.
func parseVersionRequest(value []byte) (pttls.VersionRequest, error) {
	r := wire.NewReader("PT-TLS Version Request", value)
	r.U8()
	v := pttls.VersionRequest{Min: r.U8(), Max: r.U8(), Preferred: r.U8()}
	if err := r.Finish(); err != nil {
		return pttls.VersionRequest{}, err
	}
	return v, nil
}

// parseSelection decodes the value of a SASL Mechanism Selection.
func parseSelection(value []byte) (pttls.Selection, error) {
	r := wire.NewReader("SASL Mechanism Selection", value)
	n := int(r.U8() & 0x1f) // the upper 3 bits are reserved
	names, err := pttls.ParseMechanisms(value[:min(len(value), 1+n)])
	if err != nil || len(names) != 1 {
		return pttls.Selection{}, fmt.Errorf("SASL Mechanism Selection of %d octets: %w", len(value), wire.ErrValue)
	}
	r.Skip(n)
	return pttls.Selection{Mechanism: names[0], Initial: bytes.Clone(r.Rest())}, r.Finish()
}

// parsePlain decodes the only message of SASL PLAIN (RFC 4616). The results are
// copies.
func parsePlain(b []byte) (authorize, identity string, secret []byte, err error) {
	parts := bytes.Split(b, []byte{0})
	if len(parts) != 3 || len(parts[1]) == 0 || len(parts[2]) == 0 || !utf8.Valid(parts[0]) || !utf8.Valid(parts[1]) {
		return "", "", nil, &wire.DecodeError{Element: "SASL PLAIN", Err: wire.ErrValue}
	}
	return string(parts[0]), string(parts[1]), bytes.Clone(parts[2]), nil
}
