package tpm20

import (
	"context"
	"errors"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/attest"
)

// PlatformKey says where an attestation key is that a cloud made and certified for
// its virtual machines.
type PlatformKey struct {
	Platform    string // "GCE", …; for people
	Certificate uint32 // NV index of the X.509 certificate in DER
	Template    uint32 // NV index of the template of a primary key of the endorsement hierarchy; 0: Handle
	Handle      uint32 // persistent handle; 0: Template
}

// PlatformKeys are the keys of known platforms.
var PlatformKeys = []PlatformKey{
	{Platform: "GCE, RSA", Certificate: 0x01c10000, Template: 0x01c10001},
	{Platform: "GCE, ECC", Certificate: 0x01c10002, Template: 0x01c10003},
	{Platform: "Azure", Certificate: 0x01c101d0, Handle: 0x81000003},
}

// FindPlatformKeys returns those of PlatformKeys that the TPM has a certificate of.
func (t *TPM) FindPlatformKeys(ctx context.Context) (found []PlatformKey, err error) {
	err = t.do(ctx, "find the platform's attestation keys", func(s *session) error {
		for _, k := range PlatformKeys {
			_, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(k.Certificate)}.Execute(s)
			switch {
			case err == nil:
				found = append(found, k)
			case !errors.Is(err, attest.ErrNoKey):
				return err
			}
		}
		return nil
	})
	return found, err
}

// MakePersistent makes the primary key of the endorsement hierarchy that a template
// (TPMT_PUBLIC) stands for, which is always the same one, and stores it at a persistent
// handle; 0 takes the first free one from FirstAKHandle.
func (t *TPM) MakePersistent(ctx context.Context, template []byte, handle uint32, auth Auth) (key *Key, err error) {
	err = t.do(ctx, "make key persistent", func(s *session) error {
		if handle, err = s.freeHandle(handle); err != nil {
			return err
		}
		rsp, err := tpm2.CreatePrimary{
			PrimaryHandle: withPassword(tpm2.TPMRHEndorsement, nil, auth.Endorsement), InPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](template),
		}.Execute(s)
		if err != nil {
			return err
		}
		defer s.flush(&object{handle: rsp.ObjectHandle, transient: true})
		if err := s.evict(rsp.ObjectHandle, handle, auth); err != nil {
			return err
		}
		k, err := s.readPublic(handle)
		if err != nil {
			return err
		}
		key = k.exported(handle)
		return nil
	})
	return key, err
}
