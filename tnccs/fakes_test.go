package tnccs

import (
	"bytes"
	"fmt"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// fake is an IMC that records its calls and does what the test says.
type fake struct {
	t     *testing.T
	calls []string
	id    uint32
	host  TNCC

	types    []uint32 // vendor, subtype, …
	init     func() error
	onNotify func(conn uint32, st ConnectionState) error
	onBegin  func(conn uint32) error
	onMsg    func(conn uint32, m Message) error
	onEnd    func(conn uint32) error
}

func (f *fake) note(format string, a ...any) { f.calls = append(f.calls, fmt.Sprintf(format, a...)) }

func (f *fake) Initialize(id uint32, host TNCC) error {
	f.note("Initialize")
	f.id, f.host = id, host
	if f.init != nil {
		if err := f.init(); err != nil {
			return err
		}
	}
	var vs, ss []uint32
	for i := 0; i+1 < len(f.types); i += 2 {
		vs, ss = append(vs, f.types[i]), append(ss, f.types[i+1])
	}
	require.Equal(f.t, ResultSuccess, host.ReportMessageTypesLong(id, vs, ss))
	return nil
}

func (f *fake) NotifyConnectionChange(conn uint32, st ConnectionState) error {
	f.note("%s", st)
	if f.onNotify != nil {
		return f.onNotify(conn, st)
	}
	return nil
}

func (f *fake) BeginHandshake(conn uint32) error {
	f.note("Begin")
	if f.onBegin != nil {
		return f.onBegin(conn)
	}
	return nil
}

func (f *fake) ReceiveMessage(conn uint32, m Message) error {
	f.note("Receive %x/%x %s", m.Vendor, m.Subtype, m.Data)
	if f.onMsg != nil {
		return f.onMsg(conn, m)
	}
	return nil
}

func (f *fake) BatchEnding(conn uint32) error {
	f.note("Ending")
	if f.onEnd != nil {
		return f.onEnd(conn)
	}
	return nil
}

func (f *fake) Terminate() error {
	f.note("Terminate")
	return nil
}

func (f *fake) send(conn uint32, vendor, subtype uint32, text string) Result {
	return f.host.SendMessageLong(f.id, conn, 0, []byte(text), vendor, subtype, AnyIMV)
}

func setup(t *testing.T, cfg Config, imcs ...*fake) (*Client, *bytes.Buffer) {
	t.Helper()
	var b bytes.Buffer
	cfg.Logger = log.NewWriter(&b, slog.LevelInfo)
	c, err := NewClient(cfg)
	require.NoError(t, err)
	for i, f := range imcs {
		f.t = t
		require.NoError(t, c.Add(fmt.Sprintf("Fake%d", i+1), f))
	}
	return c, &b
}

func server(t *testing.T, typ pb.BatchType, ms ...pb.Message) []byte {
	t.Helper()
	b, err := pb.Batch{FromServer: true, Type: typ, Messages: ms}.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

func decode(t *testing.T, b []byte) pb.Batch {
	t.Helper()
	x, err := pb.Parse(b, pb.Server)
	require.NoError(t, err)
	return x
}

func pa(vendor, subtype uint32, text string) pb.PA {
	return pb.PA{Vendor: vendor, Subtype: subtype, Collector: pb.AnyID, Validator: 1, Body: []byte(text)}
}
