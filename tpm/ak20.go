package tpm

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// Scheme is a signature scheme of attestation keys (TPM Library Part 2 §6.3).
type Scheme uint16

// Signature schemes.
const (
	RSASSA Scheme = 0x0014
	RSAPSS Scheme = 0x0016 // strongSwan's verifier does not know it in quotes
	ECDSA  Scheme = 0x0018
)

// String returns the name as tpm2-tools write it.
func (s Scheme) String() string {
	switch s {
	case RSASSA:
		return "rsassa"
	case RSAPSS:
		return "rsapss"
	case ECDSA:
		return "ecdsa"
	}
	return fmt.Sprintf("0x%04x", uint16(s))
}

// Auth20 are the passwords of a TPM 2.0's hierarchies; empty ones are what a
// TPM has until somebody sets others.
type Auth20 struct {
	Owner, Endorsement []byte
}

// KeyTemplate is the kind of attestation key to make.
type KeyTemplate struct {
	Scheme Scheme   // 0: RSASSA
	Hash   pcr.Hash // of the scheme; 0: SHA256
	Bits   int      // of an RSA modulus or of an ECC curve; 0: 2048, 256
}

func (k KeyTemplate) withDefaults() KeyTemplate {
	if k.Scheme == 0 {
		k.Scheme = RSASSA
	}
	if k.Hash == 0 {
		k.Hash = pcr.SHA256
	}
	if k.Bits == 0 {
		k.Bits = 2048
		if k.Scheme == ECDSA {
			k.Bits = 256
		}
	}
	return k
}

// public returns the template of an attestation key: a restricted signing key
// that never leaves the TPM, with no password, and so with no need for
// dictionary-attack protection (TCG TPM v2.0 Provisioning Guidance §7).
func (k KeyTemplate) public() (tpm2.TPMTPublic, error) {
	k = k.withDefaults()
	pub := tpm2.TPMTPublic{
		NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true,
			NoDA: true, Restricted: true, SignEncrypt: true,
		},
	}
	if k.Hash.Size() == 0 || k.Hash == pcr.SHA1 {
		return pub, fmt.Errorf("attestation key: %v is not one of SHA-256, SHA-384, SHA-512", k.Hash)
	}
	h := tpm2.TPMAlgID(k.Hash)
	switch k.Scheme {
	case RSASSA, RSAPSS:
		if k.Bits != 2048 && k.Bits != 3072 && k.Bits != 4096 {
			return pub, fmt.Errorf("attestation key: RSA with %d bits; TPMs have 2048, some 3072 or 4096", k.Bits)
		}
		s := tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgID(k.Scheme)}
		if k.Scheme == RSASSA {
			s.Details = tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSigSchemeRSASSA{HashAlg: h})
		} else {
			s.Details = tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSAPSS, &tpm2.TPMSSigSchemeRSAPSS{HashAlg: h})
		}
		pub.Type = tpm2.TPMAlgRSA
		pub.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{
			Symmetric: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull}, Scheme: s, KeyBits: tpm2.TPMKeyBits(k.Bits),
		})
		pub.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{})
	case ECDSA:
		curve, ok := map[int]tpm2.TPMECCCurve{256: tpm2.TPMECCNistP256, 384: tpm2.TPMECCNistP384, 521: tpm2.TPMECCNistP521}[k.Bits]
		if !ok {
			return pub, fmt.Errorf("attestation key: ECC with %d bits is not one of 256, 384, 521", k.Bits)
		}
		pub.Type = tpm2.TPMAlgECC
		pub.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Symmetric: tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull},
			Scheme: tpm2.TPMTECCScheme{
				Scheme:  tpm2.TPMAlgECDSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: h}),
			},
			CurveID: curve,
			KDF:     tpm2.TPMTKDFScheme{Scheme: tpm2.TPMAlgNull},
		})
		pub.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{})
	default:
		return pub, fmt.Errorf("attestation key: unknown scheme %v", k.Scheme)
	}
	return pub, nil
}

// Key20 is a key of a TPM 2.0.
type Key20 struct {
	Handle    uint32
	Area      []byte // TPMT_PUBLIC
	Name      []byte // TPM2B_NAME without its length
	PublicKey crypto.PublicKey
	Scheme    Scheme // 0: the key leaves it open
	Hash      pcr.Hash
}

func (k *publicKey) exported(handle uint32) *Key20 {
	out := &Key20{Handle: handle, Area: tpm2.Marshal(k.area), Name: k.name, PublicKey: k.key, Hash: k.hash}
	if k.scheme != tpm2.TPMAlgNull {
		out.Scheme = Scheme(k.scheme)
	}
	return out
}

