// Command testsummary reads `go test -json` on standard input, prints what
// failed as it happens and one line a package, and closes with what passed,
// what failed, and every test that was skipped and why. It exits 1 where a
// test or a build failed, or where nothing ran.
//
//	go test -json ./... | go run ./internal/testsummary
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
)

// event is one line of `go test -json` (cmd/test2json).
type event struct {
	Action, Package, Test, Output string
	ImportPath                    string
	Elapsed                       float64
}

type summary struct {
	output         map[string][]string // of tests that have not ended, by package/test
	passed, failed int
	skips          map[string][]string // by reason: packages and tests
	badPackages    []string
}

func newSummary() *summary {
	return &summary{output: map[string][]string{}, skips: map[string][]string{}}
}

func main() {
	s := newSummary()
	if err := s.read(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "testsummary:", err)
		os.Exit(1)
	}
	os.Exit(s.close(os.Stdout))
}

func (s *summary) read(in io.Reader, out io.Writer) error {
	sc := bufio.NewScanner(in)
	sc.Buffer(nil, 1<<24)
	for sc.Scan() {
		var e event
		if json.Unmarshal(sc.Bytes(), &e) != nil {
			fmt.Fprintln(out, sc.Text()) // a tool's own words
			continue
		}
		s.event(e, out)
	}
	return sc.Err()
}

func (s *summary) event(e event, out io.Writer) {
	key := e.Package + " " + e.Test
	pkg := strings.TrimPrefix(e.Package, "github.com/gotnc/gotnc/")
	switch e.Action {
	case "output":
		s.output[key] = append(s.output[key], e.Output)
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "build-fail":
		s.badPackages = append(s.badPackages, e.ImportPath)
	case "pass", "fail", "skip":
		lines := s.output[key]
		delete(s.output, key)
		if e.Test == "" {
			if e.Action == "fail" {
				fmt.Fprint(out, strings.Join(lines, ""))
				s.badPackages = append(s.badPackages, e.Package)
			}
			if e.Action != "skip" {
				fmt.Fprintf(out, "%-4s %-40s %6.1fs\n", map[string]string{"pass": "ok", "fail": "FAIL"}[e.Action], pkg, e.Elapsed)
			}
			return
		}
		switch e.Action {
		case "pass":
			s.passed++
		case "fail":
			s.failed++
			fmt.Fprintf(out, "\n--- %s: %s\n%s", pkg, e.Test, strings.Join(lines, ""))
		case "skip":
			why := reason(lines)
			s.skips[why] = append(s.skips[why], pkg+" "+e.Test)
		}
	}
}

// reason takes the t.Skip message out of a test's output.
func reason(lines []string) string {
	for _, l := range lines {
		l = strings.TrimSpace(l)
		if l == "" || strings.HasPrefix(l, "=== ") || strings.HasPrefix(l, "--- ") {
			continue
		}
		if _, after, ok := strings.Cut(l, ".go:"); ok {
			_, after, _ = strings.Cut(after, ": ")
			return strings.TrimPrefix(after, "SKIP ")
		}
		return l
	}
	return "no reason given"
}

func (s *summary) close(out io.Writer) int {
	skipped := 0
	for _, why := range slices.Sorted(maps.Keys(s.skips)) {
		tests := s.skips[why]
		skipped += len(tests)
		slices.Sort(tests)
		fmt.Fprintf(out, "\n%d skipped: %s\n", len(tests), why)
		for _, t := range tests {
			fmt.Fprintln(out, "  "+t)
		}
	}
	fmt.Fprintf(out, "\n%d passed, %d failed, %d skipped\n", s.passed, s.failed, skipped)
	switch {
	case s.failed > 0 || len(s.badPackages) > 0:
		for _, p := range s.badPackages {
			fmt.Fprintln(out, "failed package:", p)
		}
		return 1
	case s.passed == 0:
		fmt.Fprintln(out, "no test ran")
		return 1
	}
	return 0
}
