package config

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What libstrongswan 6.0.6 made of 500 texts: made up of pieces of the grammar at
// random, or damaged, and recorded through its settings_t. A line has the text
// and the answer, both quoted: "ERR", or "OK" with a line for each section and
// for each value.
func TestGrammarAsStrongSwan(t *testing.T) {
	b, err := os.ReadFile("testdata/strongswan-6.0.6.grammar")
	require.NoError(t, err)
	for line := range strings.Lines(string(b)) {
		text, want, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		text, err := strconv.Unquote(text)
		require.NoError(t, err)
		want, err = strconv.Unquote(want)
		require.NoError(t, err)
		got := "ERR\n"
		if c, err := Parse("strongswan.conf", text); err == nil {
			got = "OK\n" + describe(c.Node(""))
		}
		require.Equal(t, want, got, "%q", text)
	}
}

// describe lists a section with all that it inherits.
func describe(n *Node) string {
	var b strings.Builder
	for _, v := range n.Values() {
		fmt.Fprintf(&b, "%s|%s=%s\n", n.Path(), escaped(v.Key), escaped(v.Text))
	}
	for _, name := range n.Sections() {
		s := n.Sub(name)
		fmt.Fprintf(&b, "S %s\n%s", escaped(s.Path()), describe(s))
	}
	return b.String()
}

func escaped(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < ' ' || c == 0x7F || c == '\\' {
			fmt.Fprintf(&b, `\x%02x`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// What libstrongswan 6.0.6 makes of a value: as yes or no, as a number, as a
// floating-point number, as a time in seconds; with defaults where it takes none.
func TestValuesAsStrongSwan(t *testing.T) {
	b, err := os.ReadFile("testdata/strongswan-6.0.6.values")
	require.NoError(t, err)
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		require.Len(t, f, 5)
		c := New()
		c.Put(nil, Value{Key: "k", Text: f[0]})
		v := c.View("")
		truth := "default"
		if yes := v.Bool("k", true); yes == v.Bool("k", false) {
			truth = map[bool]string{true: "yes", false: "no"}[yes]
		}
		require.Equal(t, f[1:], []string{truth, strconv.Itoa(v.Int("k", -77)), strconv.FormatFloat(v.Float("k", -77.5), 'g', 17, 64),
			strconv.Itoa(int(v.Duration("k", 777777*time.Second) / time.Second))}, "%q", f[0])
	}
}
