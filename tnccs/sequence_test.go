package tnccs

import (
	"errors"
	"testing"

	"github.com/gotnc/gotnc/tnccs/pb"
)

// FuzzSequence feeds a session with sequences of legal and illegal batches and
// checks it against the state table of RFC 5793 §3.2: the state is the one that
// the table leads to, every answer is legal in it and well-formed, every error
// is answered once, and after the end nothing more is said.
func FuzzSequence(f *testing.F) {
	f.Add([]byte{1, 1, 2})
	f.Add([]byte{1, 2, 14, 2, 4, 1, 2})
	f.Add([]byte{6, 1, 1, 1})
	f.Add([]byte{2, 4, 1, 0x31, 2, 5})
	f.Add([]byte{9, 1})
	f.Add([]byte{1, 0x71, 1, 2, 5})
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) > 200 {
			return
		}
		q := &sequenceIMC{}
		c, err := NewClient(Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Add("x", q); err != nil {
			t.Fatal(err)
		}
		s := c.NewSession()
		if len(steps) > 0 && steps[0]&0x80 != 0 {
			s.KeepOpen()
		}
		out, err := s.Begin(2000, TransportEAP, "1.1")
		if err != nil {
			t.Fatal(err)
		}
		state := answered(t, pb.Init, out)
		closes := 0
		for _, step := range steps {
			q.retry = step&0x08 != 0
			batch, want, verdict := sequenceBatch(t, state, step)
			got, err := s.Receive(batch)
			if state == pb.End {
				if len(got) > 0 {
					t.Fatalf("after the end it says %x", got)
				}
				continue
			}
			after := state
			switch verdict {
			case pb.Accept:
				after = want
			case pb.Illegal:
				after = pb.End
			}
			if verdict == pb.Illegal {
				if err != nil || len(got) == 0 {
					t.Fatalf("error in state %s not answered: %v", state, err)
				}
				x, perr := pb.Parse(got, pb.Server)
				if perr != nil || x.Type != pb.CLOSE {
					t.Fatalf("error answered with %x", got)
				}
				if closes++; closes > 1 {
					t.Fatal("answered twice")
				}
				var pe *pb.ProtocolError
				var re *pb.PeerError
				if o := s.Outcome(); !errors.As(o.Err, &pe) && !errors.As(o.Err, &re) {
					t.Fatalf("outcome %v", o.Err)
				}
			} else if len(got) > 0 {
				after = answered(t, after, got)
			}
			state = after
			if o := s.Outcome(); o.State != state {
				t.Fatalf("state %s, the table says %s", o.State, state)
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// answered checks an answer in a state and returns the next.
func answered(t *testing.T, state pb.State, out []byte) pb.State {
	x, err := pb.Parse(out, pb.Server)
	if err != nil {
		t.Fatalf("answer %x: %v", out, err)
	}
	next, verdict := state.Next(pb.Client, x.Type)
	if verdict != pb.Accept {
		t.Fatalf("%s sent in state %s", x.Type, state)
	}
	for _, m := range x.Messages {
		if e, ok := m.(pb.Error); ok && e.Fatal && x.Type != pb.CLOSE {
			t.Fatal("a fatal error outside CLOSE")
		}
	}
	return next
}

// sequenceBatch makes the batch of a step, and what the table says to it.
func sequenceBatch(t *testing.T, state pb.State, step byte) (batch []byte, next pb.State, verdict pb.Verdict) {
	types := []pb.BatchType{pb.SDATA, pb.SDATA, pb.RESULT, pb.CDATA, pb.SRETRY, pb.CLOSE, pb.CRETRY, pb.RESULT}
	typ := types[step&7]
	var ms []pb.Message
	switch typ {
	case pb.SDATA:
		ms = []pb.Message{pb.PA{Vendor: 1, Subtype: 1, Collector: pb.AnyID, Body: []byte("x")}, pb.Raw{Kind: pb.MessageType{Vendor: 7, Type: 7}}}
	case pb.RESULT:
		ms = []pb.Message{pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessDenied}}
	}
	next, verdict = state.Next(pb.Server, typ)
	broken := false
	switch step >> 4 & 7 {
	case 1:
		ms = append(ms, pb.AccessRecommendation{Code: pb.AccessAllowed}) // a warning outside RESULT
	case 2:
		ms = append(ms, pb.Error{Code: pb.CodeInvalidParameter, Parameters: make([]byte, 4)})
	case 3:
		ms, broken = append(ms, pb.Raw{Flags: 0x80, Kind: pb.TypeNoskipTest}), true
	case 4:
		ms, broken = append(ms, pb.Error{Fatal: true, Code: pb.CodeLocalError}), true
	}
	b, err := pb.Batch{FromServer: true, Type: typ, Messages: ms}.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	header := false
	switch step >> 4 & 7 {
	case 5:
		b[0], header = 3, true
	case 6:
		b[1], header = 0, true
	case 7:
		b[7]++
		header = true
	}
	switch {
	case header:
		return b, pb.End, pb.Illegal
	case broken && typ == pb.CLOSE:
		return b, pb.End, pb.Accept // over, and nobody to answer
	case broken && verdict == pb.Accept:
		return b, pb.End, pb.Illegal
	}
	return b, next, verdict
}

// sequenceIMC answers everything and asks for retries.
type sequenceIMC struct {
	id    uint32
	host  TNCC
	retry bool
}

func (q *sequenceIMC) Initialize(id uint32, host TNCC) error {
	q.id, q.host = id, host
	return ErrorOf(host.ReportMessageTypesLong(id, []uint32{VendorAny}, []uint32{SubtypeAny}))
}
func (q *sequenceIMC) NotifyConnectionChange(conn uint32, st ConnectionState) error {
	if q.retry && st == StateAccessNone {
		return ErrorOf(q.host.RequestHandshakeRetry(q.id, conn, 0))
	}
	return nil
}
func (q *sequenceIMC) BeginHandshake(conn uint32) error {
	return ErrorOf(q.host.SendMessageLong(q.id, conn, 0, []byte("begin"), 1, 1, IMVAny))
}
func (q *sequenceIMC) ReceiveMessage(conn uint32, m Message) error {
	return ErrorOf(q.host.SendMessageLong(q.id, conn, 0, m.Data, 1, 1, m.SourceIMV))
}
func (q *sequenceIMC) BatchEnding(uint32) error { return nil }
func (q *sequenceIMC) Terminate() error         { return nil }

// FuzzXMLSequence does so for TNCCS-XML, where the table is short: before the
// end every good batch is answered with one, until the recommendation.
func FuzzXMLSequence(f *testing.F) {
	f.Add([]byte("<x/>"), uint8(2))
	f.Add([]byte(`<TNCCS-Batch BatchId="2" Recipient="TNCC" xmlns="http://www.trustedcomputinggroup.org/IWG/TNC/1_0/IF_TNCCS#"/>`), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, n uint8) {
		c, err := NewClient(Config{Protocol: ProtocolXML})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Add("x", &sequenceIMC{}); err != nil {
			t.Fatal(err)
		}
		s := c.NewSession()
		if _, err := s.Begin(4000, TransportEAP, "1.1"); err != nil {
			t.Fatal(err)
		}
		errs := 0
		for range n % 5 {
			out, err := s.Receive(b)
			if len(out) > 4000 {
				t.Fatalf("%d octets", len(out))
			}
			o := s.Outcome()
			if o.Err != nil && len(out) > 0 {
				errs++
			}
			if errs > 1 || err != nil && len(out) > 0 {
				t.Fatal("error answered twice")
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
