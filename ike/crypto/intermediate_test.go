package crypto

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

// IntAuth (RFC 9242 section 3.3.2) against a computation from octets written out.
func TestIntermediateAuth(t *testing.T) {
	prf, err := NewPRF(message.PRFHMACSHA256)
	require.NoError(t, err)
	var a IntermediateAuth
	require.Nil(t, a.Octets(1), "no exchange, nothing added")
	h := message.Header{SPIi: 1, SPIr: 2, Exchange: message.IKEIntermediate, Flags: message.FlagInitiator, MessageID: 1,
		NextPayload: message.TypeSKF, Length: 4711} // as fragments have it
	require.NoError(t, a.Add(prf, []byte("pi"), h, Inner{First: message.TypeKE, Payloads: []byte("\x00\x00\x00\x0aABCDEF")}))
	h.Flags = message.FlagResponse
	require.NoError(t, a.Add(prf, []byte("pr"), h, Inner{First: message.TypeKE, Payloads: []byte("\x00\x00\x00\x08abcd")}))
	h.Flags, h.MessageID = message.FlagInitiator, 2
	require.NoError(t, a.Add(prf, []byte("pi2"), h, Inner{}))

	sum := func(key string, parts ...string) []byte {
		m := hmac.New(sha256.New, []byte(key))
		for _, p := range parts {
			b, err := hex.DecodeString(p)
			require.NoError(t, err)
			m.Write(b)
		}
		return m.Sum(nil)
	}
	const spis = "0000000000000001" + "0000000000000002"
	i1 := sum("pi", spis+"2e202b08"+"00000001"+"0000002a", "2200000e", "0000000a414243444546")
	r1 := sum("pr", spis+"2e202b20"+"00000001"+"00000028", "2200000c", "0000000861626364")
	i2 := sum("pi2", hex.EncodeToString(i1), spis+"2e202b08"+"00000002"+"00000020", "00000004")
	want := append(append(i2, r1...), 0, 0, 0, 3)
	require.Equal(t, want, a.Octets(3))
}

func TestReassemblerKeepsInner(t *testing.T) {
	for _, size := range []int{0, 300} {
		i, r := pair(t, "aes128gcm16-prfsha256-x25519")
		ps := []message.Payload{&message.KE{Method: message.KEMLKEM768, Data: make([]byte, 1184)}}
		first, plain, err := message.AppendPayloads(nil, ps)
		require.NoError(t, err)
		bs, err := i.SealFragments(message.Header{SPIi: 1, SPIr: 2, Exchange: message.IKEIntermediate, Flags: message.FlagInitiator, MessageID: 1}, ps, size, false)
		require.NoError(t, err)
		asm := Reassembler{Inner: &Inner{}}
		var msg *message.Message
		for _, b := range bs {
			msg, err = asm.Handle(r, b)
			require.NoError(t, err)
		}
		require.NotNil(t, msg)
		require.Equal(t, Inner{First: first, Payloads: plain}, *asm.Inner)
	}
}
