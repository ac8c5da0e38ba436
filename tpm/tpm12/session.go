package tpm12

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // TPM 1.2 knows no other hash
	"errors"
	"fmt"
	"io"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/command"
)

// Tags of commands and replies (TPM Main Part 2 section 6.1). The tag of a
// command with one or two authorizations is by one or two higher; so is its
// reply's.
const (
	tagRequest = 0x00c1
	tagReply   = 0x00c4
)

// Ordinals of TPM 1.2 (TPM Main Part 2 section 17).
const (
	ordOIAP                 = 0x0a
	ordOSAP                 = 0x0b
	ordTakeOwnership        = 0x0d
	ordExtend               = 0x14
	ordPCRRead              = 0x15
	ordQuote                = 0x16
	ordQuote2               = 0x3e
	ordCreateWrapKey        = 0x1f
	ordSign                 = 0x3c
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

// Handles and resource types (TPM Main Part 2 sections 4.1 and 4.4).
const (
	handleSRK = 0x40000000
	handleEK  = 0x40000006
	rtKey     = 1
	rtAuth    = 2
)

// nonceLen is the length of nonces and secrets in octets.
const nonceLen = 20

// wellKnown is the well-known secret: 20 zero octets.
var wellKnown [nonceLen]byte

// encode returns a command without authorization.
func encode(ord uint32, body []byte) []byte {
	b := wire.AppendU16(nil, tagRequest)
	b = wire.AppendU32(b, uint32(command.HeaderLen+len(body)))
	return append(wire.AppendU32(b, ord), body...)
}

// auth is an authorization session (TPM Main Part 1 section 13): its rolling
// nonce and the secret that keys its HMACs.
type auth struct {
	handle uint32
	even   [nonceLen]byte // the TPM's last nonce
	key    []byte
	keep   bool // the session goes on after the command
}

// session is the TPM during one operation.
type session struct {
	ctx  context.Context
	c    *command.Conn
	rand io.Reader
}

// do runs one operation while no other one uses the TPM. What names it in
// errors.
func (t *TPM) do(ctx context.Context, what string, f func(s *session) error) error {
	defer t.c.Acquire()()
	if err := f(&session{ctx: ctx, c: t.c, rand: t.rand}); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// nonce returns a fresh nonce.
func (s *session) nonce() (n [nonceLen]byte, err error) {
	_, err = io.ReadFull(s.rand, n[:])
	return n, err
}

// run sends a command and returns the parameters of its reply (out). Handles
// precede the command's parameters and are outside of the authorized digest;
// outHandles is the length of such octets in the reply (hs). Auths authorize the
// command.
func (s *session) run(name string, ord uint32, handles, params []byte, outHandles int, auths ...*auth) (hs, out []byte, err error) {
	b := wire.AppendU16(nil, tagRequest+uint16(len(auths)))
	b = wire.AppendU32(b, 0)
	b = wire.AppendU32(b, ord)
	b = append(append(b, handles...), params...)
	inDigest := sha1.Sum(append(wire.AppendU32(nil, ord), params...))
	odd := make([][nonceLen]byte, len(auths))
	for i, a := range auths {
		if odd[i], err = s.nonce(); err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		b = wire.AppendU32(b, a.handle)
		b = append(b, odd[i][:]...)
		b = append(b, flag(a.keep))
		b = append(b, a.mac(inDigest[:], a.even[:], odd[i][:], flag(a.keep))...)
	}
	wire.PutU32At(b, 2, uint32(len(b)))
	reply, err := s.c.Send(s.ctx, name, b)
	if err != nil {
		return nil, nil, err
	}
	r := wire.NewReader(name+" reply", reply)
	if tag := r.U16(); tag != tagReply+uint16(len(auths)) {
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
			return nil, nil, command.ReplyError(name, errors.New("its authorization is wrong"))
		}
		a.keep = a.keep && more == 1
	}
	if err := r.Finish(); err != nil {
		return nil, nil, command.ReplyError(name, err)
	}
	return hs, out, nil
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// mac returns the HMAC that authorizes a command or a reply with the digest.
func (a *auth) mac(digest, even, odd []byte, keep byte) []byte {
	h := hmac.New(sha1.New, a.key)
	h.Write(digest)
	h.Write(even)
	h.Write(odd)
	h.Write([]byte{keep})
	return h.Sum(nil)
}

// oiap opens a session that authorizes one command with a secret (TPM Main
// Part 1 section 13.2).
func (s *session) oiap(secret []byte) (*auth, error) {
	_, out, err := s.run("TPM_OIAP", ordOIAP, nil, nil, 0)
	if err != nil {
		return nil, err
	}
	r := wire.NewReader("TPM_OIAP reply", out)
	a := &auth{handle: r.U32(), key: secret}
	copy(a.even[:], r.Bytes(nonceLen))
	if err := r.Finish(); err != nil {
		return nil, command.ReplyError("TPM_OIAP", err)
	}
	return a, nil
}

// osap opens a session bound to an entity, whose shared secret can carry a new
// secret to the TPM (TPM Main Part 1 section 13.3).
func (s *session) osap(entity uint16, value uint32, secret []byte) (*auth, error) {
	odd, err := s.nonce()
	if err != nil {
		return nil, fmt.Errorf("TPM_OSAP: %w", err)
	}
	_, out, err := s.run("TPM_OSAP", ordOSAP, nil, append(wire.AppendU32(wire.AppendU16(nil, entity), value), odd[:]...), 0)
	if err != nil {
		return nil, err
	}
	r := wire.NewReader("TPM_OSAP reply", out)
	a := &auth{handle: r.U32()}
	copy(a.even[:], r.Bytes(nonceLen))
	evenOSAP := r.Bytes(nonceLen)
	if err := r.Finish(); err != nil {
		return nil, command.ReplyError("TPM_OSAP", err)
	}
	h := hmac.New(sha1.New, secret)
	h.Write(evenOSAP)
	h.Write(odd[:])
	a.key = h.Sum(nil)
	return a, nil
}

// flush removes a key or a session from the TPM. The operation does not depend
// on it, so errors are ignored.
func (s *session) flush(handle, resource uint32) {
	s.run("TPM_FlushSpecific", ordFlushSpecific, wire.AppendU32(nil, handle), wire.AppendU32(nil, resource), 0)
}

// endSessions ends the sessions of a command that failed with err, unless the
// TPM did: its error response ends the sessions of the command (TPM Main Part 1
// section 13).
func (s *session) endSessions(err error, auths ...*auth) {
	var re *command.ResponseError
	if err == nil || errors.As(err, &re) {
		return
	}
	for _, a := range auths {
		s.flush(a.handle, rtAuth)
	}
}

// outVec decodes a reply that consists of one value behind a u32 length.
func outVec(name string, out []byte) ([]byte, error) {
	r := wire.NewReader(name+" reply", out)
	v := vec32(r)
	if err := r.Finish(); err != nil {
		return nil, command.ReplyError(name, err)
	}
	return v, nil
}
