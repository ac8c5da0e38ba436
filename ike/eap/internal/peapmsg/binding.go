package peapmsg

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // the method is defined on SHA-1
	"errors"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// The Crypto-Binding TLV ([MS-PEAP] section 2.2.8.1.1) ties the keys of the tunnel and
// of the method inside together:
//
//	Reserved (1)  Version (1)  RecvVersion (1)  SubType (1)  Nonce (32)  Compound MAC (20)
const (
	bindingLen = 56
	bindingMAC = 36 // offset of the MAC

	// SubType of a Crypto-Binding TLV.
	BindingRequest  = 0
	BindingResponse = 1

	tempKeyLen = 40
	ipmkLen    = 40
	cmkLen     = 20
	iskLen     = 32
	mskLen     = 64
)

// ErrBinding is the failure of Open.
var ErrBinding = errors.New("the server's proof that tunnel and inner method have the same ends does not verify")

// prfPlus is PRF+ of [MS-PEAP] section 3.1.5.5.2.2 for PEAPv0: T1 = HMAC-SHA1(K, S | 1 |
// 0 | 0), T2 = HMAC-SHA1(K, T1 | S | 2 | 0 | 0), and so on.
func prfPlus(key []byte, s string, seed []byte, n int) []byte {
	var out, t []byte
	for i := byte(1); len(out) < n; i++ {
		m := hmac.New(sha1.New, key)
		m.Write(t)
		m.Write([]byte(s))
		m.Write(seed)
		m.Write([]byte{i, 0, 0})
		t = m.Sum(nil)
		out = append(out, t...)
	}
	clear(out[n:])
	return out[:n:n]
}

// Compound holds the keys of a tunnel with the key of the method inside.
type Compound struct{ ipmk, cmk []byte }

// NewCompound derives the keys from the tunnel's key material, and the key of the
// inner method, nil where it has none.
func NewCompound(tunnel, inner []byte) Compound {
	isk := make([]byte, iskLen)
	defer clear(isk)
	copy(isk, inner)
	k := prfPlus(tunnel[:tempKeyLen], "Inner Methods Compound Keys", isk, ipmkLen+cmkLen)
	return Compound{k[:ipmkLen], k[ipmkLen:]}
}

// MSK returns the Master Session Key of a bound tunnel.
func (c Compound) MSK() []byte {
	return prfPlus(c.ipmk, "Session Key Generating Function", []byte{0}, mskLen)
}

// Zero overwrites the keys.
func (c Compound) Zero() {
	clear(c.ipmk)
	clear(c.cmk)
}

// mac returns the compound MAC of a Crypto-Binding value.
func (c Compound) mac(value []byte) []byte {
	m := hmac.New(sha1.New, c.cmk)
	m.Write(wire.AppendU16(wire.AppendU16(nil, tlvCryptoBinding), bindingLen))
	m.Write(value[:bindingMAC])
	m.Write(make([]byte, sha1.Size))
	m.Write([]byte{byte(eap.TypePEAP)})
	return m.Sum(nil)
}

// Seal returns the Crypto-Binding value with a nonce of 32 octets.
func (c Compound) Seal(subtype byte, nonce []byte) []byte {
	v := append([]byte{0, Version, Version, subtype}, nonce...)
	return append(v, c.mac(v)...)
}

// Open verifies a Crypto-Binding value and returns its nonce.
func (c Compound) Open(subtype byte, v []byte) ([]byte, error) {
	if len(v) != bindingLen || v[3] != subtype || !hmac.Equal(v[bindingMAC:], c.mac(v)) {
		return nil, ErrBinding
	}
	return v[4:bindingMAC], nil
}
