package crypto

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/wire"
)

var ikeSuites = []string{
	"aes128-sha1-modp2048", "aes256-sha256-x25519", "aes192-sha384-x25519", "aes256-sha512-x25519",
	"aes128gcm16-prfsha256-x25519", "aes256gcm12-prfsha256-x25519", "aes256gcm8-prfsha384-x25519", "chacha20poly1305-prfsha512-x25519",
}

func pair(t testing.TB, name string) (i, r *Protector) {
	t.Helper()
	s := suiteOf(t, message.ProtocolIKE, name)
	k, err := DeriveIKE(s, count(32), fill(32, 1), fill(32, 2), 3, 4)
	require.NoError(t, err)
	i, err = NewProtector(s, k, true, nil)
	require.NoError(t, err)
	r, err = NewProtector(s, k, false, nil)
	require.NoError(t, err)
	k.Zero() // they hold copies
	return i, r
}

func eapOf(n int) *message.EAP {
	b := bytes.Repeat([]byte("tnc!"), n/4+1)[:n]
	b[0], b[1] = 2, 7
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	return &message.EAP{Packet: b}
}

var authHeader = message.Header{SPIi: 3, SPIr: 4, Exchange: message.IKEAuth, Flags: message.FlagInitiator, MessageID: 2}

func TestSealOpen(t *testing.T) {
	for _, name := range ikeSuites {
		t.Run(name, func(t *testing.T) {
			i, r := pair(t, name)
			for _, ps := range [][]message.Payload{nil, {eapOf(5)}, {eapOf(6)}, {&message.Notify{NotifyType: message.Cookie2, Data: count(33)}, eapOf(3000)}} {
				b, err := i.Seal(authHeader, ps)
				require.NoError(t, err)
				copied := bytes.Clone(b)
				m, err := r.Open(b)
				require.NoError(t, err)
				require.Equal(t, copied, b, "the datagram stays as it is")
				require.Equal(t, ps, m.Payloads)
				require.Equal(t, authHeader.MessageID, m.MessageID)
				_, err = i.Open(b)
				require.ErrorIs(t, err, ErrIntegrity, "reflected")

				outer, err := message.Parse(b)
				require.NoError(t, err)
				require.IsType(t, &message.SK{}, outer.Payloads[0])
				again, err := outer.AppendBinary(nil)
				require.NoError(t, err)
				require.Equal(t, b, again)
				b2, err := i.Seal(authHeader, ps)
				require.NoError(t, err)
				require.NotEqual(t, b, b2, "another IV")
			}
			b, err := i.Seal(authHeader, []message.Payload{eapOf(20)})
			require.NoError(t, err)
			for at := range b {
				for _, bit := range []byte{1, 0x80} {
					bad := bytes.Clone(b)
					bad[at] ^= bit
					_, err := r.Open(bad)
					var content *ContentError
					if at == 29 { // reserved bits of the generic header are authenticated too
						require.Error(t, err)
					}
					require.Error(t, err, at)
					require.NotErrorAs(t, err, &content)
				}
			}
			for n := range b {
				_, err := r.Open(b[:n])
				require.Error(t, err)
				short := bytes.Clone(b[:n])
				if n >= 32 { // with lengths that match
					binary.BigEndian.PutUint32(short[24:], uint32(n))
					binary.BigEndian.PutUint16(short[30:], uint16(n-28))
					_, err = r.Open(short)
					require.Error(t, err)
				}
			}
			i.Zero()
			r.Zero()
			_, err = i.Seal(authHeader, nil)
			require.Error(t, err)
			_, err = r.Open(b)
			require.Error(t, err)
		})
	}
}

func TestUnprotectedPayloadsAreDropped(t *testing.T) {
	// A payload in front of SK changes the header, so it must have been there
	// when the message was sealed; with CBC the ICV covers it.
	i, r := pair(t, "aes256-sha256-x25519")
	b, err := i.Seal(authHeader, []message.Payload{eapOf(20)})
	require.NoError(t, err)
	n := []byte{46, 0, 0, 8, 0, 0, 0x40, 0x00}
	c := append(bytes.Clone(b[:28]), n...)
	c = append(c, b[28:]...)
	c[16] = byte(message.TypeNotify)
	binary.BigEndian.PutUint32(c[24:], uint32(len(c)))
	_, err = r.Open(c)
	require.ErrorIs(t, err, ErrIntegrity)
	// The same with a right ICV.
	copy(c[len(c)-16:], i.out.tag(c[:len(c)-16], nil)[:16])
	m, err := r.Open(c)
	require.NoError(t, err)
	require.Equal(t, []message.Payload{eapOf(20)}, m.Payloads)
}

