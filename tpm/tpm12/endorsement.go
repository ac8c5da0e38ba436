package tpm12

import (
	"bytes"
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // TPM 1.2 knows no other hash
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
)

// Endorsement is the endorsement key, by which the manufacturer vouches for the
// TPM.
type Endorsement struct {
	PublicKey   crypto.PublicKey // an *rsa.PublicKey
	Pubkey      []byte           // TPM_PUBKEY
	Certificate []byte           // X.509 in DER; nil where the TPM holds none
}

// readPubek reads the public endorsement key of a TPM without owner (TPM Main
// Part 3 section 14.4).
func (s *session) readPubek() (*KeyBlob, error) {
	const name = "TPM_ReadPubek"
	nonce, err := s.nonce()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	_, out, err := s.run(name, ordReadPubek, nil, nonce[:], 0)
	if err != nil {
		return nil, err
	}
	if len(out) < sha1.Size {
		return nil, command.ReplyError(name, wire.ErrTruncated)
	}
	pubek, checksum := out[:len(out)-sha1.Size], out[len(out)-sha1.Size:]
	if want := sha1.Sum(append(bytes.Clone(pubek), nonce[:]...)); !hmac.Equal(checksum, want[:]) {
		return nil, command.ReplyError(name, errors.New("its checksum is wrong"))
	}
	k, err := ParsePubkey(pubek)
	if err != nil {
		return nil, command.ReplyError(name, err)
	}
	return &k, nil
}

// EndorsementKey reads the public endorsement key, with the owner's secret
// where the TPM has an owner, and its certificate.
func (t *TPM) EndorsementKey(ctx context.Context, owner [20]byte) (e *Endorsement, err error) {
	err = t.do(ctx, "read endorsement key", func(s *session) error {
		ek, err := s.readPubek()
		if err != nil {
			var re *command.ResponseError
			if !errors.As(err, &re) {
				return err
			}
			if ek, err = s.ownerReadPubek(owner); err != nil {
				return err
			}
		}
		pub, err := ek.PublicKey()
		if err != nil {
			return command.ReplyError("TPM_ReadPubek", err)
		}
		e = &Endorsement{PublicKey: pub, Pubkey: ek.Pubkey()}
		cert, err := s.ekCertificate(owner)
		if err != nil || cert == nil {
			return err
		}
		e.Certificate, err = attest.EndorsementCertificate(cert, pub)
		return err
	})
	return e, err
}

// ownerReadPubek reads the public endorsement key of a TPM that has an owner (TPM
// Main Part 3 section 14.5).
func (s *session) ownerReadPubek(owner [20]byte) (*KeyBlob, error) {
	const name = "TPM_OwnerReadInternalPub"
	a, err := s.oiap(owner[:])
	if err != nil {
		return nil, err
	}
	// unlike other handles, this one is part of the authorized digest
	_, out, err := s.run(name, ordOwnerReadInternalPub, nil, wire.AppendU32(nil, handleEK), 0, a)
	if err != nil {
		s.endSessions(err, a)
		return nil, err
	}
	k, err := ParsePubkey(out)
	if err != nil {
		return nil, command.ReplyError(name, err)
	}
	return &k, nil
}

// The endorsement key's certificate (TCG PC Client Implementation Specification for
// Conventional BIOS section 7.4.5) is in the NV index TPM_NV_INDEX_EKCert with the
// D bit, which holds
//
//	u16 0x1001 | u8 0 (full) | u16 n | u16 0x1002, certificate
const (
	nvEKCertificate  = 0x1000f000
	tagStoredCert    = 0x1001
	tagFullCert      = 0x1002
	nvChunk          = 128 // small enough for every TPM's buffer
	maxEKCertificate = 8192
	storedCertHeader = 5
	fullCertificate  = 0
)

// ekCertificate reads the endorsement key's certificate; nil where there is none.
func (s *session) ekCertificate(owner [20]byte) ([]byte, error) {
	head, err := s.readNV(nvEKCertificate, 0, storedCertHeader, owner)
	var re *command.ResponseError
	if errors.As(err, &re) && (re.Code == rcBadIndex || re.Code == rcNoEndorsement) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := wire.NewReader("TCG_PCCLIENT_STORED_CERT", head)
	if at := r.Offset(); r.U16() != tagStoredCert {
		r.Fail(at, wire.ErrValue)
	}
	if at := r.Offset(); r.U8() != fullCertificate {
		r.Fail(at, fmt.Errorf("%w: not a full certificate", wire.ErrValue))
	}
	n := int(r.U16())
	if at := r.Offset(); n < 3 || n > maxEKCertificate {
		r.Fail(at, wire.ErrLength)
	}
	if err := r.Finish(); err != nil {
		return nil, err
	}
	var b []byte
	for len(b) < n {
		c, err := s.readNV(nvEKCertificate, storedCertHeader+len(b), min(nvChunk, n-len(b)), owner)
		if err != nil {
			return nil, err
		}
		if len(c) == 0 {
			return nil, command.ReplyError("TPM_NV_ReadValue", wire.ErrLength)
		}
		b = append(b, c...)
	}
	if b[0] == tagFullCert>>8 && b[1] == tagFullCert&0xff {
		return b[2:], nil
	}
	return b, nil
}

// readNV reads a part of an NV index, without authorization or, where the TPM
// wants one, with the owner's.
func (s *session) readNV(index uint32, offset, n int, owner [20]byte) ([]byte, error) {
	const name = "TPM_NV_ReadValue"
	params := wire.AppendU32(wire.AppendU32(wire.AppendU32(nil, index), uint32(offset)), uint32(n))
	_, out, err := s.run(name, ordNVReadValue, nil, params, 0)
	var re *command.ResponseError
	if errors.As(err, &re) && (re.Code == rcAuthFail || re.Code == rcAuthConflict) {
		a, err2 := s.oiap(owner[:])
		if err2 != nil {
			return nil, err2
		}
		if _, out, err = s.run(name, ordNVReadValue, nil, params, 0, a); err != nil {
			s.endSessions(err, a)
		}
	}
	if err != nil {
		return nil, err
	}
	return outVec(name, out)
}
