package imc

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
)

// patientMeasurer measures nothing until its context ends.
type patientMeasurer struct{ fakeMeasurer }

func (patientMeasurer) Measure(ctx context.Context, _ string, _ bool, _ pts.HashAlgorithms) ([]pts.MeasuredFile, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// The time of a message's measurements ends when the injected clock says so; the
// message is then not answered.
func TestTurnEndsInTime(t *testing.T) {
	h := &fakeHost{t: t}
	var asked []time.Duration
	a := start(t, Config{Measurer: patientMeasurer{}, WithTimeout: func(parent context.Context, d time.Duration) (context.Context, context.CancelFunc) {
		asked = append(asked, d)
		ctx, cancel := context.WithCancel(parent)
		cancel()
		return ctx, cancel
	}}, h)
	h.take()
	in := request(t, patnc.NoSkip(pts.RequestFileMeasurement{RequestID: 1, Delimiter: pts.DelimiterSlash, Path: "/a"}))
	require.Equal(t, ResultFatal, a.ReceiveMessageLong(2, 1, 0, in, 0x005597, 1, 1, AnyIMC))
	require.Equal(t, []time.Duration{2 * time.Minute}, asked)
	require.Empty(t, h.take())
}
