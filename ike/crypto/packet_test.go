package crypto

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

var espSuites = []string{
	"aes128-sha1", "aes256-sha256", "aes128-sha384", "aes192-sha512-esn", "aes128gcm16", "aes256gcm16-esn", "aes128gcm12", "aes256gcm8",
	"chacha20poly1305",
}

func espPair(t testing.TB, name string) (Suite, *PacketCipher, *PacketCipher) {
	t.Helper()
	s := suiteOf(t, message.ProtocolESP, name)
	prf, err := NewPRF(message.PRFHMACSHA256)
	require.NoError(t, err)
	k, err := DeriveChild(prf, count(32), s, count(3), fill(32, 1), fill(32, 2))
	require.NoError(t, err)
	out, err := NewPacketCipher(s, k.Ei, k.Ai, nil)
	require.NoError(t, err)
	in, err := NewPacketCipher(s, k.Ei, k.Ai, nil)
	require.NoError(t, err)
	_, err = NewPacketCipher(s, k.Ei[1:], k.Ai, nil)
	require.Error(t, err)
	return s, out, in
}

func packet(c *PacketCipher, seq uint32, plain []byte) []byte {
	pkt := make([]byte, 8+c.IVSize()+len(plain)+c.ICVSize())
	binary.BigEndian.PutUint32(pkt, 0xc0000001)
	binary.BigEndian.PutUint32(pkt[4:], seq)
	copy(pkt[8+c.IVSize():], plain)
	return pkt
}

func TestPacketCipher(t *testing.T) {
	for _, name := range espSuites {
		t.Run(name, func(t *testing.T) {
			s, out, in := espPair(t, name)
			plain := count(16 * 9)
			pkt := packet(out, 7, plain)
			require.NoError(t, out.Seal(pkt, 5))
			require.False(t, bytes.Contains(pkt, plain[:16]))
			sealed := bytes.Clone(pkt)
			got, err := in.Open(pkt, 5)
			require.NoError(t, err)
			require.Equal(t, plain, got)
			_, err = in.Open(bytes.Clone(sealed), 6)
			require.Equal(t, s.ESN, err != nil, "the high half counts with ESN only")

			for at := range sealed {
				bad := bytes.Clone(sealed)
				bad[at] ^= 4
				_, err := in.Open(bad, 5)
				require.ErrorIs(t, err, ErrIntegrity)
			}
			for n := range sealed {
				_, err := in.Open(bytes.Clone(sealed[:n]), 5)
				require.ErrorIs(t, err, ErrIntegrity)
			}
			require.ErrorIs(t, out.Seal(packet(out, 0, plain), 0), ErrExhausted)
			require.Error(t, out.Seal(packet(out, 1, plain[:15]), 0))
			require.Error(t, out.Seal(nil, 0))
			require.Zero(t, 16%out.BlockSize())
			require.Equal(t, 8+out.IVSize()+2+out.ICVSize(), out.Overhead())

			if name != "aes256gcm8" {
				allocs := testing.AllocsPerRun(50, func() {
					copy(pkt, sealed)
					if err := out.Seal(pkt, 5); err != nil {
						t.Fatal(err)
					}
					if _, err := in.Open(pkt, 5); err != nil {
						t.Fatal(err)
					}
				})
				require.Zero(t, allocs)
			}
			out.Zero()
			in.Zero()
			require.Error(t, out.Seal(packet(out, 1, plain), 0))
			_, err = in.Open(bytes.Clone(sealed), 5)
			require.ErrorIs(t, err, ErrIntegrity)
		})
	}
	s := suiteOf(t, message.ProtocolIKE, "aes128gcm16-prfsha256-x25519")
	_, err := NewPacketCipher(s, make([]byte, 20), nil, nil)
	require.ErrorIs(t, err, ErrUnsupported)
}

func FuzzPacketCipherOpen(f *testing.F) {
	_, _, gcm := espPair(f, "aes128gcm16")
	_, _, cbc := espPair(f, "aes256-sha256")
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = gcm.Open(bytes.Clone(b), 0)
		_, _ = cbc.Open(bytes.Clone(b), 0)
	})
}

func BenchmarkPacketCipher(b *testing.B) {
	for _, name := range []string{"aes128gcm16", "chacha20poly1305", "aes256-sha256"} {
		b.Run(name, func(b *testing.B) {
			_, out, _ := espPair(b, name)
			pkt := packet(out, 1, make([]byte, 1408))
			b.SetBytes(1408)
			b.ReportAllocs()
			for b.Loop() {
				_ = out.Seal(pkt, 0)
			}
		})
	}
}
