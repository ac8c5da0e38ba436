//go:build cgo && unix

package dlimc

import (
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// BenchmarkConnections has 1,000 connections open at once in one process, with an
// IMC in C that answers three messages in each: in a child, and in process.
func BenchmarkConnections(b *testing.B) {
	if _, err := exec.LookPath("cc"); err != nil {
		b.Skip("SKIP needs a C compiler: apt-get install gcc")
	}
	for _, o := range []Config{{}, {InProcess: true}} {
		name := "child"
		if o.InProcess {
			name = "in process"
		}
		b.Run(name, func(b *testing.B) {
			so := filepath.Join(b.TempDir(), "imc.so")
			out, err := exec.Command("cc", "-shared", "-fPIC", "-O2", "-DSHORT", "-DQUIET", "-o", so, "testdata/imc.c").CombinedOutput()
			require.NoError(b, err, "%s", out)
			benchConnections(b, Entry{Name: "Tiny", Path: so}, o)
		})
	}
}

func benchConnections(b *testing.B, e Entry, o Config) {
	const n = 1000
	c, err := tnccs.NewClient(tnccs.Config{})
	require.NoError(b, err)
	imc, err := Load(e, o)
	require.NoError(b, err)
	require.NoError(b, c.Add(e.Name, imc))
	defer c.Close()
	enc := func(t pb.BatchType, ms ...pb.Message) []byte {
		out, err := pb.Batch{FromServer: true, Type: t, Messages: ms}.AppendBinary(nil)
		require.NoError(b, err)
		return out
	}
	sdata := enc(pb.SDATA, pb.PA{Vendor: 0x5597, Subtype: 1, Collector: pb.AnyID, Validator: 1, Body: make([]byte, 500)})
	result := enc(pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessAllowed})
	sessions := make([]*tnccs.Session, n)
	all := func(step func(*tnccs.Session) error) {
		var wg sync.WaitGroup
		for _, s := range sessions {
			wg.Go(func() {
				if err := step(s); err != nil {
					b.Error(err)
				}
			})
		}
		wg.Wait()
	}
	for b.Loop() {
		for i := range sessions {
			sessions[i] = c.NewSession()
		}
		all(func(s *tnccs.Session) error { _, err := s.Begin(0, tnccs.TransportEAP, "1.1"); return err })
		for range 3 {
			all(func(s *tnccs.Session) error { _, err := s.Receive(sdata); return err })
		}
		all(func(s *tnccs.Session) error { _, err := s.Receive(result); return err })
		for _, s := range sessions {
			if x := s.Outcome(); !x.Allowed() || x.MessagesSent != 5 || len(x.IMCErrors) > 0 {
				b.Fatalf("a connection failed: %+v", x)
			}
			_ = s.Close()
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "connections/s")
}

// BenchmarkStart starts and ends an IMC at each level of the sandbox, in turns, and
// reports the medians of the start.
func BenchmarkStart(b *testing.B) {
	if _, err := exec.LookPath("cc"); err != nil {
		b.Skip("SKIP needs a C compiler: apt-get install gcc")
	}
	so := filepath.Join(b.TempDir(), "imc.so")
	out, err := exec.Command("cc", "-shared", "-fPIC", "-O2", "-DSHORT", "-DQUIET", "-o", so, "testdata/imc.c").CombinedOutput()
	require.NoError(b, err, "%s", out)
	times := map[SandboxLevel][]float64{}
	for b.Loop() {
		for _, level := range []SandboxLevel{SandboxOff, SandboxReadonly, SandboxStrict} {
			start := time.Now()
			imc, err := Load(Entry{Name: "Tiny", Path: so}, Config{Sandbox: Sandbox{Level: level}})
			require.NoError(b, err)
			times[level] = append(times[level], float64(time.Since(start).Microseconds())/1000)
			require.NoError(b, imc.Terminate())
		}
	}
	for level, ms := range times {
		slices.Sort(ms)
		b.ReportMetric(ms[len(ms)/2], string(level)+"-ms")
	}
}
