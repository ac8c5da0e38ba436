package tpm

import (
	"encoding/asn1"
	"errors"
	"math/big"
)

// firstDER returns the first DER element of b.
func firstDER(b []byte) ([]byte, error) {
	var v asn1.RawValue
	if _, err := asn1.Unmarshal(b, &v); err != nil {
		return nil, err
	}
	return v.FullBytes, nil
}

// ecdsaASN1 turns r ‖ s into X.509's SEQUENCE { r, s }.
func ecdsaASN1(sig []byte) ([]byte, error) {
	if len(sig) == 0 || len(sig)%2 != 0 {
		return nil, errors.New("an ECDSA signature has an even number of octets")
	}
	n := len(sig) / 2
	return asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(sig[:n]), new(big.Int).SetBytes(sig[n:])})
}
