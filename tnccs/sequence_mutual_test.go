package tnccs

import (
	"testing"

	"github.com/gotnc/gotnc/tnccs/pb"
)

// FuzzMutualSequence feeds both halves of a connection with mutual measurement
// with batches in any order: each is answered at most once, every answer is a
// batch of the half that may speak and legal in its state, after the end nothing
// more is said, and no order of batches makes an unmeasured peer accepted.
func FuzzMutualSequence(f *testing.F) {
	f.Add([]byte{0, 9, 1, 2, 14})
	f.Add([]byte{0, 9, 2, 14})
	f.Add([]byte{0, 14})
	f.Add([]byte{0, 2, 6, 9})
	f.Add([]byte{8, 0, 9, 9, 0x49, 2, 14, 6})
	f.Fuzz(func(t *testing.T, steps []byte) {
		if len(steps) > 100 {
			return
		}
		h := &half{t: t}
		c, err := NewClient(Config{Mutual: func(uint32) (Server, error) { return h, nil }})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Add("x", &sequenceIMC{}); err != nil {
			t.Fatal(err)
		}
		s := c.NewSession()
		first, err := s.Begin(4000, TransportEAP, "2.0")
		if err != nil {
			t.Fatal(err)
		}
		if x, err := pb.Parse(first, pb.Server); err != nil || x.Type != pb.CDATA {
			t.Fatalf("%x: %v", first, err)
		}
		for _, step := range steps {
			// Bit 3 says which half it is for, bit 6 that it is broken, bit 5 that
			// the verifier asks on, bit 4 what it decides.
			h.undecided, h.allowed = step&0x20 != 0, step&0x10 != 0 && h.state >= pb.Decided
			var b []byte
			if step&8 == 0 {
				typ := []pb.BatchType{pb.SDATA, pb.SDATA, pb.RESULT, pb.SRETRY, pb.CDATA, pb.RESULT, pb.CLOSE, pb.CRETRY}[step&7]
				b = server(t, typ, pb.MutualCapability{Protocols: pb.MutualHalfDuplex})
				if typ == pb.CLOSE {
					b = server(t, typ)
				}
			} else {
				typ := []pb.BatchType{pb.CDATA, pb.CDATA, pb.CRETRY, pb.SDATA, pb.CDATA, pb.RESULT, pb.CLOSE, pb.CRETRY}[step&7]
				b, err = pb.Batch{Type: typ}.AppendBinary(nil)
				if err != nil {
					t.Fatal(err)
				}
			}
			if step&0x40 != 0 {
				b[7]++
			}
			before := s.Outcome().State
			out, err := s.Receive(b)
			after := s.Outcome()
			if err != nil && len(out) > 0 {
				t.Fatalf("error with an answer: %v, %x", err, out)
			}
			if before == pb.End && len(out) > 0 {
				t.Fatalf("after the end it says %x", out)
			}
			if len(out) > 1 && out[1]&0x80 == 0 {
				client := after.State
				if x, err := pb.Parse(out, pb.Server); err != nil {
					t.Fatal(err)
				} else if x.Type == pb.CLOSE && client != pb.End {
					t.Fatalf("CLOSE leads to %s", client)
				} else if x.Type == pb.CDATA && client != pb.ServerWorking {
					t.Fatalf("CDATA leads to %s", client)
				}
			} else if len(out) > 0 {
				if x, err := pb.Parse(out, pb.Client); err != nil || !after.Mutual {
					t.Fatalf("%v: a batch of the server half, mutual %t: %v", x.Type, after.Mutual, err)
				}
			}
			if after.Mutual && s.PeerVerdict() == nil && !h.allowed {
				t.Fatal("accepted a peer that its verifier does not allow")
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
