package tnccs

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
)

// 1,000 connections at once in one process.
func TestThousandConnections(t *testing.T) {
	c, err := NewClient(Config{})
	require.NoError(t, err)
	q := &quiet{}
	require.NoError(t, c.Add("Quiet", q))
	const n = 1000
	all := make([]*Session, n)
	for i := range all {
		all[i] = c.NewSession()
	}
	sdata := server(t, pb.SDATA, pa(2, 2, "ask"))
	result := server(t, pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed})
	var wg sync.WaitGroup
	errs := make(chan error, n)
	for _, s := range all {
		wg.Go(func() {
			if _, err := s.Begin(0, TransportEAP, "2.0"); err != nil {
				errs <- err
			}
			for range 5 {
				b, err := s.Receive(sdata)
				if err != nil || len(b) != pb.HeaderSize+pb.MessageOverhead+pb.PAOverhead+6 {
					errs <- fmt.Errorf("%d octets, %w", len(b), err)
				}
			}
			if _, err := s.Receive(result); err != nil || !s.Outcome().Allowed() {
				errs <- fmt.Errorf("end: %w", err)
			}
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Error(err)
	}
	require.NoError(t, c.Close())
}

// quiet is an IMC for several connections at once: it answers every message.
type quiet struct {
	id   uint32
	host TNCC
}

func (q *quiet) Initialize(id uint32, host TNCC) error {
	q.id, q.host = id, host
	return ErrorOf(host.ReportMessageTypesLong(id, []uint32{2}, []uint32{2}))
}

func (q *quiet) NotifyConnectionChange(uint32, ConnectionState) error { return nil }

func (q *quiet) BeginHandshake(uint32) error { return nil }

func (q *quiet) ReceiveMessage(conn uint32, m Message) error {
	return ErrorOf(q.host.SendMessageLong(q.id, conn, 0, []byte("answer"), 2, 2, m.SourceIMV))
}

func (q *quiet) BatchEnding(uint32) error { return nil }

func (q *quiet) Terminate() error { return nil }
