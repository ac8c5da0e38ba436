package eap

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/log"
)

// scripted is a method that answers with its replies in order.
type scripted struct {
	typ     Type
	replies []Reply
	err     error
	calls   int
	closed  int
	size    int
	msk     []byte
}

func (s *scripted) Type() Type { return s.typ }
func (s *scripted) Handle(Packet) (Reply, error) {
	s.calls++
	if s.err != nil {
		return Reply{}, s.err
	}
	r := s.replies[0]
	if len(s.replies) > 1 {
		s.replies = s.replies[1:]
	}
	return r, nil
}
func (s *scripted) Close()                { s.closed++ }
func (s *scripted) SetFragmentSize(n int) { s.size = n }
func (s *scripted) MSK() []byte           { return s.msk }
func (s *scripted) SessionID() []byte     { return nil }

func offer(s *scripted) Offer {
	return Offer{Type: s.typ, New: func() (Method, error) { return s, nil }}
}

func req(t *testing.T, id uint8, typ Type, data string) []byte {
	b, err := Packet{Code: CodeRequest, ID: id, Type: typ, Data: []byte(data)}.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

var (
	success = []byte{3, 9, 0, 4}
	failure = []byte{4, 9, 0, 4}
)

func TestPeerConversation(t *testing.T) {
	var buf bytes.Buffer
	m := &scripted{typ: TypeTTLS, msk: make([]byte, 64), replies: []Reply{
		{Data: []byte("one")}, {Data: []byte("two"), Decision: DecisionMaySucceed},
	}}
	p := NewPeer(Config{Identity: "carol", Methods: []Offer{offer(m)}, Logger: log.NewWriter(&buf, slog.LevelInfo)})
	p.SetFragmentSize(2000)
	require.Equal(t, TypeNone, p.Method())

	for _, step := range []struct {
		in   []byte
		want string
	}{
		{req(t, 1, TypeIdentity, "who"), "\x02\x01\x00\x0a\x01carol"},
		{req(t, 2, TypeNotification, "hello\n"), "\x02\x02\x00\x05\x02"},
		{req(t, 3, TypeMSCHAPv2, "x"), "\x02\x03\x00\x06\x03\x15"},
		{req(t, 4, TypeTTLS, "x"), "\x02\x04\x00\x08\x15one"},
		{req(t, 4, TypeTTLS, "x"), "\x02\x04\x00\x08\x15one"}, // repeated
		{req(t, 4, TypeTTLS, "y"), "\x02\x04\x00\x08\x15two"}, // the same identifier by chance
	} {
		out, status, err := p.Handle(step.in)
		require.NoError(t, err)
		require.Equal(t, StatusContinue, status)
		require.Equal(t, step.want, string(out))
	}
	require.Equal(t, 2, m.calls)
	require.Equal(t, 2000, m.size)
	out, status, err := p.Handle(success)
	require.NoError(t, err)
	require.Nil(t, out)
	require.Equal(t, StatusSuccess, status)
	require.Len(t, p.MSK(), 64)
	_, status, err = p.Handle(success)
	require.ErrorIs(t, err, errEnded)
	require.Equal(t, StatusFailure, status)
	p.Close()
	require.Equal(t, 1, m.closed)
	require.Equal(t, `[IKE] server requested EAP_IDENTITY (id 0x01), sending 'carol'
[IKE] received EAP_NOTIFICATION: "hello\n"
[IKE] requesting EAP_TTLS authentication, sending EAP_NAK
[IKE] server requested EAP_TTLS authentication (id 0x04)
[IKE] EAP method EAP_TTLS succeeded, MSK established
`, buf.String())
}

func TestPeerFailures(t *testing.T) {
	boom := errors.New("boom")
	may := Reply{Decision: DecisionMaySucceed}
	for name, c := range map[string]struct {
		method  *scripted
		packets [][]byte
		is      error
		says    string
	}{
		"success first":      {nil, [][]byte{success}, errNoMethod, ""},
		"success early":      {&scripted{replies: []Reply{{}}}, [][]byte{req(t, 1, TypeTTLS, ""), success}, ErrEarly, "keys"},
		"failure first":      {nil, [][]byte{failure}, ErrNoMethodOffered, `identity "carol"`},
		"failure after id":   {nil, [][]byte{req(t, 1, TypeIdentity, ""), failure}, ErrIdentityRefused, `does not accept the EAP identity "carol"`},
		"failure after nak":  {nil, [][]byte{req(t, 1, TypeSIM, ""), failure}, ErrNoCommonMethod, "not configured"},
		"failure":            {&scripted{replies: []Reply{may}}, [][]byte{req(t, 1, TypeTTLS, ""), failure}, ErrFailure, "EAP_TTLS"},
		"method error":       {&scripted{err: boom}, [][]byte{req(t, 1, TypeTTLS, "")}, boom, "EAP_TTLS: boom"},
		"last words":         {&scripted{replies: []Reply{{Err: boom, Decision: DecisionMaySucceed}}}, [][]byte{req(t, 1, TypeTTLS, ""), failure}, boom, ""},
		"last words success": {&scripted{replies: []Reply{{Err: boom, Decision: DecisionMaySucceed}}}, [][]byte{req(t, 1, TypeTTLS, ""), success}, boom, ""},
		"switch":             {&scripted{replies: []Reply{may}}, [][]byte{req(t, 1, TypeTTLS, ""), req(t, 2, TypeMD5, "")}, errSwitch, ""},
		"response":           {nil, [][]byte{{2, 1, 0, 5, 1}}, errNotRequest, ""},
		"nak request":        {nil, [][]byte{{1, 1, 0, 6, 3, 0}}, errNotRequest, ""},
		"garbage":            {nil, [][]byte{{1}}, nil, "decode"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Identity: "carol"}
			if c.method != nil {
				c.method.typ = TypeTTLS
				cfg.Methods = []Offer{offer(c.method)}
			}
			p := NewPeer(cfg)
			defer p.Close()
			for i, b := range c.packets {
				out, status, err := p.Handle(b)
				if i < len(c.packets)-1 {
					require.NoError(t, err)
					continue
				}
				require.Nil(t, out)
				require.Equal(t, StatusFailure, status)
				require.Error(t, err)
				if c.is != nil {
					require.ErrorIs(t, err, c.is)
				}
				require.Equal(t, strings.HasPrefix(name, "failure"), errors.Is(err, ErrFailure))
				require.ErrorContains(t, err, c.says)
			}
			require.Equal(t, DecisionFail, p.Decision())
		})
	}
}

