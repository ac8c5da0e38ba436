package tnccs

import (
	"runtime"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
)

// sink takes messages and says nothing.
type sink struct {
	quiet
	octets int
}

func (s *sink) ReceiveMessage(_ uint32, m Message) error {
	s.octets += len(m.Data)
	return nil
}

// benchBatch is a batch of 64 KiB with n PA-TNC messages.
func benchBatch(b testing.TB, messages int) []byte {
	x := pb.Batch{FromServer: true, Type: pb.SDATA}
	for i := range messages {
		n := (64<<10-pb.HeaderSize)/messages - pb.MessageOverhead - pb.PAOverhead
		x.Messages = append(x.Messages, pb.PA{Vendor: 2, Subtype: 2, Collector: pb.AnyID, Validator: uint16(i), Body: make([]byte, n)})
	}
	out, err := x.AppendBinary(nil)
	if err != nil {
		b.Fatal(err)
	}
	return out
}

// Decoding and routing allocate nothing for a message: a batch of 100 costs what
// one of a single message does.
func TestRoutingAllocatesNothingForAMessage(t *testing.T) {
	c, err := NewClient(Config{})
	require.NoError(t, err)
	defer c.Close()
	i := &sink{}
	require.NoError(t, c.Add("sink", i))
	s := c.NewSession()
	_, err = s.Begin(0, TransportEAP, "2.0")
	require.NoError(t, err)
	allocs := func(messages int) float64 {
		batch := benchBatch(t, messages)
		was := i.octets
		n := testing.AllocsPerRun(100, func() {
			if out, err := s.Receive(batch); err != nil || len(out) != pb.HeaderSize {
				t.Fatal(err, len(out))
			}
		})
		require.Greater(t, i.octets, was, "all were delivered")
		return n
	}
	require.InDelta(t, allocs(1), allocs(100), forgotten)
	require.Less(t, allocs(100), 10.0+forgotten)
}

// BenchmarkReceive decodes a batch of 64 KiB with 100 PA-TNC messages and
// routes each to its IMC; the time includes the answer's empty batch.
func BenchmarkReceive(b *testing.B) {
	c, err := NewClient(Config{})
	if err != nil {
		b.Fatal(err)
	}
	i := &sink{}
	if err := c.Add("sink", i); err != nil {
		b.Fatal(err)
	}
	s := c.NewSession()
	if _, err := s.Begin(0, TransportEAP, "2.0"); err != nil {
		b.Fatal(err)
	}
	batch := benchBatch(b, 100)
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		s.out.BatchesReceived = 0 // past the cap of a session
		if out, err := s.Receive(batch); err != nil || len(out) != pb.HeaderSize {
			b.Fatal(err, len(out))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/100, "ns/message")
}

// BenchmarkConnections has 1,000 connections open at once in one process: each
// step is one of all of them, each on a goroutine of its own, before the next.
func BenchmarkConnections(b *testing.B) {
	const n = 1000
	c, err := NewClient(Config{})
	require.NoError(b, err)
	require.NoError(b, c.Add("quiet", &quiet{}))
	enc := func(t pb.BatchType, ms ...pb.Message) []byte {
		out, err := pb.Batch{FromServer: true, Type: t, Messages: ms}.AppendBinary(nil)
		require.NoError(b, err)
		return out
	}
	sdata := enc(pb.SDATA, pb.PA{Vendor: 2, Subtype: 2, Collector: pb.AnyID, Validator: 1, Body: make([]byte, 500)})
	result := enc(pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed})
	var open []*Session
	all := func(step func(*Session) error) {
		var wg sync.WaitGroup
		for _, s := range open {
			wg.Go(func() {
				if err := step(s); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
	heap := func() float64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before, used := heap(), 0.0
	b.ReportAllocs()
	for b.Loop() {
		open = open[:0]
		for range n {
			open = append(open, c.NewSession())
		}
		all(func(s *Session) error { _, err := s.Begin(0, TransportEAP, "2.0"); return err })
		for range 5 {
			all(func(s *Session) error { _, err := s.Receive(sdata); return err })
		}
		if used == 0 {
			b.StopTimer()
			used = (heap() - before) / n
			b.StartTimer()
		}
		all(func(s *Session) error { _, err := s.Receive(result); return err })
		for _, s := range open {
			if !s.Outcome().Allowed() {
				b.Fatal("a connection failed")
			}
			_ = s.Close()
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "connections/s")
	b.ReportMetric(used, "octets/connection")
}
