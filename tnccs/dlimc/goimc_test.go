//go:build cgo && linux

package dlimc

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/pb"
)

func buildGoIMC(t *testing.T) Entry {
	t.Helper()
	out := filepath.Join(t.TempDir(), "goimc.so")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-o", out, "./testdata/goimc")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1")
	b, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", b)
	return Entry{Name: "Go", Path: out}
}

// Two Go runtimes in one process: collections of the host end although loops
// without calls run, and the library recovers from its nil pointers.
func TestGoIMC(t *testing.T) {
	if testing.Short() {
		t.Skip("SKIP builds a Go library: run without -short")
	}
	e := buildGoIMC(t)
	for name, o := range map[string]Config{"child": {}, "in process": {InProcess: true}} {
		t.Run(name, func(t *testing.T) {
			c, err := tnccs.NewClient(tnccs.Config{})
			require.NoError(t, err)
			imc, err := Load(e, o)
			require.NoError(t, err)
			require.NoError(t, c.Add("Go", imc))
			var stop atomic.Bool
			var spin, work sync.WaitGroup
			spin.Go(func() {
				for !stop.Load() {
					x := 0
					for i := range 200_000_000 { // no call in it: only SIGURG stops it
						x ^= i
					}
					runtime.KeepAlive(x)
				}
			})
			end := time.Now().Add(2 * time.Second)
			for range 4 {
				work.Go(func() {
					s := c.NewSession()
					_, err := s.Begin(0, tnccs.TransportEAP, "1.1")
					for err == nil && time.Now().Before(end) {
						var b []byte
						b, err = s.Receive(batch(t, pb.SDATA, pb.PA{Vendor: 0x902a, Subtype: 1, Collector: 0xffff, Validator: 1, Body: []byte("x")}))
						if len(b) != 8+24+16 {
							t.Errorf("%d octets", len(b))
							break
						}
						runtime.GC()
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
			done := make(chan struct{})
			go func() { work.Wait(); close(done) }()
			select {
			case <-done:
			case <-time.After(60 * time.Second):
				t.Fatal("the process hangs")
			}
			stop.Store(true)
			spin.Wait()
			require.NoError(t, c.Close())
		})
	}
}
