package tpm12

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/attest"
)

// Constants of TPM 1.2 keys (TPM Main Part 2 sections 4.8, 5.8 and 10).
const (
	KeyUsageSigning   = 0x0010 // TPM_KEY_SIGNING
	KeyUsageLegacy    = 0x0017 // TPM_KEY_LEGACY, which also decrypts
	KeyUsageStorage   = 0x0011 // TPM_KEY_STORAGE
	KeyUsageIdentity  = 0x0012 // TPM_KEY_IDENTITY
	algRSA            = 1      // TPM_ALG_RSA
	encNone           = 1      // TPM_ES_NONE
	encOAEP           = 3      // TPM_ES_RSAESOAEP_SHA1_MGF1
	sigNone           = 1      // TPM_SS_NONE
	sigRSASSA         = 2      // TPM_SS_RSASSAPKCS1v15_SHA1
	sigDER            = 3      // TPM_SS_RSASSAPKCS1v15_DER
	authNever         = 0      // TPM_AUTH_NEVER
	authAlways        = 1      // TPM_AUTH_ALWAYS
	keyFlagMigratable = 2      // migratable
	keyFlagVolatile   = 4      // isVolatile
	tagKey12          = 0x0028 // TPM_TAG_KEY12
)

// KeyBlob is a TPM 1.2 key as TPM_KEY or TPM_KEY12 (TPM Main Part 2 sections
// 10.2 and 10.3): the content of the file that the setting aik_blob names.
//
//	4 version 01010000, or u16 0x0028, u16 fill | u16 keyUsage | u32 keyFlags | u8 authDataUsage
//	| u32 algorithmID | u16 encScheme | u16 sigScheme | u32 parmSize
//	| u32 keyLength | u32 numPrimes | u32 n, exponent
//	| u32 n, PCR info | u32 n, modulus | u32 n, encrypted private part
type KeyBlob struct {
	Version       [4]byte // 01 01 00 00 of TPM_KEY, 00 28 00 00 of TPM_KEY12
	Usage         uint16  // KeyUsageIdentity for an attest.AIK
	Flags         uint32  // TPM_KEY_FLAGS
	AuthDataUsage uint8   // 0 never, 1 always, 3 private use only
	Algorithm     uint32  // 1: RSA
	EncScheme     uint16
	SigScheme     uint16
	KeyLength     uint32 // bits
	NumPrimes     uint32
	Exponent      []byte // empty: 65537
	PCRInfo       []byte // TPM_PCR_INFO, TPM_PCR_INFO_LONG in a TPM_KEY12
	Modulus       []byte
	EncData       []byte // private part, encrypted by the parent key
}

// maxKeyBits bounds RSA keys; TPM 1.2 has 2048 at most.
const maxKeyBits = 16384

// versionKey is the TPM_STRUCT_VER of a TPM_KEY.
var versionKey = [4]byte{1, 1, 0, 0}

// Is12 reports whether the blob is a TPM_KEY12.
func (k *KeyBlob) Is12() bool { return k.Version[0] == tagKey12>>8 && k.Version[1] == tagKey12&0xff }

// ParseKeyBlob decodes a TPM_KEY or TPM_KEY12 of an RSA key. The result owns its
// octets.
func ParseKeyBlob(b []byte) (KeyBlob, error) {
	r := wire.NewReader("TPM_KEY", b)
	var k KeyBlob
	at := r.Offset()
	copy(k.Version[:], r.Bytes(4))
	// the last two octets of TPM_STRUCT_VER are revisions that a TPM may set
	if r.Err() == nil && !k.Is12() && (k.Version[0] != 1 || k.Version[1] != 1) {
		r.Fail(at, fmt.Errorf("%w: neither TPM_KEY nor TPM_KEY12", wire.ErrValue))
	}
	k.Usage = r.U16()
	k.Flags = r.U32()
	k.AuthDataUsage = r.U8()
	k.parms(r)
	k.PCRInfo = vec32(r)
	k.Modulus = vec32(r)
	k.EncData = vec32(r)
	return k, r.Finish()
}

