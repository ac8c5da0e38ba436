package tpm

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // TPM 1.2 knows no other hash
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Ordinals of TPM 1.2 (TPM Main Part 2 §17).
const (
	ordOIAP                 = 0x0a
	ordOSAP                 = 0x0b
	ordTakeOwnership        = 0x0d
	ordExtend               = 0x14
	ordPCRRead              = 0x15
	ordQuote                = 0x16
	ordQuote2               = 0x3e
	ordLoadKey2             = 0x41
	ordContinueSelfTest     = 0x53
	ordGetCapability        = 0x65
	ordMakeIdentity         = 0x79
	ordActivateIdentity     = 0x7a
	ordReadPubek            = 0x7c
	ordOwnerReadInternalPub = 0x81
	ordStartup              = 0x99
	ordFlushSpecific        = 0xba
	ordNVReadValue          = 0xcf
)

// Handles and resource types (TPM Main Part 2 §4.4, §4.1).
const (
	handleSRK = 0x40000000
	handleEK  = 0x40000006
	rtKey     = 1
	rtAuth    = 2
)

const nonceLen = 20

// wellKnown is the well-known secret: 20 zero octets.
var wellKnown [nonceLen]byte

// command12 encodes a command without authorization.
func command12(ord uint32, body []byte) []byte {
	b := wire.AppendU16(nil, tag12Request)
	b = wire.AppendU32(b, uint32(headerLen+len(body)))
	return append(wire.AppendU32(b, ord), body...)
}

// auth12 authorizes commands (TPM Main Part 1 §13): a session with rolling
// nonces and the secret that keys its HMACs.
type auth12 struct {
	handle uint32
	even   [nonceLen]byte
	key    []byte
	keep   bool // the session goes on after the command
}

// session12 is the TPM within one operation.
type session12 struct {
	ctx  context.Context
	c    *conn
	rand func([]byte)
}

// do runs f with the TPM for itself.
func (t *V12) do(ctx context.Context, what string, f func(s *session12) error) error {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	r := t.rand
	if r == nil {
		r = func(b []byte) { rand.Read(b) } // crypto/rand never fails (Go 1.24)
	}
	if err := f(&session12{ctx: ctx, c: t.c, rand: r}); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// run sends a command. Handles are what stands before the parameters and
// outside of the authorized digest; outHandles is the length of such octets in
// the reply. It returns them and the reply's parameters.
func (s *session12) run(name string, ord uint32, handles, params []byte, outHandles int, auths ...*auth12) (hs, out []byte, err error) {
	b := wire.AppendU16(nil, tag12Request+uint16(len(auths)))
	b = wire.AppendU32(b, 0)
	b = wire.AppendU32(b, ord)
	b = append(append(b, handles...), params...)
	inDigest := sha1.Sum(append(wire.AppendU32(nil, ord), params...))
	odd := make([][nonceLen]byte, len(auths))
	for i, a := range auths {
		s.rand(odd[i][:])
		b = wire.AppendU32(b, a.handle)
		b = append(b, odd[i][:]...)
		b = append(b, flag(a.keep))
		b = append(b, a.mac(inDigest[:], a.even[:], odd[i][:], flag(a.keep))...)
	}
	wire.PutU32At(b, 2, uint32(len(b)))
	reply, err := s.c.send(s.ctx, name, b)
	if err != nil {
		return nil, nil, err
	}
	r := wire.NewReader(name+" reply", reply)
	if tag := r.U16(); tag != tag12Reply+uint16(len(auths)) {
		r.Fail(0, fmt.Errorf("%w: tag 0x%04x", wire.ErrValue, tag))
	}
	r.Skip(8)
	hs = r.Bytes(outHandles)
	out = r.Bytes(r.Len() - len(auths)*(nonceLen+1+sha1.Size))
	outDigest := sha1.Sum(append(wire.AppendU32(wire.AppendU32(nil, 0), ord), out...))
	for i, a := range auths {
		copy(a.even[:], r.Bytes(nonceLen))
		more := r.U8()
		mac := r.Bytes(sha1.Size)
		if r.Err() == nil && !hmac.Equal(mac, a.mac(outDigest[:], a.even[:], odd[i][:], more)) {
			return nil, nil, replyError(name, errors.New("its authorization is wrong"))
		}
		a.keep = a.keep && more == 1
	}
	if err := r.Finish(); err != nil {
		return nil, nil, replyError(name, err)
	}
	return hs, out, nil
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func (a *auth12) mac(digest, even, odd []byte, keep byte) []byte {
	h := hmac.New(sha1.New, a.key)
	h.Write(digest)
	h.Write(even)
	h.Write(odd)
	h.Write([]byte{keep})
	return h.Sum(nil)
}

// oiap opens a session that authorizes one command with a secret.
func (s *session12) oiap(secret []byte) (*auth12, error) {
	_, out, err := s.run("TPM_OIAP", ordOIAP, nil, nil, 0)
	if err != nil {
		return nil, err
	}
	r := wire.NewReader("TPM_OIAP reply", out)
	a := &auth12{handle: r.U32(), key: secret}
	copy(a.even[:], r.Bytes(nonceLen))
	if err := r.Finish(); err != nil {
		return nil, replyError("TPM_OIAP", err)
	}
	return a, nil
}

// osap opens a session bound to an entity, whose shared secret can carry a new
// secret to the TPM (TPM Main Part 1 §13.3).
func (s *session12) osap(entity uint16, value uint32, secret []byte) (*auth12, error) {
	var odd [nonceLen]byte
	s.rand(odd[:])
	_, out, err := s.run("TPM_OSAP", ordOSAP, nil, append(wire.AppendU32(wire.AppendU16(nil, entity), value), odd[:]...), 0)
	if err != nil {
		return nil, err
	}
	r := wire.NewReader("TPM_OSAP reply", out)
	a := &auth12{handle: r.U32()}
	copy(a.even[:], r.Bytes(nonceLen))
	evenOSAP := r.Bytes(nonceLen)
	if err := r.Finish(); err != nil {
		return nil, replyError("TPM_OSAP", err)
	}
	h := hmac.New(sha1.New, secret)
	h.Write(evenOSAP)
	h.Write(odd[:])
	a.key = h.Sum(nil)
	return a, nil
}

// flush drops a key or a session; that it fails changes nothing for the
// caller.
func (s *session12) flush(handle, resource uint32) {
	s.run("TPM_FlushSpecific", ordFlushSpecific, wire.AppendU32(nil, handle), wire.AppendU32(nil, resource), 0)
}

// drop ends sessions that the failed command they were for did not end.
func (s *session12) drop(err error, auths ...*auth12) {
	var re *ResponseError
	if errors.As(err, &re) {
		return // TPM Main Part 1 §13: an error ends the sessions of its command
	}
	for _, a := range auths {
		if a != nil && err != nil {
			s.flush(a.handle, rtAuth)
		}
	}
}

// outVec reads the one value behind a u32 length that a reply consists of.
func outVec(name string, out []byte) ([]byte, error) {
	r := wire.NewReader(name+" reply", out)
	v := vec32(r)
	if err := r.Finish(); err != nil {
		return nil, replyError(name, err)
	}
	return v, nil
}
