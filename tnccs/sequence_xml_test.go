package tnccs

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/xml"
)

// FuzzXMLSequence does for TNCCS-XML what FuzzSequence does for PB-TNC. The
// binding knows no states; the rules are: a good batch is answered with one whose
// BatchId is the next, and with none after the recommendation; the first error
// is answered with one TNCCS-Error of its type, and a received one with nothing;
// after either nothing more is said.
func FuzzXMLSequence(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3}, []byte{})
	f.Add([]byte{0, 4, 0}, []byte{})
	for step := range byte(xmlSteps) {
		f.Add([]byte{0, step, 0, 1}, []byte("<x/>"))
	}
	f.Fuzz(func(t *testing.T, steps, raw []byte) {
		if len(steps) > 100 {
			return
		}
		c, err := NewClient(Config{Protocol: ProtocolXML})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Add("x", &sequenceIMC{}); err != nil {
			t.Fatal(err)
		}
		s := &xmlSequence{Session: c.NewSession(), t: t}
		out, err := s.Begin(4000, TransportEAP, "1.1")
		if err != nil {
			t.Fatal(err)
		}
		s.answered(out)
		for _, step := range steps {
			s.step(step%xmlSteps, raw)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

const xmlSteps = 12

var tooLong = strings.Repeat(" ", xml.MaxDocument+1)

type xmlSequence struct {
	*Session
	t       *testing.T
	last    uint32 // BatchId
	decided bool
	ended   bool
}

func (s *xmlSequence) step(step byte, raw []byte) {
	id, to := s.last+1, xml.TNCC
	var ms []xml.Message
	var want xml.ErrorType // that the batch leads to
	reported := false      // it holds an error
	text := ""
	switch step {
	case 0:
		ms = []xml.Message{xml.IMCIMV{Type: 0x101, Body: []byte("measure")}}
	case 1:
		ms = []xml.Message{xml.Recommendation{Type: xml.Isolate}, xml.ReasonStrings{Reasons: []xml.Reason{{Text: "why"}}}}
	case 2:
		to = xml.TNCS // hostapd's
	case 3:
		ms = []xml.Message{xml.ContactInfo{}, xml.PreferredLanguage{Languages: "en"}, xml.IMCIMV{Type: 0xffffffff}}
	case 4:
		ms, reported = []xml.Message{xml.Recommendation{Type: xml.Allow}, xml.Error{Type: xml.InternalError, Text: "no"}}, true
	case 5:
		id, want = id+1, xml.InvalidBatchID
	case 6:
		to, want = "TNCX", xml.InvalidRecipientType
	case 7:
		want = xml.MalformedBatch
	case 8:
		text, want = "<x/>", xml.MalformedBatch
	case 9:
		text, want = "", xml.MalformedBatch
	case 10:
		text, want = tooLong, xml.BatchTooLong
	default:
		s.raw(raw)
		return
	}
	b, err := xml.Batch{ID: id, Recipient: to, Messages: ms}.AppendBinary(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if step == 7 {
		b = b[:len(b)-3]
	}
	if step >= 8 {
		b = []byte(text)
	}
	out, err := s.Receive(b)
	switch {
	case s.ended:
		if err == nil || len(out) > 0 {
			s.t.Fatalf("after the end: %v, %s", err, out)
		}
	case reported:
		var pe *xml.PeerError
		if len(out) > 0 || !errors.As(err, &pe) {
			s.t.Fatalf("a reported error: %v, %s", err, out)
		}
		if s.decidedNow() {
			s.t.Fatal("a batch with an error was acted upon")
		}
		s.ended = true
	case want != "":
		if err != nil {
			s.t.Fatal(err)
		}
		s.refused(out, want)
	default:
		if err != nil {
			s.t.Fatal(err)
		}
		s.last++
		s.decided = s.decided || step == 1
		if s.decided != (len(out) == 0) {
			s.t.Fatalf("decided %t, answer %s", s.decided, out)
		}
		if len(out) > 0 {
			s.answered(out)
		}
	}
	if got := s.Outcome().State; (got == pb.End) != s.ended {
		s.t.Fatalf("state %s, ended %t", got, s.ended)
	}
}

func (s *xmlSequence) decidedNow() bool {
	return !s.decided && s.Outcome().Recommendation != RecommendNone
}

// raw delivers any octets: one answer at most, and none with an error.
func (s *xmlSequence) raw(b []byte) {
	out, err := s.Receive(b)
	o := s.Outcome()
	switch {
	case s.ended && (len(out) > 0 || err == nil):
		s.t.Fatalf("after the end: %v, %s", err, out)
	case err != nil && len(out) > 0, len(out) > 4000:
		s.t.Fatalf("%v, %s", err, out)
	}
	s.last++
	if len(out) > 0 {
		s.last++ // whatever it is: it has the next BatchId
	}
	s.ended = s.ended || o.State == pb.End
	s.decided = s.decided || o.State == pb.Decided
}

// answered checks a batch of the session.
func (s *xmlSequence) answered(out []byte) []xml.Message {
	x, err := xml.Parse(out, s.last+1, xml.TNCS)
	if err != nil {
		s.t.Fatalf("%s: %v", out, err)
	}
	if len(out) > 4000 {
		s.t.Fatalf("%d octets", len(out))
	}
	s.last++
	return x.Messages
}

// refused checks that an error was reported, once.
func (s *xmlSequence) refused(out []byte, want xml.ErrorType) {
	s.last++
	ms := s.answered(out)
	if e, ok := ms[0].(xml.Error); !ok || e.Type != want || len(ms) != 1 {
		s.t.Fatalf("%s instead of %s", fmt.Sprint(ms), want)
	}
	var pe *xml.ProtocolError
	if o := s.Outcome(); !errors.As(o.Err, &pe) || pe.Type != want {
		s.t.Fatalf("outcome %v", o.Err)
	}
	s.ended = true
}
