package tnccs

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
)

func TestSubscriptionsAndExclusive(t *testing.T) {
	a := &fake{types: []uint32{0x5597, 1}}
	b := &fake{types: []uint32{0x5597, AnySubtype}}
	all := &fake{types: []uint32{AnyVendor, AnySubtype}}
	odd := &fake{types: []uint32{AnyVendor, 1}}
	c, _ := setup(t, Config{}, a, b, all, odd)
	extra, r := c.ReserveAdditionalIMCID(a.id)
	require.Equal(t, ResultSuccess, r)
	s := c.NewSession()
	_, err := s.Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	got := func(f *fake) (out []string) {
		for _, x := range f.calls {
			if m, ok := strings.CutPrefix(x, "Receive "); ok {
				out = append(out, m)
			}
		}
		return out
	}
	_, err = s.Receive(server(t, pb.SDATA, pa(0x5597, 1, "x"), pa(0x5597, 9, "y"), pa(1, 1, "z"),
		pb.PA{Exclusive: true, Vendor: 0x5597, Subtype: 1, Collector: uint16(extra), Validator: 1, Body: []byte("only a")},
		pb.PA{Exclusive: true, Vendor: 1, Subtype: 1, Collector: uint16(a.id), Validator: 1, Body: []byte("not subscribed")},
		pb.PA{Exclusive: true, Vendor: 0x5597, Subtype: 1, Collector: 99, Validator: 1, Body: []byte("nobody")}))
	require.NoError(t, err)
	require.Equal(t, []string{"5597/1 x", "5597/1 only a"}, got(a))
	require.Equal(t, []string{"5597/1 x", "5597/9 y"}, got(b))
	require.Equal(t, []string{"5597/1 x", "5597/9 y", "1/1 z"}, got(all))
	require.Empty(t, got(odd), "as in strongSwan")
}

func TestTraceTellsQuestionsBeforeAnswers(t *testing.T) {
	var got []string
	f := &fake{types: []uint32{0x5597, 1}}
	f.onMsg = func(conn uint32, m Message) error { f.send(conn, 0x5597, 1, "answer"); return nil }
	c, _ := setup(t, Config{Trace: func(e Exchange) {
		got = append(got, fmt.Sprintf("%v %v %d %d %d %d %s", e.Sent, e.IMCs, e.IMC, e.IMV, e.Vendor, e.Subtype, e.Body))
	}}, f)
	s := c.NewSession()
	_, err := s.Begin(0, TransportEAP, "1.1")
	require.NoError(t, err)
	_, err = s.Receive(server(t, pb.SDATA, pa(0x5597, 1, "question"), pa(9, 9, "nobody's")))
	require.NoError(t, err)
	require.Equal(t, []string{"false [Fake1] 65535 1 21911 1 question", "true [Fake1] 1 65535 21911 1 answer", "false [] 65535 1 9 9 nobody's"}, got)
}
