package tpm20

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// Auth holds the passwords of a TPM 2.0's hierarchies. They are empty until
// somebody sets others.
type Auth struct {
	Owner, Endorsement []byte
}

// Key is the public part of a key in the TPM.
type Key struct {
	Handle    uint32
	Area      []byte // TPMT_PUBLIC
	Name      []byte // TPM2B_NAME without its length
	PublicKey crypto.PublicKey
	Scheme    Scheme // 0: the key leaves it open
	Hash      pcr.Hash
}

// exported returns the Key of a public part.
func (k *publicKey) exported(handle uint32) *Key {
	out := &Key{Handle: handle, Area: tpm2.Marshal(k.area), Name: k.name, PublicKey: k.key, Hash: k.hash}
	if k.scheme != tpm2.TPMAlgNull {
		out.Scheme = Scheme(k.scheme)
	}
	return out
}

// Key returns the key at a handle.
func (t *TPM) Key(ctx context.Context, handle uint32) (key *Key, err error) {
	err = t.do(ctx, "read key", func(s *session) error {
		k, err := s.readPublic(handle)
		if err != nil {
			return err
		}
		key = k.exported(handle)
		return nil
	})
	return key, err
}

// Persistent handles (TCG Registry of Reserved TPM 2.0 Handles section 2.3).
const (
	FirstAKHandle = 0x81010003 // follows the EKs at 0x81010001 and 0x81010002; strongSwan's documents use it
	lastAKHandle  = 0x8101ffff

	firstPersistent = 0x81000000
)

// ErrHandleTaken is returned for a handle that holds a key.
var ErrHandleTaken = errors.New("there is a key at that handle already")

// AKRequest says which attestation key to make. The zero value makes an RSA key
// under the RSA endorsement key.
type AKRequest struct {
	EK       KeyType // the endorsement key that is the parent of the key
	Owner    bool    // the parent is the owner's primary storage key in place of EK
	Template KeyTemplate
	Handle   uint32 // persistent handle; 0 takes the first free one from FirstAKHandle
	Replace  bool   // a key at Handle is removed; otherwise it is an error
}

// CreateAK makes an attestation key under an endorsement key and stores it at a
// persistent handle.
func (t *TPM) CreateAK(ctx context.Context, req AKRequest, auth Auth) (key *Key, err error) {
	template, err := req.Template.public()
	if err != nil {
		return nil, err
	}
	handle := req.Handle
	if handle != 0 && handle>>24 != 0x81 {
		return nil, fmt.Errorf("create AK: 0x%08x is not a persistent handle: those are 0x81000000 to 0x817fffff for the owner", handle)
	}
	err = t.do(ctx, "create AK", func(s *session) error {
		taken, err := s.persistentHandles()
		if err != nil {
			return err
		}
		if handle == 0 {
			if handle, err = firstFree(taken); err != nil {
				return err
			}
		}
		occupied := slices.Contains(taken, handle)
		if occupied && !req.Replace {
			return fmt.Errorf("%w: 0x%08x", ErrHandleTaken, handle)
		}
		loaded, err := s.createAK(req, template, auth)
		if err != nil {
			return err
		}
		defer s.flush(&object{handle: loaded.ObjectHandle, transient: true})
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

// createAK makes the key and loads it.
func (s *session) createAK(req AKRequest, template tpm2.TPMTPublic, auth Auth) (*tpm2.LoadResponse, error) {
	var parent *object
	var err error
	if req.Owner {
		parent, err = s.storageKey(uint32(tpm2.TPMRHOwner), auth)
	} else {
		parent, err = s.endorsement(req.EK, nil, auth)
	}
	if err != nil {
		return nil, err
	}
	defer s.flush(parent)
	use := func() tpm2.AuthHandle { // of the endorsement key a policy session a command
		if req.Owner {
			return withPassword(parent.handle, parent.pub.name, nil)
		}
		return parent.use(auth)
	}
	made, err := tpm2.Create{ParentHandle: use(), InPublic: tpm2.New2B(template)}.Execute(s)
	if err != nil {
		return nil, err
	}
	return tpm2.Load{ParentHandle: use(), InPrivate: made.OutPrivate, InPublic: made.OutPublic}.Execute(s)
}

// firstFree returns the first handle for attestation keys that is not taken.
func firstFree(taken []uint32) (uint32, error) {
	for h := uint32(FirstAKHandle); h <= lastAKHandle; h++ {
		if !slices.Contains(taken, h) {
			return h, nil
		}
	}
	return 0, errors.New("no free persistent handle")
}

// freeHandle returns handle, or for 0 the first free one for attestation keys. The
// error wraps ErrHandleTaken where a key is at handle.
func (s *session) freeHandle(handle uint32) (uint32, error) {
	taken, err := s.persistentHandles()
	switch {
	case err != nil:
		return 0, err
	case handle == 0:
		return firstFree(taken)
	case slices.Contains(taken, handle):
		return 0, fmt.Errorf("%w: 0x%08x", ErrHandleTaken, handle)
	}
	return handle, nil
}

// evict stores an object at a persistent handle, or removes it where the object
// is at that handle.
func (s *session) evict(object tpm2.TPMHandle, persistent uint32, auth Auth) error {
	_, err := tpm2.EvictControl{
		Auth:             withPassword(tpm2.TPMRHOwner, nil, auth.Owner),
		ObjectHandle:     withPassword(object, nil, nil), // only its handle counts
		PersistentHandle: tpm2.TPMHandle(persistent),
	}.Execute(s)
	return err
}

// RemoveKey removes a persistent key.
func (t *TPM) RemoveKey(ctx context.Context, handle uint32, auth Auth) error {
	return t.do(ctx, fmt.Sprintf("remove key 0x%08x", handle), func(s *session) error {
		return s.evict(tpm2.TPMHandle(handle), handle, auth)
	})
}

// PersistentHandles returns the handles of persistent objects.
func (t *TPM) PersistentHandles(ctx context.Context) (handles []uint32, err error) {
	err = t.do(ctx, "read persistent handles", func(s *session) error {
		handles, err = s.persistentHandles()
		return err
	})
	return handles, err
}

func (s *session) persistentHandles() (out []uint32, err error) {
	next := tpm2.TPMHandle(firstPersistent)
	for range 64 {
		rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: uint32(next), PropertyCount: 64}.Execute(s)
		if err != nil {
			return nil, err
		}
		l, err := rsp.CapabilityData.Data.Handles()
		if err != nil {
			return nil, command.ReplyError("TPM2_GetCapability", err)
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
