package pttls

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/log"
)

func encode(t testing.TB, typ Type, v encoder) Message {
	t.Helper()
	b, err := v.AppendBinary(nil)
	require.NoError(t, err)
	return Message{Type: typ, Value: b}
}

func version(t testing.TB, v uint8) Message {
	return encode(t, TypeVersionResponse, VersionResponse{v})
}
func offer(t testing.TB, ms ...string) Message {
	return encode(t, TypeSASLMechanisms, Mechanisms(ms))
}
func outcome(t testing.TB, c SASLCode) Message {
	return encode(t, TypeSASLResult, SASLResult{Code: c})
}

func newNegotiation(secret string, external bool) *negotiation {
	n := &negotiation{identity: "carol", external: external, log: log.Discard()}
	if secret != "" {
		n.secret = []byte(secret)
	}
	n.start()
	return n
}

// selected returns the mechanism that out chooses.
func selected(t *testing.T, out []Message) string {
	t.Helper()
	require.Len(t, out, 1)
	require.True(t, out[0].Is(TypeSASLSelection))
	v := out[0].Value
	ms, err := ParseMechanisms(v[:1+v[0]])
	require.NoError(t, err)
	require.Len(t, ms, 1)
	return ms[0]
}

// reported returns the error that out reports.
func reported(t *testing.T, out []Message) Code {
	t.Helper()
	require.Len(t, out, 1)
	require.True(t, out[0].Is(TypeError))
	e, err := ParseError(out[0].Value)
	require.NoError(t, err)
	return e.Code
}

func TestNegotiationWithoutAuthentication(t *testing.T) {
	n := newNegotiation("", false)
	for _, m := range []Message{version(t, 1), offer(t)} {
		out, err := n.handle(m)
		require.NoError(t, err)
		assert.Empty(t, out)
	}
	assert.Equal(t, transporting, n.phase)
}

func TestNegotiationWithPlain(t *testing.T) {
	for _, short := range []bool{true, false} {
		n := newNegotiation("pw", false)
		_, err := n.handle(version(t, 1))
		require.NoError(t, err)
		out, err := n.handle(offer(t, "SCRAM-SHA-256", "PLAIN"))
		require.NoError(t, err)
		assert.Equal(t, "PLAIN", selected(t, out))
		assert.Contains(t, string(out[0].Value), "\x00carol\x00pw")
		_, err = n.handle(encode(t, TypeSASLResult, SASLResult{Short: short}))
		require.NoError(t, err)
		_, err = n.handle(offer(t))
		require.NoError(t, err)
		assert.Equal(t, transporting, n.phase)
	}
}

func TestExternalComesFirstAndPlainAfterItsFailure(t *testing.T) {
	for _, code := range []SASLCode{SASLFailure, SASLMechanismFailure} {
		n := newNegotiation("pw", true)
		_, err := n.handle(version(t, 1))
		require.NoError(t, err)
		out, err := n.handle(offer(t, "PLAIN", "EXTERNAL"))
		require.NoError(t, err)
		assert.Equal(t, "EXTERNAL", selected(t, out))
		out, err = n.handle(outcome(t, code))
		require.NoError(t, err)
		assert.Equal(t, "PLAIN", selected(t, out))
		out, err = n.handle(outcome(t, SASLSuccess))
		require.NoError(t, err)
		assert.Empty(t, out)
	}
}

func TestNegotiationRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		secret string
		script []Message
		code   Code // that is reported; 0 = none
		cause  error
	}{
		"version too high":            {"pw", []Message{version(t, 2)}, CodeVersionNotSupported, nil},
		"version cut":                 {"pw", []Message{{Type: TypeVersionResponse, Value: []byte{0, 0, 0}}}, CodeMalformed, nil},
		"list before the version":     {"pw", []Message{offer(t)}, CodeInvalidMessage, nil},
		"batch before the empty list": {"pw", []Message{version(t, 1), {Type: TypeBatch}}, CodeInvalidMessage, nil},
		"experimental":                {"pw", []Message{{Type: TypeExperimental}}, CodeInvalidMessage, nil},
		"second version":              {"pw", []Message{version(t, 1), version(t, 1)}, CodeInvalidMessage, nil},
		"request of the server":       {"pw", []Message{encode(t, TypeVersionRequest, VersionRequest{1, 1, 1})}, CodeInvalidMessage, nil},
		"result without an exchange":  {"pw", []Message{version(t, 1), outcome(t, 0)}, CodeInvalidMessage, nil},
		"no password":                 {"", []Message{version(t, 1), offer(t, "PLAIN")}, CodeSASLMechanism, ErrNoCredentials},
		"unknown mechanism":           {"pw", []Message{version(t, 1), offer(t, "GSSAPI")}, CodeSASLMechanism, ErrNoCredentials},
		"challenge in PLAIN":          {"pw", []Message{version(t, 1), offer(t, "PLAIN"), {Type: TypeSASLAuthentication}}, CodeSASLMechanism, nil},
		"failure":                     {"pw", []Message{version(t, 1), offer(t, "PLAIN"), outcome(t, SASLFailure)}, CodeSASLMechanism, ErrAuthentication},
		"mechanism failure":           {"pw", []Message{version(t, 1), offer(t, "PLAIN"), outcome(t, SASLMechanismFailure)}, CodeSASLMechanism, ErrAuthentication},
		"abort":                       {"pw", []Message{version(t, 1), offer(t, "PLAIN"), outcome(t, SASLAbort)}, 0, ErrAuthentication},
		"unknown result":              {"pw", []Message{version(t, 1), offer(t, "PLAIN"), outcome(t, 9)}, CodeInvalidParameter, nil},
		"PLAIN twice":                 {"pw", []Message{version(t, 1), offer(t, "PLAIN"), outcome(t, 0), offer(t, "PLAIN")}, CodeSASLMechanism, ErrAuthentication},
		"malformed list":              {"pw", []Message{version(t, 1), {Type: TypeSASLMechanisms, Value: []byte{9, 'A'}}}, CodeMalformed, nil},
		"empty result":                {"pw", []Message{version(t, 1), offer(t, "PLAIN"), {Type: TypeSASLResult}}, CodeMalformed, nil},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNegotiation(c.secret, false)
			var out []Message
			var err error
			for i, m := range c.script {
				out, err = n.handle(m)
				if i < len(c.script)-1 {
					require.NoError(t, err)
				}
			}
			require.Error(t, err)
			assert.Equal(t, failed, n.phase)
			if c.cause != nil {
				assert.ErrorIs(t, err, c.cause)
			}
			if c.code == 0 {
				assert.Empty(t, out)
			} else {
				assert.Equal(t, c.code, reported(t, out))
			}
			assert.NotContains(t, err.Error(), "pw")
		})
	}
}

