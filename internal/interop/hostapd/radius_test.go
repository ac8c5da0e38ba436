package hostapd

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"time"
)

// Codes and attributes of RADIUS (RFC 2865, RFC 3579, RFC 2548).
const (
	accessRequest   = 1
	accessAccept    = 2
	accessReject    = 3
	accessChallenge = 11

	attrUserName             = 1
	attrNASIPAddress         = 4
	attrState                = 24
	attrVendor               = 26
	attrEAPMessage           = 79
	attrMessageAuthenticator = 80

	vendorMicrosoft = 311
	msMPPESendKey   = 16
	msMPPERecvKey   = 17
)

// radius is a RADIUS client for EAP: one conversation, no retransmission.
type radius struct {
	conn   net.Conn
	secret []byte
	user   string
	id     byte
	state  []byte
}

func dial(port int, secret, user string) (*radius, error) {
	c, err := net.Dial("udp4", fmt.Sprintf("127.0.0.1:%d", port))
	return &radius{conn: c, secret: []byte(secret), user: user}, err
}

// answer is what the server says to one EAP packet.
type radiusAnswer struct {
	code byte
	eap  []byte
	keys []byte // MSK from the two MS-MPPE keys of an Access-Accept
}

func attribute(b []byte, typ byte, v []byte) []byte {
	return append(append(b, typ, byte(2+len(v))), v...)
}

// exchange sends an EAP packet and waits for the answer.
func (r *radius) exchange(eap []byte) (radiusAnswer, error) {
	r.id++
	b := make([]byte, 20, 4096)
	b[0], b[1] = accessRequest, r.id
	if _, err := rand.Read(b[4:20]); err != nil {
		return radiusAnswer{}, err
	}
	auth := append([]byte(nil), b[4:20]...)
	b = attribute(b, attrUserName, []byte(r.user))
	b = attribute(b, attrNASIPAddress, []byte{127, 0, 0, 1})
	for rest := eap; len(rest) > 0; {
		n := min(len(rest), 253)
		b = attribute(b, attrEAPMessage, rest[:n])
		rest = rest[n:]
	}
	if r.state != nil {
		b = attribute(b, attrState, r.state)
	}
	at := len(b) + 2
	b = attribute(b, attrMessageAuthenticator, make([]byte, 16))
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[at:], r.mac(b))
	if len(b) > 4096 {
		return radiusAnswer{}, fmt.Errorf("EAP packet of %d octets is too large for RADIUS", len(eap))
	}
	if _, err := r.conn.Write(b); err != nil {
		return radiusAnswer{}, err
	}
	if err := r.conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return radiusAnswer{}, err
	}
	in := make([]byte, 4096)
	n, err := r.conn.Read(in)
	if err != nil {
		return radiusAnswer{}, err
	}
	return r.parse(in[:n], auth)
}

func (r *radius) mac(b []byte) []byte {
	m := hmac.New(md5.New, r.secret)
	m.Write(b)
	return m.Sum(nil)
}

func (r *radius) parse(b, auth []byte) (a radiusAnswer, err error) {
	if len(b) < 20 || int(binary.BigEndian.Uint16(b[2:])) != len(b) || b[1] != r.id {
		return a, errors.New("bad RADIUS header")
	}
	h := md5.New()
	h.Write(b[:4])
	h.Write(auth)
	h.Write(b[20:])
	h.Write(r.secret)
	if !hmac.Equal(h.Sum(nil), b[4:20]) {
		return a, errors.New("bad response authenticator")
	}
	a.code, r.state = b[0], nil
	var send, recv []byte
	signed := false
	for rest := b[20:]; len(rest) > 0; {
		if len(rest) < 2 || int(rest[1]) < 2 || int(rest[1]) > len(rest) {
			return a, errors.New("bad RADIUS attribute")
		}
		v := rest[2:rest[1]]
		switch rest[0] {
		case attrEAPMessage:
			a.eap = append(a.eap, v...)
		case attrState:
			r.state = append([]byte(nil), v...)
		case attrMessageAuthenticator:
			c := append([]byte(nil), b...)
			copy(c[4:20], auth)
			at := len(b) - len(rest) + 2
			clear(c[at : at+16])
			if !hmac.Equal(r.mac(c), v) {
				return a, errors.New("bad Message-Authenticator")
			}
			signed = true
		case attrVendor:
			if len(v) > 6 && binary.BigEndian.Uint32(v) == vendorMicrosoft {
				switch v[4] {
				case msMPPESendKey:
					send, err = r.decrypt(v[6:v[5]+4], auth)
				case msMPPERecvKey:
					recv, err = r.decrypt(v[6:v[5]+4], auth)
				}
				if err != nil {
					return a, err
				}
			}
		}
		rest = rest[rest[1]:]
	}
	if !signed {
		return a, errors.New("no Message-Authenticator")
	}
	a.keys = append(recv, send...)
	return a, nil
}

// decrypt opens an MS-MPPE key (RFC 2548 §2.4.2): salt, then blocks.
func (r *radius) decrypt(v, auth []byte) ([]byte, error) {
	if len(v) < 18 || (len(v)-2)%16 != 0 {
		return nil, errors.New("bad MS-MPPE key")
	}
	chain := append(append([]byte(nil), auth...), v[:2]...)
	var out []byte
	for c := v[2:]; len(c) > 0; c = c[16:] {
		h := md5.Sum(append(append([]byte(nil), r.secret...), chain...))
		for i := range 16 {
			out = append(out, h[i]^c[i])
		}
		chain = c[:16]
	}
	if int(out[0]) > len(out)-1 {
		return nil, errors.New("bad length of MS-MPPE key")
	}
	return out[1 : 1+out[0]], nil
}