// parms decodes TPM_KEY_PARMS with TPM_RSA_KEY_PARMS.
func (k *KeyBlob) parms(r *wire.Reader) {
	at := r.Offset()
	if k.Algorithm = r.U32(); r.Err() == nil && k.Algorithm != algRSA {
		r.Fail(at, fmt.Errorf("%w: algorithm %d is not RSA", wire.ErrValue, k.Algorithm))
	}
	k.EncScheme = r.U16()
	k.SigScheme = r.U16()
	size := r.U32()
	at = r.Offset()
	if size > uint32(r.Len()) {
		r.Fail(at, wire.ErrTruncated)
		return
	}
	p := r.Sub("TPM_RSA_KEY_PARMS", int(size))
	if k.KeyLength = p.U32(); p.Err() == nil && (k.KeyLength == 0 || k.KeyLength > maxKeyBits) {
		p.Fail(at, wire.ErrValue)
	}
	k.NumPrimes = p.U32()
	k.Exponent = vec32(p)
	if err := p.Finish(); err != nil {
		r.Fail(at, err)
	}
}

// vec32 decodes a value behind a length of four octets.
func vec32(r *wire.Reader) []byte {
	at := r.Offset()
	n := r.U32()
	if r.Err() == nil && uint64(n) > uint64(r.Len()) {
		r.Fail(at, wire.ErrTruncated)
		return nil
	}
	return bytes.Clone(r.Bytes(int(n)))
}

// AppendBinary appends the encoded TPM_KEY or TPM_KEY12.
func (k *KeyBlob) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, k.Version[:]...)
	b = wire.AppendU16(b, k.Usage)
	b = wire.AppendU32(b, k.Flags)
	b = append(b, k.AuthDataUsage)
	b = k.appendParms(b)
	for _, v := range [][]byte{k.PCRInfo, k.Modulus, k.EncData} {
		var err error
		if b, err = wire.AppendVec32(b, v); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// appendParms appends TPM_KEY_PARMS with TPM_RSA_KEY_PARMS.
func (k *KeyBlob) appendParms(b []byte) []byte {
	b = wire.AppendU32(b, k.Algorithm)
	b = wire.AppendU16(b, k.EncScheme)
	b = wire.AppendU16(b, k.SigScheme)
	b = wire.AppendU32(b, uint32(12+len(k.Exponent)))
	b = wire.AppendU32(b, k.KeyLength)
	b = wire.AppendU32(b, k.NumPrimes)
	b = wire.AppendU32(b, uint32(len(k.Exponent)))
	return append(b, k.Exponent...)
}

// Pubkey returns the TPM_PUBKEY of the key (TPM Main Part 2 section 10.5):
// TPM_KEY_PARMS | u32 n, modulus.
func (k *KeyBlob) Pubkey() []byte {
	b := k.appendParms(nil)
	return append(wire.AppendU32(b, uint32(len(k.Modulus))), k.Modulus...)
}

// ParsePubkey decodes a TPM_PUBKEY (TPM Main Part 2 section 10.5), which holds
// the parameters and the modulus of a key.
func ParsePubkey(b []byte) (KeyBlob, error) {
	r := wire.NewReader("TPM_PUBKEY", b)
	var k KeyBlob
	k.parms(r)
	k.Modulus = vec32(r)
	return k, r.Finish()
}

// PublicKey returns the RSA public key.
func (k *KeyBlob) PublicKey() (*rsa.PublicKey, error) {
	if uint64(len(k.Modulus))*8 != uint64(k.KeyLength) || len(k.Modulus) == 0 || k.Modulus[0]&0x80 == 0 || k.Modulus[len(k.Modulus)-1]&1 == 0 {
		return nil, fmt.Errorf("RSA key of %d bits: the modulus does not fit", k.KeyLength)
	}
	e := 65537
	if len(k.Exponent) > 0 {
		v := new(big.Int).SetBytes(k.Exponent)
		if v.BitLen() > 31 || v.Bit(0) == 0 || v.Int64() < 3 {
			return nil, errors.New("RSA key: the exponent is out of range")
		}
		e = int(v.Int64())
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(k.Modulus), E: e}, nil
}

// CheckAIK says why the key is not one that signs quotes.
func (k *KeyBlob) CheckAIK() error {
	switch {
	case k.Usage != KeyUsageIdentity:
		return fmt.Errorf("%w: the key's usage is 0x%04x, an AIK's is 0x%04x", attest.ErrNoKey, k.Usage, KeyUsageIdentity)
	case k.SigScheme != sigRSASSA:
		return fmt.Errorf("%w: the key's signature scheme is %d, an AIK's is RSASSA PKCS1 v1.5 with SHA-1 (%d)", attest.ErrNoKey, k.SigScheme, sigRSASSA)
	}
	_, err := k.PublicKey()
	return err
}
