package crypto

import (
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
	icv  int // octets, AEAD only
	bits []uint16
}

var encrAlgs = map[uint16]encrAlg{
	message.EncrAESCBC:           {name: "AES_CBC_%d", bits: []uint16{128, 192, 256}},
	message.EncrAESGCM8:          {name: "AES_GCM_8_%d", aead: true, icv: 8, bits: []uint16{128, 192, 256}},
	message.EncrAESGCM12:         {name: "AES_GCM_12_%d", aead: true, icv: 12, bits: []uint16{128, 192, 256}},
	message.EncrAESGCM16:         {name: "AES_GCM_16_%d", aead: true, icv: 16, bits: []uint16{128, 192, 256}},
	message.EncrChaCha20Poly1305: {name: "CHACHA20_POLY1305", aead: true, icv: 16},
}

// saltSize is what follows the key of every AEAD here, in octets.
const saltSize = 4

// keySize returns the octets of key material of t, salt included.
func (a encrAlg) keySize(t message.Transform) (int, error) {
	if len(a.bits) == 0 {
		if t.KeyBits != 0 {
			return 0, fmt.Errorf("%s has no key length: %w", a.name, ErrUnsupported)
		}
		return 32 + saltSize, nil
	}
	for _, b := range a.bits {
		if b == t.KeyBits {
			n := int(b) / 8
			if a.aead {
				n += saltSize
			}
			return n, nil
		}
	}
	return 0, fmt.Errorf("%s: %w", transformName(t), ErrUnsupported)
}

type integAlg struct {
	name string
	hash func() hash.Hash
	key  int // octets
	icv  int // octets
}

var integAlgs = map[uint16]integAlg{
	message.IntegHMACSHA196:    {"HMAC_SHA1_96", sha1.New, 20, 12},
	message.IntegHMACSHA256128: {"HMAC_SHA2_256_128", sha256.New, 32, 16},
	message.IntegHMACSHA384192: {"HMAC_SHA2_384_192", sha512.New384, 48, 24},
	message.IntegHMACSHA512256: {"HMAC_SHA2_512_256", sha512.New, 64, 32},
}

type prfAlg struct {
	name string
	hash func() hash.Hash
	size int // octets of key and output
}

var prfAlgs = map[uint16]prfAlg{
	message.PRFHMACSHA1:   {"PRF_HMAC_SHA1", sha1.New, 20},
	message.PRFHMACSHA256: {"PRF_HMAC_SHA2_256", sha256.New, 32},
	message.PRFHMACSHA384: {"PRF_HMAC_SHA2_384", sha512.New384, 48},
	message.PRFHMACSHA512: {"PRF_HMAC_SHA2_512", sha512.New, 64},
}

// otherNames are algorithms that peers offer and this package does not have.
var otherNames = map[message.TransformType]map[uint16]string{
	message.ENCR: {
		message.Encr3DES: "3DES_CBC", message.EncrNULL: "NULL", message.EncrAESCTR: "AES_CTR_%d", message.EncrAESCCM8: "AES_CCM_8_%d",
		message.EncrAESCCM12: "AES_CCM_12_%d", message.EncrAESCCM16: "AES_CCM_16_%d", message.EncrNULLAESGMAC: "NULL_AES_GMAC_%d",
		message.EncrCamelliaCBC: "CAMELLIA_CBC_%d", 24: "CAMELLIA_CTR_%d",
		25: "CAMELLIA_CCM_8_%d", 26: "CAMELLIA_CCM_12_%d", 27: "CAMELLIA_CCM_16_%d",
	},
	message.PRF: {message.PRFHMACMD5: "PRF_HMAC_MD5", message.PRFAESXCBC: "PRF_AES128_XCBC", message.PRFAESCMAC: "PRF_AES128_CMAC"},
	message.INTEG: {
		message.IntegNone: "NONE", message.IntegHMACMD596: "HMAC_MD5_96", message.IntegAESXCBC96: "AES_XCBC_96",
		message.IntegAESCMAC96: "AES_CMAC_96",
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
	if t.Type >= message.ADDKE1 && t.Type <= message.ADDKE7 {
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

// supported reports whether this package implements t.
func supported(t message.Transform) bool {
	if len(t.Attributes) != 0 {
		return false
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
	case message.KEXCH:
		return supportedKE(message.KEMethod(t.ID)) && t.KeyBits == 0
	case message.ESN:
		return t.ID <= message.ESNYes && t.KeyBits == 0
	}
	return false
}
