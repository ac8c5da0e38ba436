// Package mschapv2 is the peer's side of EAP-MSCHAPv2
// (draft-kamath-pppext-eap-mschapv2, RFC 2759, RFC 3079). Its cryptography is
// weak: run it inside a tunnel, or after the gateway has signed.
package mschapv2

import (
	"bytes"
	"crypto/des" //nolint:gosec // the method is defined on DES, MD4 and SHA-1
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // as above
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf16"

	//lint:ignore SA1019 the method is defined on MD4
	"golang.org/x/crypto/md4"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// Codes of the OpCode octet.
const (
	opChallenge = 1
	opResponse  = 2
	opSuccess   = 3
	opFailure   = 4
)

const (
	challengeLen = 16
	responseLen  = 49
	userMax      = 256
)

// ErrServer is the failure of the server's proof.
var ErrServer = errors.New("the server does not know the password: its authenticator response does not verify")

var (
	errClosed    = errors.New("method is closed")
	errOrder     = errors.New("packet not expected now")
	errMalformed = errors.New("malformed packet")
)

// Method answers one challenge, and verifies the server's proof.
type Method struct {
	user     string
	password []byte
	rand     io.Reader

	ntHash    [16]byte
	challenge [8]byte
	response  [24]byte
	answered  bool
	msk       []byte
	verified  bool
	refused   error // the server's refusal
	closed    bool
}

// Config is what a Method needs.
type Config struct {
	// User is the name, of 1 to 256 octets, which may have the form DOMAIN\name.
	User string
	// Password is in UTF-8. New copies it.
	Password []byte
	// Rand is where the peer's challenge comes from; nil is crypto/rand.
	Rand io.Reader
}

// New returns a Method that waits for the server's challenge.
func New(cfg Config) (*Method, error) {
	if cfg.User == "" || len(cfg.User) > userMax {
		return nil, fmt.Errorf("user name of %d octets: %w", len(cfg.User), wire.ErrLength)
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	return &Method{user: cfg.User, password: bytes.Clone(cfg.Password), rand: cfg.Rand}, nil
}

// Offer returns the offer of this method for an eap.Config. The password
// stays the caller's.
func Offer(cfg Config) eap.Offer {
	return eap.OfferOf(eap.TypeMSCHAPv2, func() (*Method, error) { return New(cfg) })
}

// Type returns eap.TypeMSCHAPv2.
func (m *Method) Type() eap.Type { return eap.TypeMSCHAPv2 }

// Handle answers one request.
func (m *Method) Handle(req eap.Packet) (eap.Reply, error) {
	if m.closed {
		return eap.Reply{}, errClosed
	}
	r := wire.NewReader("EAP-MSCHAPv2", req.Data)
	op, id, n := r.U8(), r.U8(), int(r.U16())
	if r.Err() == nil && n != len(req.Data) {
		r.Fail(2, wire.ErrLength)
	}
	body := r.Rest()
	if err := r.Err(); err != nil {
		return eap.Reply{}, err
	}
	switch {
	case op == opChallenge && !m.answered:
		return m.answer(id, body)
	case op == opSuccess && m.answered && m.refused == nil:
		return m.success(body)
	case op == opFailure && m.answered && !m.verified:
		m.refused = refusal(body)
		return eap.Reply{Data: []byte{opFailure}, Err: m.refused}, nil
	}
	return eap.Reply{}, fmt.Errorf("OpCode %d: %w", op, errOrder)
}

func (m *Method) answer(id byte, body []byte) (eap.Reply, error) {
	if len(body) < 1+challengeLen || body[0] != challengeLen {
		return eap.Reply{}, fmt.Errorf("challenge: %w", errMalformed)
	}
	var peer [challengeLen]byte
	if _, err := io.ReadFull(m.rand, peer[:]); err != nil {
		return eap.Reply{}, fmt.Errorf("draw peer challenge: %w", err)
	}
	m.compute([challengeLen]byte(body[1:]), peer)
	m.answered = true
	b := wire.AppendU16([]byte{opResponse, id}, uint16(5+responseLen+len(m.user)))
	b = append(append(b, responseLen), peer[:]...)
	b = append(append(append(b, make([]byte, 8)...), m.response[:]...), 0)
	return eap.Reply{Data: append(b, m.user...)}, nil
}

// compute fills hashes, NT-Response and MSK (RFC 2759 section 8, RFC 3079 section 3).
func (m *Method) compute(auth, peer [challengeLen]byte) {
	name := m.user
	if i := strings.LastIndexByte(name, '\\'); i >= 0 {
		name = name[i+1:]
	}
	h := sum(peer[:], auth[:], []byte(name))
	copy(m.challenge[:], h[:8])
	m.ntHash = ntHash(m.password)
	var key [21]byte
	copy(key[:], m.ntHash[:])
	for i := range 3 {
		desBlock(m.response[8*i:8*i+8], key[7*i:7*i+7], m.challenge[:])
	}
	hh := md4sum(m.ntHash[:])
	mk := sum(hh[:], m.response[:], []byte("This is the MPPE Master Key"))
	m.msk = make([]byte, 64)
	copy(m.msk, sessionKey(mk[:16], "On the client side, this is the send key; on the server side, it is the receive key."))
	copy(m.msk[16:], sessionKey(mk[:16], "On the client side, this is the receive key; on the server side, it is the send key."))
	clear(key[:])
	clear(mk[:])
}

// authenticatorResponse is what the server proves itself with.
func (m *Method) authenticatorResponse() []byte {
	hh := md4sum(m.ntHash[:])
	d := sum(hh[:], m.response[:], []byte("Magic server to client signing constant"))
	s := sum(d[:], m.challenge[:], []byte("Pad to make it do more than one iteration"))
	return s[:]
}

// success checks "S=<40 hex> M=<text>".
func (m *Method) success(body []byte) (eap.Reply, error) {
	if len(body) < 42 || string(body[:2]) != "S=" {
		return eap.Reply{}, fmt.Errorf("success: %w", errMalformed)
	}
	got, err := hex.DecodeString(string(body[2:42]))
	if err != nil || subtle.ConstantTimeCompare(got, m.authenticatorResponse()) != 1 {
		return eap.Reply{}, ErrServer
	}
	m.verified = true
	return eap.Reply{Data: []byte{opSuccess}, Decision: eap.DecisionMaySucceed}, nil
}

// RefusedError is the server's refusal with its error code (RFC 2759 section 6).
// It wraps eap.ErrCredentials.
type RefusedError struct {
	Code int // 691 and others; 0 where the server sent none
}

func (e *RefusedError) Error() string {
	if s := codes[e.Code]; s != "" {
		return fmt.Sprintf("%v: %s (error %d)", eap.ErrCredentials, s, e.Code)
	}
	if e.Code != 0 {
		return fmt.Sprintf("%v: error %d", eap.ErrCredentials, e.Code)
	}
	return eap.ErrCredentials.Error()
}

func (e *RefusedError) Unwrap() error { return eap.ErrCredentials }

var codes = map[int]string{
	646: "logon is not allowed at this hour", 647: "the account is disabled", 648: "the password has expired",
	649: "the account may not dial in", 691: "the user name or the password is wrong", 709: "the password could not be changed",
}

// refusal reads the code of "E=691 R=0 C=… V=3 M=…".
func refusal(body []byte) *RefusedError {
	for _, f := range strings.Fields(string(body[:min(len(body), 512)])) {
		if v, ok := strings.CutPrefix(f, "E="); ok {
			if n, err := strconv.Atoi(v); err == nil {
				return &RefusedError{Code: n}
			}
		}
	}
	return &RefusedError{}
}

// MSK returns 64 octets once the server is verified (RFC 5247: of them 32 are
// zero), nil before.
func (m *Method) MSK() []byte {
	if !m.verified {
		return nil
	}
	return m.msk
}

// SessionID returns nil: the method has none.
func (m *Method) SessionID() []byte { return nil }

// Explain returns eap.ErrCredentials once the server has the answer.
func (m *Method) Explain() error {
	if !m.answered {
		return nil
	}
	return eap.ErrCredentials
}

// Close zeroes secrets. It may be called again.
func (m *Method) Close() {
	clear(m.password)
	clear(m.ntHash[:])
	clear(m.response[:])
	clear(m.msk)
	m.msk, m.closed, m.verified = nil, true, false
}

func sum(parts ...[]byte) (s [20]byte) {
	h := sha1.New()
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(s[:0])
	return s
}

func md4sum(b []byte) (s [16]byte) {
	h := md4.New()
	h.Write(b)
	h.Sum(s[:0])
	return s
}

// ntHash is MD4 of the password in UTF-16, little-endian.
func ntHash(password []byte) [16]byte {
	u := utf16.Encode([]rune(string(password)))
	b := make([]byte, 0, 2*len(u))
	for _, c := range u {
		b = append(b, byte(c), byte(c>>8))
	}
	defer clear(b)
	return md4sum(b)
}

func sessionKey(master []byte, magic string) []byte {
	s := sum(master, make([]byte, 40), []byte(magic), bytes.Repeat([]byte{0xf2}, 40))
	return s[:16]
}

// desBlock encrypts one block with 56 bits of key; parity bits are added.
func desBlock(to, key, from []byte) {
	var k [8]byte
	var v uint64
	for _, b := range key[:7] {
		v = v<<8 | uint64(b)
	}
	for i := range k {
		b := byte(v>>(49-7*i)) << 1
		k[i] = b | byte(bits.OnesCount8(b)&1^1)
	}
	c, err := des.NewCipher(k[:])
	if err != nil {
		panic(err) // the key has 8 octets
	}
	c.Encrypt(to, from)
	clear(k[:])
}
