package crypto

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"

	"github.com/gotnc/gotnc/ike/message"
)

// encrAlg describes an ENCR transform that this package implements.
type encrAlg struct {
	name string // strongSwan's; "%d" takes the key bits
	aead bool
	salt int // octets of key material behind the key
	icv  int // octets, AEAD only
	bits []uint16
}

var aesBits = []uint16{128, 192, 256}

var encrAlgs = map[uint16]encrAlg{
	message.EncrAESCBC:           {name: "AES_CBC_%d", bits: aesBits},
	message.EncrAESCTR:           {name: "AES_CTR_%d", salt: 4, bits: aesBits},
	message.EncrAESCCM8:          {name: "AES_CCM_8_%d", aead: true, salt: 3, icv: 8, bits: aesBits},
	message.EncrAESCCM12:         {name: "AES_CCM_12_%d", aead: true, salt: 3, icv: 12, bits: aesBits},
	message.EncrAESCCM16:         {name: "AES_CCM_16_%d", aead: true, salt: 3, icv: 16, bits: aesBits},
	message.EncrAESGCM8:          {name: "AES_GCM_8_%d", aead: true, salt: 4, icv: 8, bits: aesBits},
	message.EncrAESGCM12:         {name: "AES_GCM_12_%d", aead: true, salt: 4, icv: 12, bits: aesBits},
	message.EncrAESGCM16:         {name: "AES_GCM_16_%d", aead: true, salt: 4, icv: 16, bits: aesBits},
	message.EncrChaCha20Poly1305: {name: "CHACHA20_POLY1305", aead: true, salt: 4, icv: 16},
}

// keySize returns the octets of key material of t, salt included.
func (a encrAlg) keySize(t message.Transform) (int, error) {
	if len(a.bits) == 0 {
		// Some peers name the one key length there is ("chacha20poly1305compat").
		if t.KeyBits != 0 && t.KeyBits != 256 {
			return 0, fmt.Errorf("%s with %d bits: %w", a.name, t.KeyBits, ErrUnsupported)
		}
		return 32 + a.salt, nil
	}
	for _, b := range a.bits {
		if b == t.KeyBits {
			return int(b)/8 + a.salt, nil
		}
	}
	return 0, fmt.Errorf("%s: %w", transformName(t), ErrUnsupported)
}

// keyedHMAC returns HMAC with a hash function as keyed MAC.
func keyedHMAC(h func() hash.Hash) func(key []byte) hash.Hash {
	return func(key []byte) hash.Hash { return hmac.New(h, key) }
}

type integAlg struct {
	name string
	mac  func(key []byte) hash.Hash
	key  int // octets
	icv  int // octets
}

var integAlgs = map[uint16]integAlg{
	message.IntegHMACSHA196:    {"HMAC_SHA1_96", keyedHMAC(sha1.New), 20, 12},
	message.IntegHMACSHA256128: {"HMAC_SHA2_256_128", keyedHMAC(sha256.New), 32, 16},
	message.IntegHMACSHA384192: {"HMAC_SHA2_384_192", keyedHMAC(sha512.New384), 48, 24},
	message.IntegHMACSHA512256: {"HMAC_SHA2_512_256", keyedHMAC(sha512.New), 64, 32},
	message.IntegAESXCBC96:     {"AES_XCBC_96", newXCBC, 16, 12},
	message.IntegAESCMAC96:     {"AES_CMAC_96", newCMAC, 16, 12},
}

type prfAlg struct {
	name string
	mac  func(key []byte) hash.Hash
	size int // octets of key and output
	// nonce is how many octets of each nonce make the key of SKEYSEED, 0 for
	// all (RFC 7296 section 2.14).
	nonce int
}

var prfAlgs = map[uint16]prfAlg{
	message.PRFHMACSHA1:   {name: "PRF_HMAC_SHA1", mac: keyedHMAC(sha1.New), size: 20},
	message.PRFHMACSHA256: {name: "PRF_HMAC_SHA2_256", mac: keyedHMAC(sha256.New), size: 32},
	message.PRFHMACSHA384: {name: "PRF_HMAC_SHA2_384", mac: keyedHMAC(sha512.New384), size: 48},
	message.PRFHMACSHA512: {name: "PRF_HMAC_SHA2_512", mac: keyedHMAC(sha512.New), size: 64},
	message.PRFAESXCBC:    {name: "PRF_AES128_XCBC", mac: prfXCBC, size: 16, nonce: 8},
	message.PRFAESCMAC:    {name: "PRF_AES128_CMAC", mac: prfCMAC, size: 16, nonce: 8},
}

// otherNames are algorithms that peers offer and this package does not have.
var otherNames = map[message.TransformType]map[uint16]string{
	message.ENCR: {
		message.Encr3DES: "3DES_CBC", message.EncrNULL: "NULL",
		message.EncrNULLAESGMAC: "NULL_AES_GMAC_%d",
		message.EncrCamelliaCBC: "CAMELLIA_CBC_%d", 24: "CAMELLIA_CTR_%d",
		25: "CAMELLIA_CCM_8_%d", 26: "CAMELLIA_CCM_12_%d", 27: "CAMELLIA_CCM_16_%d",
	},
	message.PRF: {message.PRFHMACMD5: "PRF_HMAC_MD5"},
	message.INTEG: {
		message.IntegNone: "NONE", message.IntegHMACMD596: "HMAC_MD5_96",
	},
	message.ESN: {message.ESNNo: "NO_EXT_SEQ", message.ESNYes: "EXT_SEQ"},
}

// transformName returns strongSwan's name: "AES_GCM_16_128".
func transformName(t message.Transform) string {
	name := ""
	switch t.Type {
	case message.ENCR:
		name = encrAlgs[t.ID].name
	case message.PRF:
		name = prfAlgs[t.ID].name
	case message.INTEG:
		name = integAlgs[t.ID].name
	case message.KEXCH:
		return message.KEMethod(t.ID).String()
	}
	if isADDKE(t.Type) {
		return fmt.Sprintf("KE%d_%s", t.Type-message.ADDKE1+1, message.KEMethod(t.ID))
	}
	if name == "" {
		name = otherNames[t.Type][t.ID]
	}
	if name == "" {
		name = fmt.Sprintf("%s_%d", t.Type, t.ID)
		if t.KeyBits != 0 {
			name += "_%d"
		}
	}
	if n := len(name); n > 2 && name[n-2:] == "%d" {
		return fmt.Sprintf(name, t.KeyBits)
	}
	return name
}

// isADDKE reports whether t is an additional key exchange (RFC 9370 section 2.2.1).
func isADDKE(t message.TransformType) bool { return t >= message.ADDKE1 && t <= message.ADDKE7 }

// supported reports whether this package implements t.
func supported(t message.Transform) bool {
	if len(t.Attributes) != 0 {
		return false
	}
	if t.Type == message.KEXCH || isADDKE(t.Type) {
		return supportedKE(message.KEMethod(t.ID)) && t.KeyBits == 0
	}
	switch t.Type {
	case message.ENCR:
		a, ok := encrAlgs[t.ID]
		if !ok {
			return false
		}
		_, err := a.keySize(t)
		return err == nil
	case message.PRF:
		_, ok := prfAlgs[t.ID]
		return ok && t.KeyBits == 0
	case message.INTEG:
		_, ok := integAlgs[t.ID]
		return ok && t.KeyBits == 0
	case message.ESN:
		return t.ID <= message.ESNYes && t.KeyBits == 0
	}
	return false
}
