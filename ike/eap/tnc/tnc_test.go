package tnc

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/tlsframe"
	"github.com/gotnc/gotnc/ike/eap/internal/tncframe"
	"github.com/gotnc/gotnc/ike/eap/server"
	"github.com/gotnc/gotnc/internal/base/log"
)

type session struct {
	first []byte
	err   error
	got   [][]byte
	// the IF-T binding of Begin
	protocol, version string
}

func (s *session) Begin(_ int, protocol, version string) ([]byte, error) {
	s.protocol, s.version = protocol, version
	return s.first, s.err
}

func (s *session) Receive(b []byte) ([]byte, error) {
	s.got = append(s.got, b)
	if string(b) == "RESULT" {
		return nil, nil
	}
	return append([]byte("re:"), b...), s.err
}

func newMethod(t *testing.T, typ eap.Type, cfg Config) *Method {
	m, err := New(typ, cfg)
	require.NoError(t, err)
	t.Cleanup(m.Close)
	return m
}

// The start packets of both methods, and every flags octet that follows.
func TestPackets(t *testing.T) {
	for _, c := range []struct {
		typ   eap.Type
		start byte
		want  string
	}{{eap.TypePT, 0x81, "2.0"}, {eap.TypeTNC, 0x21, "1.1"}} {
		t.Run(c.typ.String(), func(t *testing.T) {
			var buf bytes.Buffer
			s := &session{first: []byte("CDATA")}
			m := newMethod(t, c.typ, Config{Session: s, Logger: log.NewWriter(&buf, slog.LevelInfo)})
			require.Equal(t, c.typ, m.Type())
			for _, step := range []struct{ in, want string }{
				{string(c.start), "\x01CDATA"},
				{"\x01SDATA", "\x01re:SDATA"},
				{"\x01", "\x01"}, {"\x00", "\x01"}, {"", "\x01"}, // the server has nothing to say
				{"\x01RESULT", "\x01"},
			} {
				in := []byte(step.in)
				if step.in == string(c.start) {
					in = []byte{c.start}
				}
				r, err := m.Handle(eap.Packet{Data: in})
				require.NoError(t, err)
				require.Equal(t, step.want, string(r.Data))
				require.Equal(t, eap.DecisionMaySucceed, r.Decision)
			}
			require.Equal(t, "IF-T for Tunneled EAP", s.protocol)
			require.Equal(t, c.want, s.version)
			require.Equal(t, [][]byte{[]byte("SDATA"), []byte("RESULT")}, s.got)
			require.Equal(t, "[TLS] "+c.typ.String()+" version is v1\n", buf.String())
			require.ErrorIs(t, m.Explain(), eap.ErrPolicy)
			_, err := m.Handle(eap.Packet{Data: []byte{c.start}})
			require.ErrorIs(t, err, errRestarted)
		})
	}
}

func TestErrors(t *testing.T) {
	boom := errors.New("boom")
	for name, c := range map[string]struct {
		typ     eap.Type
		session session
		packets []string
		want    error
	}{
		"PT no start":        {eap.TypePT, session{}, []string{"\x01x"}, errNotStarted},
		"TNC no start":       {eap.TypeTNC, session{}, []string{"\x01"}, errNotStarted},
		"PT start data":      {eap.TypePT, session{}, []string{"\x81x"}, tncframe.ErrStartData},
		"PT start version 0": {eap.TypePT, session{}, []string{"\x80"}, tncframe.ErrVersion},
		"PT version 2":       {eap.TypePT, session{}, []string{"\x81", "\x02x"}, tncframe.ErrVersion},
		"PT version 0":       {eap.TypePT, session{}, []string{"\x81", "\x00x"}, tncframe.ErrNoFlags},
		"TNC version 2":      {eap.TypeTNC, session{}, []string{"\x21", "\x02x"}, tlsframe.ErrVersion},
		"TNC too large":      {eap.TypeTNC, session{}, []string{"\x21", "\xc1\x00\x01\x24\xf9x"}, tlsframe.ErrTooLarge},
		"begin":              {eap.TypePT, session{err: boom}, []string{"\x81"}, boom},
		"batch too large":    {eap.TypeTNC, session{first: make([]byte, MaxBatch+1)}, []string{"\x21"}, tncframe.ErrBatch},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.session
			m := newMethod(t, c.typ, Config{Session: &s})
			var err error
			for i, p := range c.packets {
				// Octets, not runes: the strings above are escapes of octets.
				_, err = m.Handle(eap.Packet{Data: []byte(p)})
				if i < len(c.packets)-1 {
					require.NoError(t, err)
				}
			}
			require.ErrorIs(t, err, c.want)
		})
	}
	_, err := New(eap.TypeMD5, Config{Session: &session{}})
	require.ErrorIs(t, err, tncframe.ErrType)
	_, err = New(eap.TypePT, Config{})
	require.ErrorIs(t, err, errNoSession)
	_, err = server.NewTNC(eap.TypeTTLS, 0)
	require.ErrorIs(t, err, tncframe.ErrType)
	srv, err := server.NewTNC(eap.TypePT, 0)
	require.NoError(t, err)
	_, err = srv.Send(make([]byte, 65530))
	require.ErrorIs(t, err, tncframe.ErrBatch)
	_, err = srv.Send(make([]byte, 65529))
	require.NoError(t, err)
}

