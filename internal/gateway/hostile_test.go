package gateway_test

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/tnccs"
)

// flipped is messages with the last octet of each, which the MAC covers or is
// part of, changed.
func flipped(messages [][]byte) (out [][]byte) {
	for _, m := range messages {
		m = bytes.Clone(m)
		m[len(m)-1] ^= 1
		out = append(out, m)
	}
	return out
}

// forgedFragment is an SKF payload with header and numbers of an answer, that
// nothing protects.
func forgedFragment(like []byte, number, total uint16) []byte {
	b := bytes.Clone(like[:28])
	b[16] = byte(message.TypeSKF)
	b = append(b, byte(message.TypeEAP), 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, number)
	b = binary.BigEndian.AppendUint16(b, total)
	b = append(b, make([]byte, 1000)...)
	binary.BigEndian.PutUint16(b[30:], uint16(len(b)-28))
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	return b
}

func eapPacket(code byte, n int) *message.EAP {
	b := make([]byte, n)
	b[0], b[1] = code, 1
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	if n > 5 {
		b[4] = 21 // EAP-TTLS
	}
	return &message.EAP{Packet: b}
}

// A hostile gateway, or somebody on the path: each case ends with the right
// error or, where the answer of the true gateway comes through, with a
// connection. No goroutine is left (TestMain), nothing grows without end.
func TestHostileGateway(t *testing.T) {
	var earlier [][]byte // of the case "replayed"
	survives := error(nil)
	for _, c := range []struct {
		name    string
		faults  gateway.Faults
		rewrite func(a gateway.Answer) [][]byte
		want    error
	}{
		{name: "wrong MAC", want: ike.ErrNoAnswer, rewrite: func(a gateway.Answer) [][]byte { return flipped(a.Messages) }},
		{name: "wrong MAC, then the right one", want: survives, rewrite: func(a gateway.Answer) [][]byte { return append(flipped(a.Messages), a.Messages...) }},
		{name: "wrong MAC in the middle", want: ike.ErrNoAnswer, rewrite: func(a gateway.Answer) [][]byte {
			if a.N == 4 {
				return flipped(a.Messages)
			}
			return a.Messages
		}},
		{name: "replayed", want: survives, rewrite: func(a gateway.Answer) [][]byte {
			out := append(append([][]byte(nil), earlier...), a.Messages...)
			for _, m := range a.Messages {
				earlier = append(earlier, bytes.Clone(m))
			}
			return append(out, earlier...)
		}},
		{name: "oversized", want: survives, rewrite: func(a gateway.Answer) [][]byte {
			huge := append(bytes.Clone(a.Messages[0]), make([]byte, 60000)...)
			long := bytes.Clone(huge)
			binary.BigEndian.PutUint32(long[24:], uint32(len(long)))
			lying := bytes.Clone(a.Messages[0])
			binary.BigEndian.PutUint32(lying[24:], 1<<31)
			return append([][]byte{huge, long, lying}, a.Messages...)
		}},
		{name: "cut short", want: survives, rewrite: func(a gateway.Answer) [][]byte {
			m := a.Messages[0]
			var out [][]byte
			for n := 0; n < len(m); n += 1 + len(m)/50 {
				out = append(out, m[:n])
			}
			return append(out, a.Messages...)
		}},
		{name: "half-open after IKE_SA_INIT", faults: gateway.Faults{SilentAfter: 1}, want: ike.ErrNoAnswer},
		{name: "half-open within EAP", faults: gateway.Faults{SilentAfter: 5}, want: ike.ErrNoAnswer},
		{name: "wrong AUTH", faults: gateway.Faults{BadAuth: true}, want: ike.ErrGatewayAuth},
		{name: "EAP-Success at once", faults: gateway.Faults{EarlySuccess: true}, want: ike.ErrEAP},
		{name: "EAP-Success before the gateway proved itself", want: ike.ErrEAP, rewrite: func(a gateway.Answer) [][]byte {
			if a.N == 1 {
				return a.Seal(eapPacket(3, 4))
			}
			return a.Messages
		}},
		// It is discarded (RFC 3748 section 4.1), so that nothing is left to answer.
		{name: "EAP packet that lies about its length", want: ike.ErrNoAnswer, rewrite: func(a gateway.Answer) [][]byte {
			if a.N == 2 {
				p := eapPacket(1, 20)
				p.Packet[3] = 200
				return a.Seal(p)
			}
			return a.Messages
		}},
		{name: "forged fragments", want: survives, rewrite: func(a gateway.Answer) [][]byte {
			var out [][]byte
			for _, n := range [][2]uint16{{1, 65535}, {65535, 65535}, {0, 3}, {4, 3}, {1, 0}, {1, 1}} {
				out = append(out, forgedFragment(a.Messages[0], n[0], n[1]))
			}
			return append(out, a.Messages...)
		}},
		{name: "fragments beyond max_packet", want: crypto.ErrTooLarge, rewrite: func(a gateway.Answer) [][]byte {
			if a.N == 2 {
				return a.Seal(eapPacket(1, 60000))
			}
			return a.Messages
		}},
		{name: "fragments that never come to an end", want: ike.ErrNoAnswer, rewrite: func(a gateway.Answer) [][]byte {
			if a.N == 2 {
				m := a.Seal(eapPacket(1, 9000))
				return append(m[:len(m)-1], m[:len(m)-1]...)
			}
			return a.Messages
		}},
		{name: "an answer without a payload that is expected", want: ike.ErrProtocol, rewrite: func(a gateway.Answer) [][]byte {
			if a.N == 1 {
				return a.Seal(&message.Nonce{Data: make([]byte, 32)})
			}
			return a.Messages
		}},
		{name: "AUTH in place of EAP", want: ike.ErrProtocol, rewrite: func(a gateway.Answer) [][]byte {
			if a.N == 1 {
				return a.Seal(&message.Auth{Method: message.AuthSharedKey, Data: make([]byte, 32)})
			}
			return a.Messages
		}},
		{name: "AUTHENTICATION_FAILED", want: ike.ErrAuthFailed, rewrite: func(a gateway.Answer) [][]byte {
			if a.N == 1 {
				return a.Seal(&message.Notify{NotifyType: message.AuthenticationFailed})
			}
			return a.Messages
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, func(cfg *gateway.Config) {
				cfg.Faults = c.faults
				cfg.Faults.Rewrite = c.rewrite
			})
			out := w.connect(options{stay: c.want != nil, edit: func(cfg *ike.Config) {
				if c.want != nil {
					cfg.Retransmission = ike.Retransmission{Timeout: 40 * time.Millisecond, Base: 1, Tries: 3}
				}
			}})
			if c.want == nil {
				require.NoError(t, out.err)
				require.Equal(t, tnccs.RecommendAllow, out.tnc.Recommendation)
				return
			}
			require.ErrorIs(t, out.err, c.want)
			require.Nil(t, out.child)
		})
	}
}
