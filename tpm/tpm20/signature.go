package tpm20

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// signature returns the octets of a TPMT_SIGNATURE in strongSwan's form and the
// hash of its scheme: RSA unchanged, ECDSA as r followed by s. strongSwan splits
// that in the middle, so both are padded to the size of the curve where a TPM
// dropped leading zeros.
func signature(sig *tpm2.TPMTSignature, key crypto.PublicKey) ([]byte, pcr.Hash, error) {
	switch sig.SigAlg {
	case tpm2.TPMAlgRSASSA:
		v, err := sig.Signature.RSASSA()
		if err != nil {
			return nil, 0, command.ReplyError("TPM2_Quote", err)
		}
		return rsaSignature(v)
	case tpm2.TPMAlgRSAPSS:
		v, err := sig.Signature.RSAPSS()
		if err != nil {
			return nil, 0, command.ReplyError("TPM2_Quote", err)
		}
		return rsaSignature(v)
	case tpm2.TPMAlgECDSA:
		v, err := sig.Signature.ECDSA()
		if err != nil {
			return nil, 0, command.ReplyError("TPM2_Quote", err)
		}
		size := max(len(v.SignatureR.Buffer), len(v.SignatureS.Buffer))
		if k, ok := key.(*ecdsa.PublicKey); ok {
			size = max(size, (k.Curve.Params().BitSize+7)/8)
		}
		out := append(leftPad(v.SignatureR.Buffer, size), leftPad(v.SignatureS.Buffer, size)...)
		return out, pcr.Hash(v.Hash), knownHash(pcr.Hash(v.Hash))
	}
	return nil, 0, fmt.Errorf("%w: signature algorithm 0x%04x is not RSASSA, RSAPSS or ECDSA", attest.ErrNoKey, uint16(sig.SigAlg))
}

// rsaSignature returns the octets of an RSA signature and its hash.
func rsaSignature(v *tpm2.TPMSSignatureRSA) ([]byte, pcr.Hash, error) {
	return bytes.Clone(v.Sig.Buffer), pcr.Hash(v.Hash), knownHash(pcr.Hash(v.Hash))
}

// knownHash refuses a hash that PTS attributes cannot name.
func knownHash(h pcr.Hash) error {
	if h.Size() == 0 {
		return fmt.Errorf("%w: the key signs with %v", attest.ErrNoKey, h)
	}
	return nil
}

// leftPad returns a copy of b with zeros before it, at least n octets long.
func leftPad(b []byte, n int) []byte {
	return append(make([]byte, max(0, n-len(b)), max(n, len(b))), b...)
}
