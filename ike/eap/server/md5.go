package server

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"

	"github.com/gotnc/gotnc/ike/eap/md5"
)

// MD5 is the server's half of EAP-MD5-Challenge: it makes one challenge and
// checks the response.
type MD5 struct {
	id    uint8
	value [16]byte
}

// NewMD5 draws a challenge of 16 octets for the request identifier id and
// returns the Type-Data of the request.
func NewMD5(id uint8) (*MD5, []byte, error) {
	c := &MD5{id: id}
	if _, err := rand.Read(c.value[:]); err != nil {
		return nil, nil, fmt.Errorf("draw EAP-MD5 challenge: %w", err)
	}
	b, err := md5.Value{Value: c.value[:]}.AppendBinary(nil)
	return c, b, err
}

// Verify reports whether the response's Type-Data proves the password, in
// constant time.
func (c *MD5) Verify(data, password []byte) bool {
	v, err := md5.ParseValue(data)
	if err != nil {
		return false
	}
	want := md5.Response(c.id, password, c.value[:])
	return subtle.ConstantTimeCompare(v.Value, want[:]) == 1
}