func TestPeerSequence(t *testing.T) {
	a := &scripted{typ: TypeMD5, replies: []Reply{{Decision: DecisionMaySucceed}}}
	b := &scripted{typ: TypePT, replies: []Reply{{}}}
	p := NewPeer(Config{Identity: "carol", Sequence: true, Methods: []Offer{offer(a), offer(b)}})
	out, err := p.IdentityResponse()
	require.NoError(t, err)
	require.Equal(t, "\x02\x00\x00\x0a\x01carol", string(out))
	for i, typ := range []Type{TypeMD5, TypePT} {
		_, _, err := p.Handle(req(t, byte(i), typ, ""))
		require.NoError(t, err)
		require.Equal(t, typ, p.Method())
	}
	require.Equal(t, 1, a.closed)
	require.Equal(t, DecisionFail, p.Decision())
	p.Close()
	require.Equal(t, 1, b.closed)
}

func TestPeerEndsAnEndlessConversation(t *testing.T) {
	p := NewPeer(Config{})
	for i := range requestsMax {
		_, _, err := p.Handle(req(t, byte(i), TypeIdentity, ""))
		require.NoError(t, err)
	}
	_, _, err := p.Handle(req(t, 0x55, TypeIdentity, ""))
	require.ErrorIs(t, err, errManyRequest)
}

func FuzzPeer(f *testing.F) {
	f.Add([]byte{1, 1, 0, 5, 1, 1, 2, 0, 6, 21, 0x20, 3, 3, 0, 4})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := &scripted{typ: TypeTTLS, replies: []Reply{{Data: []byte("x")}}}
		p := NewPeer(Config{Identity: "carol", Methods: []Offer{offer(m)}})
		defer p.Close()
		for len(b) > 0 {
			out, status, err := p.Handle(b)
			if (status == StatusContinue) != (err == nil && out != nil) {
				t.Fatalf("%v %x %v", status, out, err)
			}
			if status == StatusSuccess {
				t.Fatal("success without a method that agrees")
			}
			b = b[min(len(b), 5):]
		}
	})
}
