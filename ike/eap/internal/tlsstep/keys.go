package tlsstep

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"strings"
)

// Labels of TLS up to 1.2 (RFC 5216 section 2.3, RFC 5281 section 8).
const (
	LabelTTLS = "ttls keying material"
	LabelTLS  = "client EAP encryption" // EAP-TLS and PEAP

	// The exporter labels of TLS 1.3 (RFC 9190 section 2.3, RFC 9427 section 2.1); their
	// context is the EAP type.
	labelExporter = "EXPORTER_EAP_TLS_Key_Material"
	labelMethodID = "EXPORTER_EAP_TLS_Method-Id"
)

const (
	randomLen = 32
	masterLen = 48
	// MSKLen is the length of MSK and of EMSK in octets.
	MSKLen = 64

	methodIDLen   = 64
	recordHeader  = 5
	typeHandshake = 22
	serverHello   = 2
	// sniffMax is how much of the server's stream is looked at: warnings may
	// precede the ServerHello.
	sniffMax = 4096
)

var errNoKeys = errors.New("TLS secrets are not available")

// Keys are what an EAP method takes from its TLS connection.
type Keys struct {
	MSK       []byte // 64 octets
	EMSK      []byte // 64 octets
	SessionID []byte // EAP type, then client and server random, or the TLS 1.3 Method-Id
}

// Zero overwrites the secret keys.
func (k *Keys) Zero() {
	clear(k.MSK)
	clear(k.EMSK)
}

// Keys derives the EAP keys of a complete handshake for the EAP type. With
// TLS 1.2 it uses label, with 1.3 the exporter of RFC 9427. A strongSwan peer
// negotiates no Extended Master Secret, and crypto/tls then refuses to export:
// so with 1.2 the PRF runs here, on the secret that the key log names.
func (c *Conn) Keys(eapType uint8, label string) (Keys, error) {
	st, err := c.State()
	if err != nil {
		return Keys{}, err
	}
	if c.closed {
		return Keys{}, ErrClosed
	}
	var block, id []byte
	if st.Version >= tls.VersionTLS13 {
		if block, err = st.ExportKeyingMaterial(labelExporter, []byte{eapType}, 2*MSKLen); err != nil {
			return Keys{}, fmt.Errorf("export EAP keys: %w", err)
		}
		if id, err = st.ExportKeyingMaterial(labelMethodID, []byte{eapType}, methodIDLen); err != nil {
			return Keys{}, fmt.Errorf("export EAP Method-Id: %w", err)
		}
	} else {
		k := &c.keys
		if k.master == nil || k.clientRandom == nil || k.serverRandom == nil {
			return Keys{}, fmt.Errorf("derive EAP keys: %w", errNoKeys)
		}
		id = append(append([]byte(nil), k.clientRandom...), k.serverRandom...)
		block = prf12(prfHash(st.CipherSuite), k.master, label, id, 2*MSKLen)
	}
	return Keys{MSK: block[:MSKLen:MSKLen], EMSK: block[MSKLen:], SessionID: append([]byte{eapType}, id...)}, nil
}

// prfHash returns the hash of the TLS 1.2 PRF (RFC 5246 section 5): SHA-256 unless
// the suite names SHA-384.
func prfHash(suite uint16) func() hash.Hash {
	if strings.HasSuffix(tls.CipherSuiteName(suite), "_SHA384") {
		return sha512.New384
	}
	return sha256.New
}

// prf12 is the PRF of TLS 1.2 (RFC 5246 section 5): P_hash(secret, label ‖ seed).
func prf12(h func() hash.Hash, secret []byte, label string, seed []byte, n int) []byte {
	seed = append([]byte(label), seed...)
	mac := hmac.New(h, secret)
	mac.Write(seed)
	a := mac.Sum(nil)
	var out []byte
	for len(out) < n {
		mac.Reset()
		mac.Write(a)
		mac.Write(seed)
		out = mac.Sum(out)
		mac.Reset()
		mac.Write(a)
		a = mac.Sum(nil)
	}
	clear(out[n:])
	return out[:n:n]
}

// keySniffer takes the client random and the TLS 1.2 master secret from the
// key log, and the server random from the ServerHello that passes.
type keySniffer struct {
	clientRandom []byte
	master       []byte
	serverRandom []byte
	stream       []byte
	blind        bool // the stream is not looked at any more
}

var keyLogPrefix = []byte("CLIENT_RANDOM ")

// Write is the tls.Config's KeyLogWriter: "CLIENT_RANDOM <random> <secret>".
func (k *keySniffer) Write(line []byte) (int, error) {
	f := bytes.Fields(line)
	if !bytes.HasPrefix(line, keyLogPrefix) || len(f) != 3 {
		return len(line), nil
	}
	if len(f[1]) != hex.EncodedLen(randomLen) || len(f[2]) != hex.EncodedLen(masterLen) {
		return len(line), nil
	}
	random, master := make([]byte, randomLen), make([]byte, masterLen)
	if _, err := hex.Decode(random, f[1]); err != nil {
		return len(line), nil
	}
	if _, err := hex.Decode(master, f[2]); err != nil {
		return len(line), nil
	}
	k.clientRandom, k.master = random, master
	return len(line), nil
}

// serverFlight looks for the ServerHello in the server's octets. The handshake
// message may be spread over records (RFC 5246 section 6.2.1).
func (k *keySniffer) serverFlight(b []byte) {
	if k.blind || len(b) == 0 {
		return
	}
	k.stream = append(k.stream, b[:min(len(b), sniffMax)]...)
	const need = 4 + 2 + randomLen // handshake header, version, random
	var hs []byte
	for s := k.stream; len(s) >= recordHeader && len(hs) < need; {
		n := min(int(s[3])<<8|int(s[4]), len(s)-recordHeader)
		if s[0] == typeHandshake {
			hs = append(hs, s[recordHeader:recordHeader+n]...)
		}
		s = s[recordHeader+n:]
	}
	if len(hs) >= need {
		if hs[0] == serverHello {
			k.serverRandom = append([]byte(nil), hs[6:need]...)
		}
		k.blind, k.stream = true, nil
	} else if len(k.stream) >= sniffMax {
		k.blind, k.stream = true, nil
	}
}

func (k *keySniffer) zero() {
	clear(k.master)
	k.master = nil
	k.stream, k.blind = nil, true
}