func TestContentErrors(t *testing.T) {
	i, r := pair(t, "aes256gcm16-prfsha256-x25519")
	var content *ContentError
	b, err := i.Seal(authHeader, []message.Payload{&message.Raw{PayloadType: 200, Critical: true}})
	require.NoError(t, err)
	_, err = r.Open(b)
	require.ErrorAs(t, err, &content)
	n := content.Notify()
	require.Equal(t, message.UnsupportedCriticalPayload, n.NotifyType)
	require.Equal(t, []byte{200}, n.Data)

	b, err = i.seal(authHeader, message.TypeSK, message.TypeNonce, nil, []byte{0, 0, 0, 5, 1})
	require.NoError(t, err)
	_, err = r.Open(b)
	require.ErrorAs(t, err, &content)
	require.Equal(t, message.InvalidSyntax, content.Notify().NotifyType)
	require.Equal(t, authHeader.MessageID, content.Header.MessageID)
	require.ErrorIs(t, err, wire.ErrLength)

	b, err = i.Seal(authHeader, []message.Payload{&message.SK{}})
	require.NoError(t, err)
	_, err = r.Open(b)
	require.ErrorAs(t, err, &content)
	require.ErrorIs(t, err, message.ErrOrder)

	// Authentic, with a pad length that is too large.
	e := i.out
	b, err = i.Seal(authHeader, nil)
	require.NoError(t, err)
	b[40] = 200
	require.NoError(t, e.seal(b, 32, b[:32], nil))
	_, err = r.Open(b)
	require.ErrorAs(t, err, &content)

	// No SK payload at all.
	m := message.Message{Header: authHeader, Payloads: []message.Payload{eapOf(20)}}
	b, err = m.AppendBinary(nil)
	require.NoError(t, err)
	_, err = r.Open(b)
	require.ErrorIs(t, err, ErrNotProtected)
}

func TestIVsNeverRepeat(t *testing.T) {
	i, _ := pair(t, "aes128gcm16-prfsha256-x25519")
	seen := map[string]bool{}
	for range 1000 {
		b, err := i.Seal(authHeader, nil)
		require.NoError(t, err)
		iv := string(b[32:40])
		require.False(t, seen[iv])
		seen[iv] = true
	}
	i.out.counter = ^uint64(0) - 1
	_, err := i.Seal(authHeader, nil)
	require.NoError(t, err)
	_, err = i.Seal(authHeader, nil)
	require.ErrorIs(t, err, ErrExhausted)
}

func TestFragments(t *testing.T) {
	for _, name := range ikeSuites {
		for _, ipv6 := range []bool{false, true} {
			for _, size := range []int{0, 576, 1500} {
				for _, n := range []int{5, 1000, 1150, 1200, 1201, 1202, 1203, 1204, 1280, 5000} {
					i, r := pair(t, name)
					ps := []message.Payload{eapOf(n)}
					frags, err := i.SealFragments(authHeader, ps, size, ipv6)
					require.NoError(t, err)
					limit := size
					if limit == 0 {
						limit = DefaultFragmentSize
					}
					limit -= 32
					if ipv6 {
						limit -= 20
					}
					re := &Reassembler{}
					var m *message.Message
					for k := len(frags) - 1; k >= 0; k-- { // backwards, each twice
						require.LessOrEqual(t, len(frags[k]), limit)
						require.Nil(t, m)
						m, err = re.Handle(r, frags[k])
						require.NoError(t, err)
						if m == nil {
							dup, err := re.Handle(r, frags[k])
							require.NoError(t, err)
							require.Nil(t, dup)
						}
					}
					require.NotNil(t, m)
					require.Equal(t, ps, m.Payloads)
					require.Equal(t, authHeader.MessageID, m.MessageID)
					if len(frags) > 1 {
						outer, err := message.Parse(frags[0])
						require.NoError(t, err)
						f := outer.Payloads[0].(*message.SKF)
						require.Equal(t, message.TypeEAP, f.Next)
						require.Equal(t, fmt.Sprintf("IKE_AUTH request 2 [ EF(1/%d) ]", len(frags)), outer.Summary())
						_, err = r.Open(frags[0])
						require.ErrorIs(t, err, ErrNotProtected)
						// Full fragments fill the datagram up to the block size.
						require.Greater(t, len(frags[0]), limit-16)
					}
				}
			}
		}
	}
}

