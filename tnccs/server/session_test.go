package server

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
)

// fakeIMV sends what is queued and decides when told.
type fakeIMV struct {
	begun    int
	received []pb.PA
	send     []pb.PA
	result   *Result
}

func (f *fakeIMV) Begin()          { f.begun++ }
func (f *fakeIMV) Receive(m pb.PA) { f.received = append(f.received, m) }
func (f *fakeIMV) BatchEnding() []pb.PA {
	out := f.send
	f.send = nil
	return out
}
func (f *fakeIMV) Result() (Result, bool) {
	if f.result == nil {
		return Result{}, false
	}
	return *f.result, true
}

func batch(t testing.TB, typ pb.BatchType, ms ...pb.Message) []byte {
	b, err := pb.Batch{Type: typ, Messages: ms}.AppendBinary(nil)
	require.NoError(t, err)
	return b
}

func pa(body string) pb.PA {
	return pb.PA{Vendor: pb.VendorTCG, Subtype: 1, Collector: 1, Validator: 1, Body: []byte(body)}
}

func parse(t *testing.T, b []byte) pb.Batch {
	t.Helper()
	x, err := pb.Parse(b, pb.Client)
	require.NoError(t, err)
	return x
}

func TestRunToTheEnd(t *testing.T) {
	imv := &fakeIMV{send: []pb.PA{pa("one")}}
	s := New(Config{}, imv)
	out, err := s.Receive(batch(t, pb.CDATA, pb.LanguagePreference{Languages: "de"}, pa("x")))
	require.NoError(t, err)
	x := parse(t, out)
	require.Equal(t, pb.SDATA, x.Type)
	require.Equal(t, []pb.Message{pa("one")}, x.Messages)
	require.Equal(t, "de", s.Language())
	require.Len(t, imv.received, 1)
	out, err = s.Receive(batch(t, pb.CDATA))
	require.NoError(t, err)
	require.Empty(t, parse(t, out).Messages, "an empty SDATA")
	require.False(t, s.Done())
	imv.result = &Result{Assessment: pb.MinorFailure, Access: pb.Quarantined, Reasons: []pb.ReasonString{{Text: "why", Language: "en"}}, URI: "http://x"}
	imv.send = []pb.PA{pa("bye")}
	out, err = s.Receive(batch(t, pb.CDATA))
	require.NoError(t, err)
	x = parse(t, out)
	require.Equal(t, pb.RESULT, x.Type)
	require.Equal(t, []pb.Message{pa("bye"), pb.AssessmentResult{Result: pb.MinorFailure}, pb.AccessRecommendation{Code: pb.Quarantined},
		pb.ReasonString{Text: "why", Language: "en"}, pb.RemediationParameters{Type: pb.RemediationURI, URI: "http://x"}}, x.Messages)
	require.True(t, s.Done())
	require.True(t, s.Allowed())
	require.True(t, s.Isolated())
	out, err = s.Receive(batch(t, pb.CLOSE))
	require.NoError(t, err)
	require.Empty(t, out)
	require.True(t, s.Allowed())
	require.Equal(t, 7, s.Batches())
	_, err = s.Receive(batch(t, pb.CLOSE))
	require.ErrorIs(t, err, ErrEnded)
}

func TestRetryBeginsAgain(t *testing.T) {
	imv := &fakeIMV{result: &Result{Access: pb.AccessDenied}}
	s := New(Config{}, imv)
	_, err := s.Receive(batch(t, pb.CDATA))
	require.NoError(t, err)
	require.False(t, s.Allowed())
	imv.result = nil
	out, err := s.Receive(batch(t, pb.CRETRY, pa("again")))
	require.NoError(t, err)
	require.Equal(t, pb.SDATA, parse(t, out).Type)
	require.Equal(t, 2, imv.begun)
	require.False(t, s.Done())
}

func TestErrorsOfTheClientAreAnsweredWithCLOSE(t *testing.T) {
	good := batch(t, pb.CDATA)
	edit := func(i int, v byte) []byte { b := bytes.Clone(good); b[i] = v; return b }
	for name, c := range map[string]struct {
		batch  []byte
		code   pb.ErrorCode
		offset uint32
	}{
		"version":   {edit(0, 1), pb.CodeVersionNotSupported, 0},
		"direction": {edit(1, 0x80), pb.CodeInvalidParameter, 1},
		"type":      {edit(3, 9), pb.CodeInvalidParameter, 3},
		"length":    {edit(7, 9), pb.CodeInvalidParameter, 4},
		"short":     {good[:7], pb.CodeInvalidParameter, 0},
		"state":     {batch(t, pb.CRETRY), pb.CodeUnexpectedBatchType, 0},
		"noskip":    {batch(t, pb.CDATA, pb.Raw{Flags: 0x80, Kind: pb.MessageType{Vendor: 99, Type: 1}}), pb.CodeUnsupportedMandatory, 8},
	} {
		imv := &fakeIMV{}
		s := New(Config{}, imv)
		out, err := s.Receive(c.batch)
		require.NoError(t, err, name)
		x := parse(t, out)
		require.Equal(t, pb.CLOSE, x.Type, name)
		require.Len(t, x.Messages, 1)
		e := x.Messages[0].(pb.Error)
		require.Equal(t, c.code, e.Code, name)
		require.True(t, e.Fatal)
		if at, ok := e.Offset(); ok {
			require.Equal(t, c.offset, at, name)
		}
		require.Empty(t, imv.received)
		require.True(t, s.Done())
		require.False(t, s.Allowed())
		require.Error(t, s.Failure())
	}
}

func TestClientClosesEarly(t *testing.T) {
	for _, ms := range [][]pb.Message{nil, {pb.Error{Fatal: true, Code: pb.CodeLocalError}}, {pa("x")}} {
		s := New(Config{}, &fakeIMV{})
		_, err := s.Receive(batch(t, pb.CLOSE, ms...))
		require.Error(t, err)
		require.False(t, s.Allowed())
	}
}

func TestMessagesThatDoNotFitWait(t *testing.T) {
	imv := &fakeIMV{result: &Result{Access: pb.AccessAllowed}}
	for range 5 {
		imv.send = append(imv.send, pa(string(make([]byte, 100))))
	}
	s := New(Config{MaxBatch: 300}, imv)
	got := 0
	for range 10 {
		out, err := s.Receive(batch(t, pb.CDATA))
		require.NoError(t, err)
		require.LessOrEqual(t, len(out), 300)
		x := parse(t, out)
		for _, m := range x.Messages {
			if _, ok := m.(pb.PA); ok {
				got++
			}
		}
		if x.Type == pb.RESULT {
			require.Equal(t, 5, got)
			return
		}
	}
	t.Fatal("no RESULT")
}

func FuzzReceive(f *testing.F) {
	f.Add(batch(f, pb.CDATA, pa("x")), batch(f, pb.CLOSE))
	f.Add(batch(f, pb.CRETRY), batch(f, pb.CDATA, pb.Error{Fatal: true}))
	f.Fuzz(func(t *testing.T, one, two []byte) {
		s := New(Config{}, &fakeIMV{})
		for _, b := range [][]byte{one, two, one} {
			out, err := s.Receive(b)
			if err == nil && len(out) > 0 {
				if _, err := pb.Parse(out, pb.Client); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}
