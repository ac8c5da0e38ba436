// Package corpora runs public test corpora, where GOTNC_CORPORA names the folder
// that holds them (make corpora), and counts: inputs, crashes, the slowest, and
// verdicts that differ from the corpus's own.
package corpora

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
	"time"
)

// Env names the folder of the corpora: wycheproof, limbo, strongswan and libtpms,
// each a checkout.
const Env = "GOTNC_CORPORA"

// Folder returns a folder of a corpus, and skips the test where there is none.
func Folder(t testing.TB, path ...string) string {
	t.Helper()
	root := os.Getenv(Env)
	if root == "" {
		t.Skip("SKIP needs " + Env + ", a folder with public corpora: make corpora")
	}
	dir := filepath.Join(append([]string{root}, path...)...)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("SKIP %s is not there", dir)
	}
	return dir
}

// Files returns the content of all files below a folder of a corpus, by name.
func Files(t testing.TB, path ...string) map[string][]byte {
	t.Helper()
	dir := Folder(t, path...)
	out := map[string][]byte{}
	err := filepath.WalkDir(dir, func(name string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(name)
		out[name] = b
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// slow is how long one input may take.
const slow = 5 * time.Second

// Tally counts what becomes of the inputs of one corpus.
type Tally struct {
	t       testing.TB
	name    string
	inputs  int
	crashes int
	slowest time.Duration
	which   string
	// expected are the differences that there have to be, with the reason of each.
	expected map[string]string
	met      map[string]bool
	differ   []string
}

// New begins to count. expected names inputs on which we judge otherwise than the
// corpus, each with the reason; such an input that agrees is reported as well.
func New(t testing.TB, name string, expected map[string]string) *Tally {
	c := &Tally{t: t, name: name, expected: expected, met: map[string]bool{}}
	t.Cleanup(c.report)
	return c
}

// Run hands one input to f; a panic is a crash.
func (c *Tally) Run(id string, f func()) {
	c.inputs++
	started := time.Now()
	defer func() {
		if took := time.Since(started); took > c.slowest {
			c.slowest, c.which = took, id
		}
		if p := recover(); p != nil {
			c.crashes++
			c.t.Errorf("%s: %s: panic: %v\n%s", c.name, id, p, debug.Stack())
		}
	}()
	f()
}

// ErrNotOurs is returned for an input that has no form here (a nonce length that
// IPsec lacks, an encoding that IKE does not carry); it is not counted.
var ErrNotOurs = errors.New("not of our protocols")

// Judge runs one input with a verdict: valid says what the corpus thinks of it.
func (c *Tally) Judge(id string, valid bool, f func() error) {
	c.Run(id, func() {
		err := f()
		if errors.Is(err, ErrNotOurs) {
			c.inputs--
			return
		}
		if valid == (err == nil) {
			return
		}
		c.differ = append(c.differ, id)
		if c.expected[id] != "" {
			c.met[id] = true
			return
		}
		c.t.Errorf("%s: %s: valid is %v, we say: %v", c.name, id, valid, err)
	})
}

func (c *Tally) report() {
	if c.t.Skipped() {
		return
	}
	fmt.Printf("corpus %-28s %6d inputs, %d crashes, %3d differences (%d expected), slowest %v\n", c.name, c.inputs, c.crashes, len(c.differ), len(c.met), c.slowest.Round(time.Microsecond))
	if c.inputs == 0 {
		c.t.Errorf("%s: no inputs", c.name)
	}
	if c.slowest > slow {
		c.t.Errorf("%s: %s took %v", c.name, c.which, c.slowest)
	}
	var stale []string
	for id := range c.expected {
		if !c.met[id] {
			stale = append(stale, id)
		}
	}
	slices.Sort(stale)
	for _, id := range stale {
		c.t.Errorf("%s: %s agrees now, or is gone: take it out of the table", c.name, id)
	}
}

// Hex is an octet string of Wycheproof.
type Hex []byte

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.DecodeString(string(text))
	*h = b
	return err
}

// Test is one test of Wycheproof; each kind of test uses some of the fields.
type Test struct {
	ID      int      `json:"tcId"`
	Comment string   `json:"comment"`
	Flags   []string `json:"flags"`
	Result  string   `json:"result"` // valid, invalid or acceptable
	Message Hex      `json:"msg"`
	Sig     Hex      `json:"sig"`
	Public  Hex      `json:"public"`
	Private Hex      `json:"private"`
	Shared  Hex      `json:"shared"`
	Key     Hex      `json:"key"`
	IV      Hex      `json:"iv"`
	AAD     Hex      `json:"aad"`
	CT      Hex      `json:"ct"`
	Tag     Hex      `json:"tag"`
	Seed    Hex      `json:"seed"`
	EK      Hex      `json:"ek"`
	C       Hex      `json:"c"`
	K       Hex      `json:"K"`
}

// Group is a group of tests that have a key or sizes in common.
type Group struct {
	PublicKeyDER Hex    `json:"publicKeyDer"`
	SHA          string `json:"sha"`
	MGFSHA       string `json:"mgfSha"`
	SaltLength   int    `json:"sLen"`
	IVSize       int    `json:"ivSize"`
	KeySize      int    `json:"keySize"`
	TagSize      int    `json:"tagSize"`
	Tests        []Test `json:"tests"`
}

// Wycheproof hands each test of a file to f, "acceptable" ones too: f returns an
// error for what it does not accept, and the verdict on these is not held against it.
func Wycheproof(t *testing.T, file string, expected map[string]string, f func(g *Group, c *Test) error) {
	t.Helper()
	path := filepath.Join(Folder(t, "wycheproof", "testvectors_v1"), file+"_test.json")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Groups []Group `json:"testGroups"`
	}
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	tally := New(t, file, expected)
	for i := range all.Groups {
		for j := range all.Groups[i].Tests {
			g, c := &all.Groups[i], &all.Groups[i].Tests[j]
			id := fmt.Sprint(c.ID)
			if c.Result == "acceptable" {
				tally.Run(id, func() { _ = f(g, c) })
				continue
			}
			tally.Judge(id, c.Result == "valid", func() error { return f(g, c) })
		}
	}
}
