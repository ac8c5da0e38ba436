package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func run(t *testing.T, in string) (string, int) {
	t.Helper()
	s := newSummary()
	var out bytes.Buffer
	require.NoError(t, s.read(strings.NewReader(in), &out))
	code := s.close(&out)
	return out.String(), code
}

func TestSkipsAreNamedWithTheirReason(t *testing.T) {
	out, code := run(t, `{"Action":"output","Package":"github.com/gotnc/gotnc/a","Test":"TestX","Output":"    x_test.go:3: SKIP needs hostapd: apt-get install hostapd\n"}
{"Action":"skip","Package":"github.com/gotnc/gotnc/a","Test":"TestX"}
{"Action":"output","Package":"github.com/gotnc/gotnc/a","Test":"TestA","Output":"    x_test.go:3: SKIP needs hostapd: apt-get install hostapd\n"}
{"Action":"skip","Package":"github.com/gotnc/gotnc/a","Test":"TestA"}
{"Action":"pass","Package":"github.com/gotnc/gotnc/a","Test":"TestY"}
{"Action":"pass","Package":"github.com/gotnc/gotnc/a","Elapsed":0.1}
`)
	require.Zero(t, code)
	require.Contains(t, out, "\n2 skipped: needs hostapd: apt-get install hostapd\n  a TestA\n  a TestX\n")
	require.Contains(t, out, "\n1 passed, 0 failed, 2 skipped\n")
}

func TestFailuresAndBrokenBuildsFail(t *testing.T) {
	out, code := run(t, `{"Action":"output","Package":"p","Test":"TestX","Output":"boom\n"}
{"Action":"fail","Package":"p","Test":"TestX"}
{"Action":"pass","Package":"p","Test":"TestY"}
`)
	require.Equal(t, 1, code)
	require.Contains(t, out, "boom")
	_, code = run(t, `{"Action":"pass","Package":"p","Test":"TestY"}
{"Action":"build-fail","ImportPath":"q"}
`)
	require.Equal(t, 1, code)
	_, code = run(t, "")
	require.Equal(t, 1, code, "a run of no test is no pass")
}
