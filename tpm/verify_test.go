package tpm_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// This file is a verifier of its own: it takes from package tpm only what the
// Simple Evidence Final attribute carries, and builds the rest from the
// specifications with the standard library, as strongSwan's verifier does.

// evidence is what the verifier gets and knows.
type evidence struct {
	kind      byte // flags of Simple Evidence Final
	hash      crypto.Hash
	composite []byte
	signature []byte
	// TPM 2.0 only
	signer, clock, firmware, selection []byte
	// what the verifier knows by itself
	pcrs    pcr.Values // replayed
	secret  []byte
	version []byte // TPM Version Information attribute
	bank    uint16 // TPM_ALG_ID of the measurement algorithm
	spki    []byte // from the AIK attribute
	pss     bool
}

func (e evidence) indices() []int {
	var out []int
	for i := range e.pcrs {
		out = append(out, i)
	}
	slices.Sort(out)
	return out
}

func (e evidence) bitmap() []byte {
	m := make([]byte, 3)
	for i := range e.pcrs {
		m[i/8] |= 1 << (i % 8)
	}
	return m
}

func be16(v uint16) []byte { return binary.BigEndian.AppendUint16(nil, v) }
func be32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func (e evidence) verify() error {
	var all []byte
	for _, i := range e.indices() {
		all = append(all, e.pcrs[i]...)
	}
	var signed []byte
	switch e.kind {
	case 0x40, 0x80, 0xc0:
		composite := sha1.Sum(cat(be16(3), e.bitmap(), be32(uint32(20*len(e.pcrs))), all))
		if !bytes.Equal(composite[:], e.composite) {
			return fmt.Errorf("composite %x, received %x", composite, e.composite)
		}
		if e.hash != crypto.SHA1 {
			return fmt.Errorf("hash %v", e.hash)
		}
		if e.kind == 0x40 {
			signed = cat([]byte{1, 1, 0, 0}, []byte("QUOT"), e.composite, e.secret)
			break
		}
		signed = cat([]byte{0, 0x36}, []byte("QUT2"), e.secret, be16(3), e.bitmap(), []byte{1}, e.composite)
		if e.kind == 0xc0 {
			signed = append(signed, e.version...)
		}
	case 0x10:
		h := e.hash.New()
		h.Write(all)
		if digest := h.Sum(nil); !bytes.Equal(digest, e.composite) {
			return fmt.Errorf("PCR digest %x, received %x", digest, e.composite)
		}
		if len(e.clock) != 17 || len(e.firmware) != 8 || !bytes.Equal(e.selection, cat(be32(1), be16(e.bank), []byte{3}, e.bitmap())) {
			return fmt.Errorf("clock %x, firmware %x, selection %x", e.clock, e.firmware, e.selection)
		}
		signed = cat([]byte{0xff, 0x54, 0x43, 0x47, 0x80, 0x18}, be16(uint16(len(e.signer))), e.signer,
			be16(uint16(len(e.secret))), e.secret, e.clock, e.firmware, e.selection, be16(uint16(len(e.composite))), e.composite)
	default:
		return fmt.Errorf("kind 0x%02x", e.kind)
	}
	key, err := x509.ParsePKIXPublicKey(e.spki)
	if err != nil {
		return err
	}
	h := e.hash.New()
	h.Write(signed)
	digest := h.Sum(nil)
	switch k := key.(type) {
	case *rsa.PublicKey:
		if e.pss {
			return rsa.VerifyPSS(k, e.hash, digest, e.signature, nil)
		}
		return rsa.VerifyPKCS1v15(k, e.hash, digest, e.signature)
	case *ecdsa.PublicKey:
		n := len(e.signature) / 2
		if len(e.signature) != 2*((k.Params().BitSize+7)/8) {
			return fmt.Errorf("ECDSA signature of %d octets", len(e.signature))
		}
		if !ecdsa.Verify(k, digest, new(big.Int).SetBytes(e.signature[:n]), new(big.Int).SetBytes(e.signature[n:])) {
			return fmt.Errorf("ECDSA signature is wrong")
		}
		return nil
	}
	return fmt.Errorf("key of type %T", key)
}

// received is the evidence that a quote becomes.
func received(q *tpm.Quote, req tpm.QuoteRequest, spki, version []byte, pcrs pcr.Values) evidence {
	hashes := map[pcr.Hash]crypto.Hash{pcr.SHA1: crypto.SHA1, pcr.SHA256: crypto.SHA256, pcr.SHA384: crypto.SHA384, pcr.SHA512: crypto.SHA512}
	return evidence{
		kind: byte(q.Kind), hash: hashes[q.Hash], composite: q.Composite, signature: q.Signature,
		signer: q.QualifiedSigner, clock: q.ClockInfo, firmware: q.FirmwareVersion, selection: q.PCRSelection,
		pcrs: pcrs, secret: req.External, version: version, bank: uint16(req.Bank), spki: spki,
	}
}
