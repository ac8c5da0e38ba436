package tpm20

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
)

// Endorsement is an endorsement key, by which the manufacturer vouches for the TPM.
type Endorsement struct {
	Type        KeyType
	PublicKey   crypto.PublicKey
	Area        []byte // TPMT_PUBLIC
	Certificate []byte // X.509 in DER; nil where the TPM holds none
	// Chain has certificates of CAs that the TPM holds, X.509 in DER, in no order.
	// Nothing vouches for them: a verifier takes them as intermediates.
	Chain [][]byte
}

// EndorsementKey returns the endorsement key of a type and its certificate. It
// makes a key that is not persistent from its template, which always gives the
// same one. A certificate of another key is attest.ErrOtherKey.
func (t *TPM) EndorsementKey(ctx context.Context, typ KeyType, auth Auth) (e *Endorsement, err error) {
	err = t.do(ctx, "read endorsement key", func(s *session) error {
		cert, err := s.ekCertificate(typ, auth)
		if err != nil && !errors.Is(err, attest.ErrNoKey) {
			return fmt.Errorf("endorsement key's certificate: %w", err)
		}
		ek, err := s.endorsement(typ, cert, auth)
		if err != nil {
			return err
		}
		s.flush(ek)
		e = &Endorsement{Type: typ, PublicKey: ek.pub.key, Area: tpm2.Marshal(ek.pub.area)}
		if cert == nil {
			return nil
		}
		if e.Certificate, err = attest.EndorsementCertificate(cert, ek.pub.key); err == nil {
			e.Chain, err = s.ekChain(auth)
		}
		return err
	})
	return e, err
}

// maxChain is how many octets of certificates of CAs are read.
const maxChain = 32 << 10

// ekChain reads the certificates of CAs that the TPM holds. One may go on in the next
// index (TCG EK Credential Profile section 2.2.1.5.2).
func (s *session) ekChain(auth Auth) ([][]byte, error) {
	rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: ekChainFirst, PropertyCount: 64}.Execute(s)
	if err != nil {
		return nil, err
	}
	l, err := rsp.CapabilityData.Data.Handles()
	if err != nil {
		return nil, command.ReplyError("TPM2_GetCapability", err)
	}
	var all []byte
	for _, h := range l.Handle {
		if h < ekChainFirst || h > ekChainLast || len(all) > maxChain {
			continue
		}
		b, err := s.readNV(uint32(h), auth.Owner)
		if err != nil {
			return nil, fmt.Errorf("certificates of CAs in NV index 0x%08x: %w", uint32(h), err)
		}
		all = append(all, b...)
	}
	return attest.Certificates(all), nil
}

// CertifiedKeyType returns the first of KeyTypes that the TPM holds a certificate
// for; RSA where it holds none.
func (t *TPM) CertifiedKeyType(ctx context.Context) (typ KeyType, err error) {
	err = t.do(ctx, "find endorsement key's certificate", func(s *session) error {
		for _, typ = range KeyTypes {
			_, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(ekPlaces[typ].cert)}.Execute(s)
			if err == nil || !errors.Is(err, attest.ErrNoKey) {
				return err
			}
		}
		typ = RSA
		return nil
	})
	return typ, err
}

// ekCertificate reads the NV index of an endorsement key's certificate. The error
// wraps ErrNoKey where there is no such index.
func (s *session) ekCertificate(typ KeyType, auth Auth) ([]byte, error) {
	return s.readNV(ekPlaces[typ].cert, auth.Owner)
}

// object is a key that is loaded in the TPM.
type object struct {
	handle    tpm2.TPMHandle
	pub       *publicKey
	transient bool // to be flushed
}

// endorsement returns the endorsement key of a type: the persistent one that the
// manufacturer or the firmware left, if it is of that type and cert, where given,
// certifies it; else one made from the template, which takes a hardware TPM
// seconds. The caller flushes it.
func (s *session) endorsement(typ KeyType, cert []byte, auth Auth) (*object, error) {
	if ek, err := s.persistentEK(typ, cert); ek != nil || err != nil {
		return ek, err
	}
	return s.createEK(typ, auth)
}

// persistentEK returns the persistent endorsement key; nil where the handle is empty
// or holds another key.
func (s *session) persistentEK(typ KeyType, cert []byte) (*object, error) {
	handle := ekPlaces[typ].handle
	k, err := s.readPublic(handle)
	if errors.Is(err, attest.ErrNoKey) || errors.Is(err, command.ErrReply) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a := k.area.ObjectAttributes
	if !a.FixedTPM || !a.Restricted || !a.Decrypt || a.SignEncrypt || !typ.holds(k.key) {
		return nil, nil // another key
	}
	if _, err := attest.EndorsementCertificate(cert, k.key); errors.Is(err, attest.ErrOtherKey) {
		return nil, nil
	}
	return &object{handle: tpm2.TPMHandle(handle), pub: k}, nil
}

// createEK makes the endorsement key from its template.
func (s *session) createEK(typ KeyType, auth Auth) (*object, error) {
	template, err := s.ekTemplate(typ)
	if err != nil {
		return nil, fmt.Errorf("endorsement key's template: %w", err)
	}
	rsp, err := tpm2.CreatePrimary{
		PrimaryHandle: withPassword(tpm2.TPMRHEndorsement, nil, auth.Endorsement),
		InPublic:      template,
	}.Execute(s)
	if err != nil {
		return nil, fmt.Errorf("endorsement key: %w", err)
	}
	ek := &object{handle: rsp.ObjectHandle, transient: true}
	area, err := rsp.OutPublic.Contents()
	if err == nil {
		ek.pub, err = newPublicKey(area)
	}
	if err != nil {
		s.flush(ek)
		return nil, command.ReplyError("TPM2_CreatePrimary", err)
	}
	ek.pub.name = bytes.Clone(rsp.Name.Buffer)
	return ek, nil
}

// flush removes a transient object from the TPM. The operation does not depend on
// it, so errors are ignored.
func (s *session) flush(o *object) {
	if o.transient {
		tpm2.FlushContext{FlushHandle: o.handle}.Execute(s)
	}
}

// use returns an endorsement key with its authorization: its empty password where
// the template allows that (H-3), else its policy, which is PolicySecret with the
// password of the endorsement hierarchy (PolicyA).
func (o *object) use(auth Auth) tpm2.AuthHandle {
	if o.pub.area.ObjectAttributes.UserWithAuth {
		return withPassword(o.handle, o.pub.name, nil)
	}
	policy := tpm2.Policy(o.pub.area.NameAlg, 16, func(t transport.TPM, h tpm2.TPMISHPolicy, nonce tpm2.TPM2BNonce) error {
		_, err := tpm2.PolicySecret{
			AuthHandle:    withPassword(tpm2.TPMRHEndorsement, nil, auth.Endorsement),
			PolicySession: h,
			NonceTPM:      nonce,
		}.Execute(t)
		return err
	})
	return tpm2.AuthHandle{Handle: o.handle, Name: tpm2.TPM2BName{Buffer: o.pub.name}, Auth: policy}
}
