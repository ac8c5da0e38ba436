package tpm

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// withPassword is a handle that a password authorizes; a password session
// needs no name of the object, but go-tpm refuses to go without.
func withPassword(h tpm2.TPMHandle, name, password []byte) tpm2.AuthHandle {
	if name == nil {
		name = wire.AppendU32(nil, uint32(h))
	}
	return tpm2.AuthHandle{Handle: h, Name: tpm2.TPM2BName{Buffer: name}, Auth: tpm2.PasswordAuth(password)}
}

// publicKey is a key of the TPM's, as ReadPublic tells it.
type publicKey struct {
	area   *tpm2.TPMTPublic
	name   []byte // TPM2B_NAME
	qname  []byte // qualified name
	key    crypto.PublicKey
	scheme tpm2.TPMAlgID // TPM_ALG_NULL where the key leaves it open
	hash   pcr.Hash      // of the scheme
}

func (s *session20) readPublic(handle uint32) (*publicKey, error) {
	rsp, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(handle)}.Execute(s)
	if err != nil {
		return nil, fmt.Errorf("key 0x%08x: %w", handle, err)
	}
	area, err := rsp.OutPublic.Contents()
	if err != nil {
		return nil, replyError("TPM2_ReadPublic", err)
	}
	k, err := newPublicKey(area)
	if err != nil {
		return nil, fmt.Errorf("key 0x%08x: %w", handle, err)
	}
	k.name, k.qname = bytes.Clone(rsp.Name.Buffer), bytes.Clone(rsp.QualifiedName.Buffer)
	return k, nil
}

func newPublicKey(area *tpm2.TPMTPublic) (*publicKey, error) {
	k := &publicKey{area: area, scheme: tpm2.TPMAlgNull}
	key, err := tpm2.Pub(*area)
	if err != nil {
		return nil, fmt.Errorf("%w: public area: %w", ErrReply, err)
	}
	k.key = key
	switch area.Type {
	case tpm2.TPMAlgRSA:
		d, err := area.Parameters.RSADetail()
		if err != nil {
			return nil, fmt.Errorf("%w: public area: %w", ErrReply, err)
		}
		k.scheme = d.Scheme.Scheme
		switch k.scheme {
		case tpm2.TPMAlgRSASSA:
			if v, err := d.Scheme.Details.RSASSA(); err == nil {
				k.hash = pcr.Hash(v.HashAlg)
			}
		case tpm2.TPMAlgRSAPSS:
			if v, err := d.Scheme.Details.RSAPSS(); err == nil {
				k.hash = pcr.Hash(v.HashAlg)
			}
		}
	case tpm2.TPMAlgECC:
		d, err := area.Parameters.ECCDetail()
		if err != nil {
			return nil, fmt.Errorf("%w: public area: %w", ErrReply, err)
		}
		k.scheme = d.Scheme.Scheme
		if k.scheme == tpm2.TPMAlgECDSA {
			if v, err := d.Scheme.Details.ECDSA(); err == nil {
				k.hash = pcr.Hash(v.HashAlg)
			}
		}
	}
	return k, nil
}

// signingScheme returns TPM_ALG_NULL where the key has a scheme of its own,
// else RSASSA or ECDSA with the hash of the key's name, which every verifier
// of strongSwan's can check.
func (k *publicKey) signingScheme() (tpm2.TPMTSigScheme, error) {
	if k.scheme != tpm2.TPMAlgNull {
		return tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}, nil
	}
	h := &tpm2.TPMSSchemeHash{HashAlg: k.area.NameAlg}
	switch k.area.Type {
	case tpm2.TPMAlgRSA:
		return tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgRSASSA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgRSASSA, h)}, nil
	case tpm2.TPMAlgECC:
		return tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgECDSA, h)}, nil
	}
	return tpm2.TPMTSigScheme{}, fmt.Errorf("%w: a key of type 0x%04x cannot sign quotes", ErrNoKey, uint16(k.area.Type))
}

// Identity returns the certificate of the AIK, checked against the key at the
// handle, else that key.
func (t *V20) Identity(ctx context.Context, aik AIK) (Identity, error) {
	if aik.Handle == 0 {
		return identityOf(aik, nil)
	}
	var known crypto.PublicKey
	err := t.do(ctx, "read AIK", func(s *session20) error {
		k, err := s.readPublic(aik.Handle)
		if err != nil {
			return err
		}
		known = k.key
		return nil
	})
	if err != nil {
		return Identity{}, err
	}
	return identityOf(aik, known)
}

func (s *session20) quote(key *publicKey, req QuoteRequest) (*Quote, error) {
	scheme, err := key.signingScheme()
	if err != nil {
		return nil, err
	}
	rsp, err := tpm2.Quote{
		SignHandle:     withPassword(tpm2.TPMHandle(req.AIK.Handle), key.name, nil),
		QualifyingData: tpm2.TPM2BData{Buffer: req.External},
		InScheme:       scheme,
		PCRSelect:      selection20(req.Bank, req.PCRs),
	}.Execute(s)
	if err != nil {
		return nil, err
	}
	info := bytes.Clone(rsp.Quoted.Bytes())
	a, err := ParseAttest(wire.NewReader("TPMS_ATTEST", info))
	if err != nil {
		return nil, replyError("TPM2_Quote", err)
	}
	if !bytes.Equal(a.ExtraData, req.External) {
		return nil, replyError("TPM2_Quote", errors.New("it signed other external data"))
	}
	if !bytes.Equal(a.PCRSelection, Selection20(req.Bank, req.PCRs)) {
		return nil, fmt.Errorf("%w: the TPM quoted %x instead of PCRs %v of bank %v", ErrNoBank, a.PCRSelection, req.PCRs, req.Bank)
	}
	sig, hash, err := signature20(&rsp.Signature, key.key)
	if err != nil {
		return nil, err
	}
	return &Quote{
		Kind: QuoteTPM20, Hash: hash, Composite: a.PCRDigest, Signature: sig,
		QualifiedSigner: a.QualifiedSigner, ClockInfo: a.ClockInfo[:], FirmwareVersion: a.FirmwareVersion[:],
		PCRSelection: a.PCRSelection, Info: info,
	}, nil
}
