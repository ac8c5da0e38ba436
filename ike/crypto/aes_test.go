package crypto

import (
	"crypto/aes"
	"encoding/hex"
	"hash"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

// RFC 4493 section 4, RFC 3566 section 4.
func TestAESMACVectors(t *testing.T) {
	un := func(s string) []byte {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return b
	}
	count := un("000102030405060708090a0b0c0d0e0f10111213")
	text := un("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411")
	cmac := un("2b7e151628aed2a6abf7158809cf4f3c")
	for _, v := range []struct {
		mac      func([]byte) hash.Hash
		key, msg []byte
		want     string
	}{
		{newCMAC, cmac, nil, "bb1d6929e95937287fa37d129b756746"},
		{newCMAC, cmac, text[:16], "070a16b46b4d4144f79bdd9dd04a287c"},
		{newCMAC, cmac, text, "dfa66747de9ae63030ca32611497c827"},
		{newXCBC, count[:16], nil, "75f0251d528ac01c4573dfd584d79f29"},
		{newXCBC, count[:16], count[:3], "5b376580ae2f19afe7219ceef172756f"},
		{newXCBC, count[:16], count[:16], "d2a246fa349b68a79998a4394ff7a263"},
		{newXCBC, count[:16], count, "47f51b4564966215b8985c63055ed308"},
		// RFC 4434 section 4.1 and RFC 4615 section 4: keys of other lengths.
		{prfXCBC, count[:10], count, "0fa087af7d866e7653434e602fdde835"},
		{prfXCBC, un("000102030405060708090a0b0c0d0e0fedcb"), count, "8cd3c93ae598a9803006ffb67c40e9e4"},
		{prfCMAC, un("000102030405060708090a0b0c0d0e0fedcb"), count, "84a348a4a45d235babfffc0d2b4da09a"},
	} {
		h := v.mac(v.key)
		for _, b := range v.msg {
			h.Write([]byte{b})
		}
		require.Equal(t, v.want, hex.EncodeToString(h.Sum(nil)))
		h.Reset()
		h.Write(v.msg)
		require.Equal(t, v.want, hex.EncodeToString(h.Sum(nil)), "after Reset, in one piece")
	}
}

// Every cipher and every integrity algorithm protects a message, and notices a
// changed octet.
func TestEveryCipherProtects(t *testing.T) {
	for _, p := range []string{
		"aes128ctr-sha256-ecp256", "aes256ctr-aesxcbc-ecp256", "aes128-aesxcbc-ecp256", "aes256-aescmac-ecp256",
		"aes128ccm8-prfaesxcbc-ecp256", "aes192ccm12-prfaescmac-ecp256", "aes256ccm16-prfsha256-ecp256",
	} {
		ps, err := ParseProposal(message.ProtocolIKE, p)
		require.NoError(t, err)
		s, err := SuiteOf(ps[0])
		require.NoError(t, err)
		ni, nr := make([]byte, 32), make([]byte, 32)
		k, err := DeriveIKE(s, []byte("secret"), ni, nr, 1, 2)
		require.NoError(t, err)
		i, err := NewProtector(s, k, true, nil)
		require.NoError(t, err)
		r, err := NewProtector(s, k, false, nil)
		require.NoError(t, err)
		h := message.Header{SPIi: 1, SPIr: 2, Exchange: message.Informational, Flags: message.FlagInitiator}
		for n := range 40 {
			b, err := i.Seal(h, []message.Payload{&message.Notify{NotifyType: message.Cookie2, Data: make([]byte, n)}})
			require.NoError(t, err)
			m, err := r.Open(b)
			require.NoError(t, err, p)
			require.Len(t, m.Notify(message.Cookie2).Data, n)
			b[len(b)-1-n%8] ^= 1
			_, err = r.Open(b)
			require.ErrorIs(t, err, ErrIntegrity, p)
		}
	}
}

func TestCCMAgainstItsDefinition(t *testing.T) {
	block, err := aes.NewCipher(make([]byte, 16))
	require.NoError(t, err)
	c := &ccm{block, 16}
	nonce := make([]byte, ccmNonce)
	sealed := c.Seal(nil, nonce, []byte("text"), make([]byte, 70000))
	plain, err := c.Open(nil, nonce, sealed, make([]byte, 70000))
	require.NoError(t, err)
	require.Equal(t, "text", string(plain))
	_, err = c.Open(nil, nonce, sealed[:15], nil)
	require.ErrorIs(t, err, ErrIntegrity)
}