// Key returns the key at a handle.
func (t *V20) Key(ctx context.Context, handle uint32) (key *Key20, err error) {
	err = t.do(ctx, "read key", func(s *session20) error {
		k, err := s.readPublic(handle)
		if err != nil {
			return err
		}
		key = k.exported(handle)
		return nil
	})
	return key, err
}

// Persistent handles (TCG Registry of Reserved TPM 2.0 Handles §2.3).
const (
	FirstAKHandle = 0x81010003 // behind the EKs at 0x81010001 and 0x81010002; strongSwan's documents use it
	lastAKHandle  = 0x8101ffff
)

// CreateAK makes an attestation key under the endorsement key of the given
// type and stores it at a persistent handle; 0 takes the first free one. A
// handle that is taken is an error unless replace is set.
func (t *V20) CreateAK(ctx context.Context, ekType KeyType, kt KeyTemplate, handle uint32, replace bool, auth Auth20) (key *Key20, err error) {
	template, err := kt.public()
	if err != nil {
		return nil, err
	}
	if handle != 0 && handle>>24 != 0x81 {
		return nil, fmt.Errorf("create AK: 0x%08x is not a persistent handle: those are 0x81000000 to 0x817fffff for the owner", handle)
	}
	err = t.do(ctx, "create AK", func(s *session20) error {
		taken, err := s.persistentHandles()
		if err != nil {
			return err
		}
		if handle == 0 {
			for handle = FirstAKHandle; slices.Contains(taken, handle); handle++ {
				if handle == lastAKHandle {
					return errors.New("no free persistent handle")
				}
			}
		}
		occupied := slices.Contains(taken, handle)
		if occupied && !replace {
			return fmt.Errorf("there is a key at handle 0x%08x already; replace it, or choose another", handle)
		}
		ek, err := s.endorsement(ekType, nil, auth)
		if err != nil {
			return err
		}
		defer s.flush(ek)
		made, err := tpm2.Create{ParentHandle: ek.use(auth), InPublic: tpm2.New2B(template)}.Execute(s)
		if err != nil {
			return err
		}
		loaded, err := tpm2.Load{ParentHandle: ek.use(auth), InPrivate: made.OutPrivate, InPublic: made.OutPublic}.Execute(s)
		if err != nil {
			return err
		}
		defer s.flush(&object20{handle: loaded.ObjectHandle, transient: true})
		if occupied {
			if err := s.evict(tpm2.TPMHandle(handle), handle, auth); err != nil {
				return fmt.Errorf("remove the old key: %w", err)
			}
		}
		if err := s.evict(loaded.ObjectHandle, handle, auth); err != nil {
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

func (s *session20) evict(object tpm2.TPMHandle, persistent uint32, auth Auth20) error {
	_, err := tpm2.EvictControl{
		Auth:             withPassword(tpm2.TPMRHOwner, nil, auth.Owner),
		ObjectHandle:     withPassword(object, nil, nil), // only its handle counts
		PersistentHandle: tpm2.TPMHandle(persistent),
	}.Execute(s)
	return err
}

// RemoveKey removes a persistent key.
func (t *V20) RemoveKey(ctx context.Context, handle uint32, auth Auth20) error {
	return t.do(ctx, fmt.Sprintf("remove key 0x%08x", handle), func(s *session20) error {
		return s.evict(tpm2.TPMHandle(handle), handle, auth)
	})
}

// PersistentHandles returns the handles of persistent objects.
func (t *V20) PersistentHandles(ctx context.Context) (handles []uint32, err error) {
	err = t.do(ctx, "read persistent handles", func(s *session20) error {
		handles, err = s.persistentHandles()
		return err
	})
	return handles, err
}

func (s *session20) persistentHandles() (out []uint32, err error) {
	next := tpm2.TPMHandle(0x81000000)
	for range 64 {
		rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: uint32(next), PropertyCount: 64}.Execute(s)
		if err != nil {
			return nil, err
		}
		l, err := rsp.CapabilityData.Data.Handles()
		if err != nil {
			return nil, replyError("TPM2_GetCapability", err)
		}
		for _, h := range l.Handle {
			if h >= next {
				out = append(out, uint32(h))
				next = h + 1
			}
		}
		if !rsp.MoreData || len(l.Handle) == 0 {
			break
		}
	}
	return out, nil
}