// Types that are not known are no reason to stop; errors are never answered.
func TestUnknownTypesAndErrors(t *testing.T) {
	n := newNegotiation("", false)
	out, err := n.handle(Message{Type: 9, ID: 0x4d})
	require.NoError(t, err)
	assert.Equal(t, CodeTypeNotSupported, reported(t, out))
	assert.Equal(t, unhex(t, "00 000000 00000003 00 000000 00000009 00000010 0000004d"), out[0].Value, "the message comes back in the error")
	out, err = n.handle(Message{Vendor: 0x902a, Type: 1})
	require.NoError(t, err)
	assert.Equal(t, CodeTypeNotSupported, reported(t, out))

	for _, c := range []Code{CodeReserved, CodeTypeNotSupported} {
		out, err = n.handle(encode(t, TypeError, Error{Code: c}))
		require.NoError(t, err)
		assert.Empty(t, out)
	}
	out, err = n.handle(encode(t, TypeError, Error{Code: CodeInvalidMessage}))
	var pe *PeerError
	require.ErrorAs(t, err, &pe)
	assert.Equal(t, CodeInvalidMessage, pe.Received.Code)
	assert.Empty(t, out)
	n = newNegotiation("", false)
	out, err = n.handle(Message{Type: TypeError, Value: []byte{1}})
	require.ErrorAs(t, err, &pe)
	assert.Empty(t, out)

	n = newNegotiation("", false)
	for i := range maxIgnored + 1 {
		_, err = n.handle(Message{Type: 100})
		if i < maxIgnored {
			require.NoError(t, err)
		}
	}
	require.Error(t, err, "but not for ever")
}

// Any sequence of messages: the machine goes forward only, answers each error
// once, and gives the password away only to a server that offers PLAIN.
func FuzzNegotiation(f *testing.F) {
	add := func(ms ...Message) {
		var b []byte
		for _, m := range ms {
			b, _ = m.AppendBinary(b)
		}
		f.Add(b)
	}
	add(version(f, 1), offer(f, "PLAIN"), outcome(f, 0), offer(f))
	add(version(f, 1), offer(f, "EXTERNAL", "PLAIN"), outcome(f, 1), outcome(f, 0), offer(f))
	add(Message{Type: 9}, version(f, 2))
	f.Fuzz(func(t *testing.T, b []byte) {
		n := newNegotiation("pw", len(b)%2 == 0)
		at := n.phase
		for len(b) >= HeaderSize {
			m, value, err := parseHeader(b[:HeaderSize], maxNegotiation)
			if err != nil || value > len(b)-HeaderSize {
				return
			}
			m.Value, b = b[HeaderSize:HeaderSize+value], b[HeaderSize+value:]
			out, err := n.handle(m)
			errorsSent := 0
			for _, o := range out {
				if o.Is(TypeError) {
					errorsSent++
				} else {
					require.True(t, o.Is(TypeSASLSelection))
					require.Contains(t, []phase{exchanging}, n.phase)
				}
			}
			require.LessOrEqual(t, errorsSent, 1)
			if m.Is(TypeError) {
				require.Empty(t, out)
			}
			var pe *ProtocolError
			if errors.As(err, &pe) {
				require.Equal(t, 1, errorsSent)
			}
			if err != nil {
				require.Equal(t, failed, n.phase)
				return
			}
			legal := n.phase >= at || at == exchanging && n.phase == mechanisms
			require.True(t, legal, "%s to %s", at, n.phase)
			at = n.phase
			if at == transporting {
				return
			}
		}
	})
}
