package signature

import (
	"bytes"
	gocrypto "crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

var octets = []byte("RealMessage1 | Nr | prf(SK_pi, IDi')")

func newKey(t testing.TB, kind Key, bits int) gocrypto.Signer {
	t.Helper()
	var k gocrypto.Signer
	var err error
	switch kind {
	case RSA:
		k, err = rsa.GenerateKey(rand.Reader, bits)
	case ECDSA:
		k, err = ecdsa.GenerateKey(map[int]elliptic.Curve{256: elliptic.P256(), 384: elliptic.P384(), 521: elliptic.P521()}[bits], rand.Reader)
	case Ed25519:
		_, k, err = ed25519.GenerateKey(rand.Reader)
	}
	require.NoError(t, err)
	return k
}

func TestSignedByEveryKeyAndScheme(t *testing.T) {
	rsa2048 := newKey(t, RSA, 2048)
	for _, c := range []struct {
		name   string
		key    gocrypto.Signer
		o      Options
		method message.AuthMethod
		scheme Scheme
		prefix string // of the AUTH data
	}{
		{"RSA classic", rsa2048, Options{SHA1: true}, message.AuthRSA, Scheme{RSA, false, SHA1}, ""},
		{"RSA SHA-256", rsa2048, Options{PeerHashes: Announced}, 14, Scheme{RSA, false, SHA256}, "0f300d06092a864886f70d01010b0500"},
		{"RSA SHA-384 is all the peer knows", rsa2048, Options{PeerHashes: []Hash{SHA384}}, 14, Scheme{RSA, false, SHA384}, "0f300d06092a864886f70d01010c0500"},
		{"RSA SHA-512 as configured", rsa2048, Options{PeerHashes: Announced, Schemes: []Scheme{{RSA, false, SHA512}}}, 14, Scheme{RSA, false, SHA512}, "0f300d06092a864886f70d01010d0500"},
		{"RSASSA-PSS", rsa2048, Options{PeerHashes: Announced, PSS: true}, 14, Scheme{RSA, true, SHA256}, "43304106092a864886f70d01010a"},
		{"RSASSA-PSS SHA-512", rsa2048, Options{PeerHashes: Announced, Schemes: []Scheme{{RSA, true, SHA512}}}, 14, Scheme{RSA, true, SHA512}, "43304106092a864886f70d01010a"},
		{"ECDSA-256 classic", newKey(t, ECDSA, 256), Options{}, message.AuthECDSA256, Scheme{ECDSA, false, SHA256}, ""},
		{"ECDSA-384 classic", newKey(t, ECDSA, 384), Options{}, message.AuthECDSA384, Scheme{ECDSA, false, SHA384}, ""},
		{"ECDSA-521 classic", newKey(t, ECDSA, 521), Options{}, message.AuthECDSA521, Scheme{ECDSA, false, SHA512}, ""},
		{"ECDSA-384", newKey(t, ECDSA, 384), Options{PeerHashes: Announced}, 14, Scheme{ECDSA, false, SHA384}, "0c300a06082a8648ce3d040303"},
		{"ECDSA-521 with SHA-256", newKey(t, ECDSA, 521), Options{PeerHashes: []Hash{SHA256}}, 14, Scheme{ECDSA, false, SHA256}, "0c300a06082a8648ce3d040302"},
		{"Ed25519", newKey(t, Ed25519, 0), Options{PeerHashes: Announced}, 14, Scheme{Ed25519, false, Identity}, "07300506032b6570"},
	} {
		t.Run(c.name, func(t *testing.T) {
			auth, scheme, err := Sign(rand.Reader, c.key, octets, c.o)
			require.NoError(t, err)
			require.Equal(t, c.method, auth.Method)
			require.Equal(t, c.scheme, scheme)
			require.Equal(t, c.prefix, hex.EncodeToString(auth.Data)[:len(c.prefix)])
			got, err := Verify(c.key.Public(), auth, octets)
			require.NoError(t, err)
			require.Equal(t, c.scheme, got)

			_, err = Verify(c.key.Public(), auth, append(bytes.Clone(octets), 0))
			require.ErrorIs(t, err, ErrMismatch)
			for _, other := range []gocrypto.Signer{rsa2048, newKey(t, ECDSA, 256), newKey(t, ECDSA, 521), newKey(t, Ed25519, 0)} {
				if !c.key.Public().(interface{ Equal(gocrypto.PublicKey) bool }).Equal(other.Public()) {
					_, err = Verify(other.Public(), auth, octets)
					require.ErrorIs(t, err, ErrMismatch)
				}
			}
			for n := range auth.Data {
				_, err := Verify(c.key.Public(), &message.Auth{Method: auth.Method, Data: auth.Data[:n]}, octets)
				require.Error(t, err)
			}
		})
	}
}

func TestNoCommonScheme(t *testing.T) {
	ed := newKey(t, Ed25519, 0)
	_, _, err := Sign(rand.Reader, ed, octets, Options{})
	require.ErrorContains(t, err, "RFC 7427")
	_, _, err = Sign(rand.Reader, ed, octets, Options{PeerHashes: []Hash{SHA256}})
	require.ErrorIs(t, err, ErrNoCommonScheme)
	require.ErrorContains(t, err, "announced")
	ec := newKey(t, ECDSA, 256)
	_, _, err = Sign(rand.Reader, ec, octets, Options{PeerHashes: []Hash{SHA1}})
	require.ErrorContains(t, err, "announced", "SHA-1 only where it is named")
	auth, s, err := Sign(rand.Reader, ec, octets, Options{PeerHashes: []Hash{SHA1}, Schemes: []Scheme{{ECDSA, false, SHA1}}})
	require.NoError(t, err)
	require.Equal(t, SHA1, s.Hash)
	_, err = Verify(ec.Public(), auth, octets)
	require.ErrorContains(t, err, "did not announce")
	_, _, err = Sign(rand.Reader, newKey(t, RSA, 2048), octets, Options{Schemes: []Scheme{{RSA, true, SHA256}}})
	require.ErrorContains(t, err, "does not allow")
}

func TestSHA1IsRefused(t *testing.T) {
	_, _, err := Sign(rand.Reader, newKey(t, RSA, 2048), octets, Options{})
	require.ErrorIs(t, err, ErrSHA1)
	_, s, err := Sign(rand.Reader, newKey(t, ECDSA, 256), octets, Options{})
	require.NoError(t, err)
	require.Equal(t, SHA256, s.Hash)
}

func TestWeakKeysAndUnknownMethods(t *testing.T) {
	small := newKey(t, RSA, 1024)
	auth, _, err := Sign(rand.Reader, small, octets, Options{SHA1: true})
	require.NoError(t, err)
	_, err = Verify(small.Public(), auth, octets)
	require.ErrorContains(t, err, "1024 bits")
	_, err = Verify(newKey(t, Ed25519, 0).Public(), &message.Auth{Method: message.AuthNull}, octets)
	require.ErrorContains(t, err, "not supported")
	_, err = Verify(newKey(t, Ed25519, 0).Public(), &message.Auth{Method: 14, Data: append([]byte{7}, 0x30, 5, 6, 3, 0x2b, 0x65, 0x71)}, octets)
	require.ErrorContains(t, err, "not supported", "Ed448")
}

func TestPSSWithTrailerField(t *testing.T) {
	key := newKey(t, RSA, 2048)
	auth, s, err := Sign(rand.Reader, key, octets, Options{PeerHashes: Announced, PSS: true})
	require.NoError(t, err)
	var other []byte
	for _, i := range identifiers {
		if i.scheme == s {
			other, _ = hex.DecodeString(i.der)
		}
	}
	require.Len(t, other, 0x48, "the last one is that of RFC 7427")
	sig := auth.Data[1+int(auth.Data[0]):]
	auth.Data = append(append([]byte{byte(len(other))}, other...), sig...)
	_, err = Verify(key.Public(), auth, octets)
	require.NoError(t, err)
}

func TestHashes(t *testing.T) {
	b := AppendHashes(nil, Announced)
	require.Equal(t, "0002000300040005", hex.EncodeToString(b))
	got, err := ParseHashes(b)
	require.NoError(t, err)
	require.Equal(t, Announced, got)
	for n := range b {
		if n%2 == 1 {
			_, err := ParseHashes(b[:n])
			require.Error(t, err)
		}
	}
	got, err = ParseHashes([]byte{0, 2, 0xff, 0xff, 0, 2})
	require.NoError(t, err)
	require.Equal(t, []Hash{SHA256}, got)
	got, err = ParseHashes(nil)
	require.NoError(t, err)
	require.NotNil(t, got, "announced, but nothing")
}

func FuzzVerify(f *testing.F) {
	key := newKey(f, ECDSA, 256)
	auth, _, err := Sign(rand.Reader, key, octets, Options{PeerHashes: Announced})
	require.NoError(f, err)
	f.Add(byte(14), auth.Data)
	f.Add(byte(9), make([]byte, 64))
	f.Add(byte(1), []byte{1})
	f.Fuzz(func(t *testing.T, method byte, data []byte) {
		if bytes.Equal(data, auth.Data) {
			return
		}
		if _, err := Verify(key.Public(), &message.Auth{Method: message.AuthMethod(method), Data: data}, []byte("other octets")); err == nil {
			t.Fatalf("method %d accepts %x", method, data)
		}
	})
}

func TestParseConstraints(t *testing.T) {
	for text, want := range map[string]Constraints{
		"pubkey":                {},
		"rsa":                   {IKE: []Scheme{{RSA, false, 0}}},
		"rsa-3072":              {RSABits: 3072, IKE: []Scheme{{RSA, false, 0}}},
		"rsa-3072-sha256":       {RSABits: 3072, Chain: []Scheme{{RSA, false, SHA256}}, IKE: []Scheme{{RSA, false, SHA256}}},
		"ecdsa-384-sha384":      {ECDSABits: 384, Chain: []Scheme{{ECDSA, false, SHA384}}, IKE: []Scheme{{ECDSA, false, SHA384}}},
		"ike:rsa/pss-sha512":    {IKE: []Scheme{{RSA, true, SHA512}}},
		"ed25519":               {IKE: []Scheme{{Ed25519, false, 0}}},
		"rsa-sha256-ike:ecdsa":  {Chain: []Scheme{{RSA, false, SHA256}}, IKE: []Scheme{{ECDSA, false, 0}}},
		"rsa-sha256-ecdsa-sha1": {Chain: []Scheme{{RSA, false, SHA256}, {ECDSA, false, SHA1}}, IKE: []Scheme{{RSA, false, SHA256}, {ECDSA, false, SHA1}}},
		"pubkey-sha384": {Chain: []Scheme{{RSA, false, SHA384}, {RSA, true, SHA384}, {ECDSA, false, SHA384}, {Ed25519, false, Identity}},
			IKE: []Scheme{{RSA, false, SHA384}, {RSA, true, SHA384}, {ECDSA, false, SHA384}, {Ed25519, false, Identity}}},
	} {
		got, err := ParseConstraints(text)
		require.NoError(t, err, text)
		want.Text = text
		require.Equal(t, want, got, text)
	}
	for _, bad := range []string{"", "sha256", "rsa-md5", "2048", "ecdsa-7", "ike:", "rsa--sha256"} {
		_, err := ParseConstraints(bad)
		require.Error(t, err, bad)
	}
}

func TestConstraintsDecide(t *testing.T) {
	c, err := ParseConstraints("ike:rsa/pss-sha256-ecdsa")
	require.NoError(t, err)
	require.NoError(t, c.CheckIKE(Scheme{RSA, true, SHA256}))
	require.NoError(t, c.CheckIKE(Scheme{ECDSA, false, SHA512}))
	require.Error(t, c.CheckIKE(Scheme{RSA, false, SHA256}))
	require.Error(t, c.CheckIKE(Scheme{RSA, true, SHA384}))
	require.NoError(t, Constraints{}.CheckIKE(Scheme{RSA, false, SHA1}))
}
