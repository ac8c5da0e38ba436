package tnccs

import (
	"errors"
	"testing"

	"github.com/gotnc/gotnc/tnccs/pb"
)

// FuzzSequence feeds a session with sequences of legal and illegal batches, and
// with what its IMCs and its transport may do at any time, and checks it against
// the state table of RFC 5793 section 3.2: the state is the one that the table leads
// to, every answer is legal in it and well-formed, every error is answered once
// and points at its message, and after the end nothing more is said.
//
// mode: bit 0 keeps the session open, bit 1 lets the server speak first. Each
// step is a batch (see sequenceBatch) or, with bit 7, an event (see sequence.event).
func FuzzSequence(f *testing.F) {
	for mode := range uint8(4) {
		f.Add(mode, []byte{1, 1, 2})
		f.Add(mode, []byte{0, 0, 2, 0, 5})
		f.Add(mode, []byte{1, 2, 14, 2, 4, 1, 2})
		f.Add(mode, []byte{6, 1, 1, 1})
		f.Add(mode, []byte{2, 4, 1, 0x31, 2, 5})
		f.Add(mode, []byte{9, 1})
		f.Add(mode, []byte{1, 0x71, 1, 2, 5})
		f.Add(mode, []byte{0x11, 0x11, 2, 0x14, 1, 2})
		f.Add(mode, []byte{1, 0x82, 2, 0x80, 2, 0x82, 0x80, 0x83, 1, 0x81, 0x81, 1})
		f.Add(mode, []byte{0x21, 0x22, 4, 0x14, 0x11})
	}
	f.Fuzz(func(t *testing.T, mode uint8, steps []byte) {
		if len(steps) > 200 {
			return
		}
		s := newSequence(t, mode)
		for _, step := range steps {
			if step&0x80 != 0 {
				s.event(step)
			} else {
				s.batch(step)
			}
			if got := s.Outcome().State; got != s.state {
				t.Fatalf("state %s, the table says %s", got, s.state)
			}
		}
		if err := s.c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// sequence is a session with what the table says of it.
type sequence struct {
	*Session
	t       *testing.T
	imc     *sequenceIMC
	state   pb.State
	pending int // errors that are not fatal and have still to be reported
	closes  int
}

func newSequence(t *testing.T, mode uint8) *sequence {
	c, err := NewClient(Config{})
	if err != nil {
		t.Fatal(err)
	}
	q := &sequenceIMC{}
	if err := c.Add("x", q); err != nil {
		t.Fatal(err)
	}
	s := &sequence{Session: c.NewSession(), t: t, imc: q}
	if mode&1 != 0 {
		s.KeepOpen()
	}
	if mode&2 != 0 {
		if err := s.Open(2000, TransportEAP, "1.1"); err != nil {
			t.Fatal(err)
		}
		return s
	}
	out, err := s.Begin(2000, TransportEAP, "1.1")
	if err != nil {
		t.Fatal(err)
	}
	s.answered(out)
	return s
}

// event is something that no batch leads to.
func (s *sequence) event(step byte) {
	switch step & 3 {
	case 0: // the transport looks whether something is wanted
		out, err := s.Poll()
		switch {
		case err != nil:
			s.t.Fatal(err)
		case len(out) == 0:
		case s.state != pb.Decided:
			s.t.Fatalf("a retry in state %s", s.state)
		default:
			s.answered(out)
		}
	case 1: // the user goes away
		out := s.End()
		if s.state == pb.End {
			if len(out) > 0 {
				s.t.Fatalf("after the end it says %x", out)
			}
			return
		}
		if x, err := pb.Parse(out, pb.Server); err != nil || x.Type != pb.CLOSE || len(x.Messages) > 0 {
			s.t.Fatalf("ended with %x: %v", out, err)
		}
		s.state = pb.End
	case 2: // an IMC wants to measure again
		if r := s.imc.host.RequestHandshakeRetry(s.imc.id, s.ID(), 0); r != ResultSuccess {
			s.t.Fatal(r)
		}
	case 3: // an IMC sends from a thread of its own, which nobody asked for
		if r := s.imc.host.SendMessage(s.imc.id, s.ID(), []byte("now"), 0x101); r != ResultIllegalOperation {
			s.t.Fatal(r)
		}
	}
}

// batch delivers the batch of a step.
func (s *sequence) batch(step byte) {
	t := s.t
	s.imc.retry = step&0x08 != 0
	b, want, verdict, warned := sequenceBatch(t, s.state, step)
	got, err := s.Receive(b)
	if s.state == pb.End {
		if len(got) > 0 {
			t.Fatalf("after the end it says %x", got)
		}
		return
	}
	switch verdict {
	case pb.Illegal:
		if err != nil || len(got) == 0 {
			t.Fatalf("error in state %s not answered: %v", s.state, err)
		}
		x, perr := pb.Parse(got, pb.Server)
		if perr != nil || x.Type != pb.CLOSE || len(x.Messages) > 1 {
			t.Fatalf("error answered with %x", got)
		}
		if s.closes++; s.closes > 1 {
			t.Fatal("answered twice")
		}
		var pe *pb.ProtocolError
		var re *pb.PeerError
		switch o := s.Outcome(); {
		case errors.As(o.Err, &pe):
			// What this end found it reports.
			if len(x.Messages) != 1 {
				t.Fatalf("%v reported as %x", pe, got)
			}
			if e, ok := x.Messages[0].(pb.Error); !ok || !e.Fatal {
				t.Fatalf("%v reported as %x", pe, got)
			} else if off, has := e.Offset(); has && (off != pe.Offset || int(off) >= len(b)) {
				t.Fatalf("offset %d of %d, %v", off, len(b), pe)
			}
		case errors.As(o.Err, &re):
			// "The receiver of a fatal error sends nothing back": an empty CLOSE.
			if len(x.Messages) != 0 {
				t.Fatalf("an error answered with an error: %x", got)
			}
		default:
			t.Fatalf("outcome %v", o.Err)
		}
		s.state, s.pending = pb.End, 0
	case pb.Ignore:
		if len(got) > 0 || err != nil {
			t.Fatalf("ignored with %x, %v", got, err)
		}
	case pb.Accept:
		s.state = want
		if warned {
			s.pending++
		}
		if len(got) > 0 {
			s.answered(got)
		}
		switch { // half-duplex: the server waits for us
		case err != nil:
		case s.state == pb.ClientWorking, s.state == pb.Decided && !s.keepOpen:
			t.Fatalf("nothing sent in state %s", s.state)
		}
		if s.state == pb.Decided || s.state == pb.End {
			s.pending = 0 // no batch follows that could carry them
		}
	}
}

// answered checks what the session sends, and goes to the next state.
func (s *sequence) answered(out []byte) {
	t := s.t
	x, err := pb.Parse(out, pb.Server)
	if err != nil {
		t.Fatalf("answer %x: %v", out, err)
	}
	next, verdict := s.state.Next(pb.Client, x.Type)
	if verdict != pb.Accept {
		t.Fatalf("%s sent in state %s", x.Type, s.state)
	}
	s.state = next
	reports := 0
	for _, m := range x.Messages {
		if e, ok := m.(pb.Error); ok {
			if e.Fatal && x.Type != pb.CLOSE {
				t.Fatal("a fatal error outside CLOSE")
			}
			reports++
		}
	}
	if x.Type == pb.CDATA && reports != s.pending || x.Type != pb.CDATA && reports != 0 {
		t.Fatalf("%s with %d errors, %d are to be reported", x.Type, reports, s.pending)
	}
	s.pending = 0
}

// sequenceBatch makes the batch of a step, and what the table says to it; warned
// says that it has an error that is not fatal. Bits 0 to 2 are its type, bit 3
// makes the IMC ask for a retry meanwhile, bits 4 to 6 say what is wrong with it.
func sequenceBatch(t *testing.T, state pb.State, step byte) (batch []byte, next pb.State, verdict pb.Verdict, warned bool) {
	types := []pb.BatchType{pb.SDATA, pb.SDATA, pb.RESULT, pb.CDATA, pb.SRETRY, pb.CLOSE, pb.CRETRY, pb.RESULT}
	typ := types[step&7]
	var ms []pb.Message
	switch typ {
	case pb.SDATA:
		if step&7 == 0 {
			break // the server has nothing to say
		}
		ms = []pb.Message{pb.PA{Vendor: 1, Subtype: 1, Collector: pb.AnyID, Body: []byte("x")}, pb.Raw{Kind: pb.MessageType{Vendor: 7, Type: 7}}}
	case pb.RESULT:
		ms = []pb.Message{pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessDenied}}
	}
	next, verdict = state.Next(pb.Server, typ)
	broken := false
	switch step >> 4 & 7 {
	case 1:
		ms = append(ms, pb.AccessRecommendation{Code: pb.AccessAllowed})
		warned = true // outside RESULT
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
		return b, pb.End, pb.Illegal, false
	case broken && typ == pb.CLOSE:
		return b, pb.End, pb.Accept, false // over, and nobody to answer
	case broken && verdict == pb.Accept:
		return b, pb.End, pb.Illegal, false
	}
	return b, next, verdict, warned && typ != pb.RESULT
}

// sequenceIMC answers everything and asks for retries.
type sequenceIMC struct {
	id    uint32
	host  TNCC
	retry bool
}

func (q *sequenceIMC) Initialize(id uint32, host TNCC) error {
	q.id, q.host = id, host
	return ErrorOf(host.ReportMessageTypesLong(id, []uint32{AnyVendor}, []uint32{AnySubtype}))
}
func (q *sequenceIMC) NotifyConnectionChange(conn uint32, st ConnectionState) error {
	if q.retry && st == ConnectionAccessNone {
		return ErrorOf(q.host.RequestHandshakeRetry(q.id, conn, 0))
	}
	return nil
}
func (q *sequenceIMC) BeginHandshake(conn uint32) error {
	return ErrorOf(q.host.SendMessageLong(q.id, conn, 0, []byte("begin"), 1, 1, AnyIMV))
}
func (q *sequenceIMC) ReceiveMessage(conn uint32, m Message) error {
	return ErrorOf(q.host.SendMessageLong(q.id, conn, 0, m.Data, 1, 1, m.SourceIMV))
}
func (q *sequenceIMC) BatchEnding(uint32) error { return nil }
func (q *sequenceIMC) Terminate() error         { return nil }