func TestFragmentLimits(t *testing.T) {
	i, r := pair(t, "aes256gcm16-prfsha256-x25519")
	_, err := i.SealFragments(authHeader, []message.Payload{eapOf(5000)}, 80, false)
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = i.SealFragments(authHeader, []message.Payload{eapOf(60000)}, 300, false)
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = i.Seal(authHeader, []message.Payload{eapOf(65531)})
	require.ErrorIs(t, err, ErrTooLarge)

	re := &Reassembler{MaxOctets: 4000}
	frags, err := i.SealFragments(authHeader, []message.Payload{eapOf(5000)}, 0, false)
	require.NoError(t, err)
	failed := false
	for _, f := range frags {
		m, err := re.Handle(r, f)
		require.Nil(t, m)
		if err != nil {
			require.ErrorIs(t, err, ErrTooLarge)
			failed = true
		}
	}
	require.True(t, failed)
	whole, err := i.Seal(authHeader, []message.Payload{eapOf(5000)})
	require.NoError(t, err)
	_, err = re.Handle(r, whole)
	require.ErrorIs(t, err, ErrTooLarge)
	re.Reset()
}

func TestReassemblerRules(t *testing.T) {
	i, r := pair(t, "aes256gcm16-prfsha256-x25519")
	ps := []message.Payload{eapOf(3000)}
	at := func(id uint32, size int, flags message.Flags) [][]byte {
		h := authHeader
		h.MessageID, h.Flags = id, flags
		f, err := i.SealFragments(h, ps, size, false)
		require.NoError(t, err)
		require.Greater(t, len(f), 2)
		return f
	}
	re := &Reassembler{}
	feed := func(b []byte) *message.Message {
		m, err := re.Handle(r, b)
		require.NoError(t, err)
		return m
	}
	big, small := at(2, 1280, 0), at(2, 576, 0)
	require.Nil(t, feed(big[0]))
	require.Nil(t, feed(small[0]), "more fragments: anew")
	for _, f := range big {
		require.Nil(t, feed(f), "fewer fragments: dropped")
	}
	// Responses are collected beside requests.
	resp := at(1, 1280, message.FlagResponse)
	for k, f := range resp {
		require.Equal(t, k == len(resp)-1, feed(f) != nil)
	}
	for k, f := range small[1:] {
		require.Equal(t, k == len(small)-2, feed(f) != nil)
	}
	// Forged fragments change nothing.
	require.Nil(t, feed(big[0]))
	forged := at(3, 1280, 0)[0]
	forged[len(forged)-1] ^= 1
	_, err := re.Handle(r, forged)
	require.ErrorIs(t, err, ErrIntegrity)
	// An older message ID is dropped, a newer one replaces.
	require.Nil(t, feed(at(1, 1280, 0)[1]))
	require.Nil(t, feed(big[1]))
	newer := at(3, 1280, 0)
	require.Nil(t, feed(newer[2]))
	require.Nil(t, feed(big[2]))
	require.Nil(t, feed(newer[0]))
	require.NotNil(t, feed(newer[1]))

	// Numbers are checked before decryption.
	for _, v := range [][2]uint16{{0, 3}, {4, 3}, {1, 256}, {1, 0}} {
		bad := bytes.Clone(big[0])
		binary.BigEndian.PutUint16(bad[32:], v[0])
		binary.BigEndian.PutUint16(bad[34:], v[1])
		_, err := re.Handle(r, bad)
		require.ErrorIs(t, err, wire.ErrValue)
	}
	// Empty fragments complete as others do.
	e1, err := i.seal(authHeader, message.TypeSKF, 0, []byte{0, 1, 0, 2}, nil)
	require.NoError(t, err)
	e2, err := i.seal(authHeader, message.TypeSKF, 0, []byte{0, 2, 0, 2}, nil)
	require.NoError(t, err)
	re.Reset()
	require.Nil(t, feed(e1))
	require.Nil(t, feed(e1))
	require.Empty(t, feed(e2).Payloads)
}

func FuzzReassembler(f *testing.F) {
	i, _ := pair(f, "aes256-sha256-x25519")
	b, err := i.Seal(authHeader, []message.Payload{eapOf(20)})
	require.NoError(f, err)
	f.Add(b)
	frags, err := i.SealFragments(authHeader, []message.Payload{eapOf(2000)}, 0, false)
	require.NoError(f, err)
	f.Add(frags[0])
	_, r := pair(f, "aes256-sha256-x25519")
	f.Fuzz(func(t *testing.T, b []byte) {
		re := &Reassembler{}
		_, _ = re.Handle(r, b)
	})
}

// FuzzContent decodes plaintext as a peer may seal it.
func FuzzContent(f *testing.F) {
	f.Add(byte(48), []byte{0, 0, 0, 8, 3, 1, 0, 4})
	f.Fuzz(func(t *testing.T, first byte, plain []byte) {
		if len(plain) > 60000 {
			return
		}
		i, r := pair(t, "aes256gcm16-prfsha256-x25519")
		b, err := i.seal(authHeader, message.TypeSK, message.PayloadType(first), nil, plain)
		require.NoError(t, err)
		m, err := r.Open(b)
		if err != nil {
			var c *ContentError
			require.ErrorAs(t, err, &c)
			return
		}
		_ = m.Summary()
	})
}
