package main

import (
	"encoding/binary"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// What C programs do with the library is tested in capi/capitest; here is what
// the race detector and the compiler can say of its Go side.

func TestHandles(t *testing.T) {
	table := handleTable{m: map[uintptr]any{}}
	a, b := table.add(1), table.add(2)
	require.NotZero(t, a)
	require.NotEqual(t, a, b)
	require.True(t, table.remove(a))
	require.False(t, table.remove(a))
	require.NotEqual(t, a, table.add(3), "no number twice")

	n := handles.add(&client{})
	defer handles.remove(n)
	require.NotNil(t, lookup[client](n))
	require.Nil(t, lookup[session](n))
	require.Nil(t, lookup[client](n+1000))
}

// slow is an IMC that others are called beside.
type slow struct {
	mu   sync.Mutex
	open map[uint32]bool
	bad  error
}

func (s *slow) Initialize(uint32, tnccs.TNCC) error { return nil }
func (s *slow) NotifyConnectionChange(c uint32, state tnccs.ConnectionState) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case tnccs.ConnectionCreate:
		s.open[c] = true
	case tnccs.ConnectionDelete:
		if !s.open[c] {
			s.bad = errors.New("a connection was deleted that is not there")
		}
		delete(s.open, c)
	}
	return nil
}
func (s *slow) BeginHandshake(uint32) error                { return nil }
func (s *slow) ReceiveMessage(uint32, tnccs.Message) error { return nil }
func (s *slow) BatchEnding(uint32) error                   { return nil }
func (s *slow) Terminate() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) > 0 {
		s.bad = errors.New("connections are open at the end")
	}
	return nil
}

// A client that ends while sessions are made, used and ended: each session is
// closed once, and before the IMCs.
func TestClientEndsUnderSessions(t *testing.T) {
	for range 20 {
		c, err := newClient(settings{}, &sink{})
		require.NoError(t, err)
		imc := &slow{open: map[uint32]bool{}}
		require.NoError(t, c.tnc.Add("slow", imc))
		var wg sync.WaitGroup
		started := make(chan struct{}, 1000)
		for range 8 {
			wg.Go(func() {
				for {
					n, err := c.newSession(2, 0)
					if err != nil {
						if !errors.Is(err, errNoClient) {
							t.Error(err)
						}
						return
					}
					select {
					case started <- struct{}{}:
					default:
					}
					if s := lookup[session](n); s != nil {
						s.mu.Lock()
						if !s.closed {
							_, err = s.tnc.Begin(0, "", "")
						}
						s.mu.Unlock()
						if err != nil {
							t.Error(err)
						}
						_ = over(s.tnc.Outcome())
						s.close()
					}
				}
			})
		}
		for range 20 {
			<-started
		}
		c.close()
		wg.Wait()
		require.NoError(t, imc.bad)
		require.Empty(t, imc.open)
		_, err = c.newSession(2, 0)
		require.ErrorIs(t, err, errNoClient)
	}
}

func TestOver(t *testing.T) {
	require.False(t, over(tnccs.Outcome{State: pb.Decided, Protocol: tnccs.ProtocolPB}))
	require.True(t, over(tnccs.Outcome{State: pb.Decided, Protocol: tnccs.ProtocolXML}))
	require.True(t, over(tnccs.Outcome{State: pb.End}))
	require.False(t, over(tnccs.Outcome{}))
}

// What IMCs learn of each transport, and the sizes that the header names.
func TestTransports(t *testing.T) {
	c, err := newClient(settings{}, &sink{})
	require.NoError(t, err)
	defer c.close()
	require.NoError(t, c.tnc.Add("slow", &slow{open: map[uint32]bool{}}))
	for transport, want := range map[int]struct {
		protocol, version string
		batch             int
	}{
		1: {"IF-T for Tunneled EAP", "1.1", 65522}, 2: {"IF-T for Tunneled EAP", "2.0", 65522}, 3: {"IF-T for TLS", "2.0", 2097136},
	} {
		var n uintptr
		for k := range transports {
			if int(k) == transport {
				n, err = c.newSession(k, 0)
			}
		}
		require.NoError(t, err)
		id := lookup[session](n).tnc.ID()
		get := func(a tnccs.AttributeID) string {
			v, r := c.tnc.GetAttribute(1, id, a)
			require.Equal(t, tnccs.ResultSuccess, r)
			return string(v)
		}
		require.Equal(t, want.protocol+"\x00", get(tnccs.AttributeIFTProtocol))
		require.Equal(t, want.version+"\x00", get(tnccs.AttributeIFTVersion))
		require.Equal(t, uint32(want.batch-pb.HeaderSize-pb.MessageOverhead-pb.PAOverhead), binary.BigEndian.Uint32([]byte(get(tnccs.AttributeMaxMessageSize))))
	}
}

func TestLogLevels(t *testing.T) {
	for l, want := range map[slog.Level]int{
		slog.LevelError + 4: 0, slog.LevelError: 0, slog.LevelWarn: 1, slog.LevelInfo: 2, slog.LevelInfo - 1: 3, log.LevelDetail: 3, slog.LevelDebug: 4, -100: 4,
	} {
		require.Equal(t, want, logLevel(l), "%v", l)
	}
	require.Nil(t, (&sink{}).logger(0))
}

func TestFindHelper(t *testing.T) {
	root := t.TempDir()
	lib := filepath.Join(root, "lib", "x86_64-linux-gnu", "libtnccs.so")
	put := func(path string, mode os.FileMode) string {
		path = filepath.Join(root, path)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, nil, mode))
		return path
	}
	found := func() string {
		p, err := findHelper(lib)
		if err != nil {
			require.ErrorIs(t, err, errNoHelper)
		}
		return p
	}
	put("lib/x86_64-linux-gnu/tnc", 0o644) // no program
	require.NotContains(t, found(), root)
	far := put("bin/tnc", 0o755)
	require.Equal(t, far, found())
	near := put("lib/bin/tnc", 0o755)
	require.Equal(t, near, found())
	require.NoError(t, os.Chmod(filepath.Join(root, "lib/x86_64-linux-gnu/tnc"), 0o755))
	require.Equal(t, filepath.Join(root, "lib/x86_64-linux-gnu/tnc"), found())
	p, err := findHelper("libtnccs.so") // where it lies is not known
	require.True(t, err == nil || errors.Is(err, errNoHelper))
	require.NotContains(t, p, root)
}