// A conversation with fragments both ways, and every packet within its size.
func TestFragments(t *testing.T) {
	s := &session{first: bytes.Repeat([]byte("c"), 60000)}
	m := newMethod(t, eap.TypeTNC, Config{Session: s, FragmentSize: 1300})
	srv, err := server.NewTNC(eap.TypeTNC, 1200)
	require.NoError(t, err)
	packet := srv.StartPacket()
	for range 1000 {
		r, err := m.Handle(eap.Packet{Data: packet})
		require.NoError(t, err)
		require.LessOrEqual(t, len(r.Data)+5, 1300)
		batch, next, whole, err := srv.Receive(r.Data)
		require.NoError(t, err)
		if !whole {
			packet = next
			continue
		}
		if len(s.got) == 0 {
			require.Equal(t, s.first, batch)
			packet, err = srv.Send(bytes.Repeat([]byte("s"), 30000))
			require.NoError(t, err)
			continue
		}
		require.Len(t, s.got[0], 30000)
		require.Len(t, batch, 30003)
		return
	}
	t.Fatal("conversation without end")
}

// choosy is a session that accepts the server after a number of batches.
type choosy struct {
	session
	after int
}

func (c *choosy) PeerVerdict() error {
	if len(c.got) < c.after {
		return errors.New("not measured yet")
	}
	return nil
}

// A session that has something against the server rules its Success out.
func TestSessionThatDoesNotAcceptTheServer(t *testing.T) {
	for _, typ := range []eap.Type{eap.TypeTNC, eap.TypePT} {
		m := newMethod(t, typ, Config{Session: &choosy{session{first: []byte("x")}, 2}})
		start := "\x21"
		if typ == eap.TypePT {
			start = "\x81"
		}
		for i, p := range []string{start, "\x01a", "\x01", "\x01b", "\x01"} {
			r, err := m.Handle(eap.Packet{Data: []byte(p)})
			require.NoError(t, err)
			require.Equal(t, i >= 3, r.Decision == eap.DecisionMaySucceed, "%d", i)
		}
	}
}

func TestMaxMessages(t *testing.T) {
	m := newMethod(t, eap.TypeTNC, Config{Session: &session{first: []byte("x")}, MaxMessages: 2})
	for _, p := range []string{"\x21", "\x01a"} {
		_, err := m.Handle(eap.Packet{Data: []byte(p)})
		require.NoError(t, err)
	}
	_, err := m.Handle(eap.Packet{Data: []byte("\x01a")})
	var many *eap.MessageCountError
	require.ErrorAs(t, err, &many)
	require.Equal(t, eap.MessageCountError{Type: eap.TypeTNC, Limit: 2}, *many)
}

// A server's fragments end at the largest message, whatever it announces.
func TestReassemblyIsBounded(t *testing.T) {
	for name, packets := range map[string][]string{
		"announced":     {"\x21", "\xc1\x7f\xff\xff\xff" + "x"},
		"beyond length": {"\x21", "\xc1\x00\x00\x00\x04ab", "\x41cd", "\x41ef"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMethod(t, eap.TypeTNC, Config{Session: &session{first: []byte("x")}})
			var err error
			for _, p := range packets {
				_, err = m.Handle(eap.Packet{Data: []byte(p)})
			}
			require.Error(t, err)
		})
	}
	// Without a length the fragments add up to the limit and no further.
	m := newMethod(t, eap.TypeTNC, Config{Session: &session{first: []byte("x")}})
	_, err := m.Handle(eap.Packet{Data: []byte("\x21")})
	require.NoError(t, err)
	chunk := append([]byte{0x41}, make([]byte, 10000)...)
	n := 0
	for ; n < 20; n++ {
		if _, err = m.Handle(eap.Packet{Data: chunk}); err != nil {
			break
		}
	}
	require.Error(t, err)
	require.LessOrEqual(t, n, tncframe.MessageMax/10000)
}

func FuzzMethod(f *testing.F) {
	f.Add([]byte{0x81}, []byte{1, 2}, true)
	f.Add([]byte{0x21}, []byte{0xc1, 0, 0, 0, 9, 1}, false)
	f.Fuzz(func(t *testing.T, a, b []byte, pt bool) {
		typ := eap.TypeTNC
		if pt {
			typ = eap.TypePT
		}
		m, err := New(typ, Config{Session: &session{first: []byte("x")}, FragmentSize: 64})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range [][]byte{a, b, b} {
			_, _ = m.Handle(eap.Packet{Data: d})
		}
	})
}
