package dlimc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs"
)

func TestParseTNCConfig(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tnc_config")
	require.NoError(t, os.WriteFile(path, []byte("# comment\n"+
		"\n"+
		"IMC \"Attestation\" /usr/lib/imc-attestation.so\r\n"+
		"  IMC\t\"OS name\" \t /usr/lib/imc-os.so trailing\n"+
		"IMV \"Test\" /usr/lib/imv.so\n"+
		"JAVA-IMC \"J\" x.jar\n"+
		"IMC /no/name.so\n"+
		"IMC \"open /x.so\n"+
		"IMC \"no path\"\n"+
		"IMC \"relative\" imc.so\n"+
		"IMC\"tight\" /x.so\n"+
		"imc \"lower\" /x.so\n"+
		"IMC \"last\" /last.so"), 0o600))
	entries, problems, err := ParseTNCConfig(path)
	require.NoError(t, err)
	require.Equal(t, []Entry{
		{"Attestation", "/usr/lib/imc-attestation.so", path, 3},
		{"OS name", "/usr/lib/imc-os.so", path, 4},
		{"last", "/last.so", path, 13},
	}, entries)
	var got []string
	for _, p := range problems {
		got = append(got, strings.TrimPrefix(p.Error(), path))
	}
	require.Equal(t, []string{
		":7: the name of the IMC must be set in double quotes",
		":8: the name of the IMC lacks its closing double quote",
		":9: the path of the IMC is missing",
		":10: the path of the IMC must be absolute, not \"imc.so\"",
		":11: the keyword IMC must be followed by a space",
		":12: the keyword is IMC, not imc",
	}, got)

	_, _, err = ParseTNCConfig(filepath.Join(t.TempDir(), "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// What one line means (IF-IMC 1.3, and strongSwan's tnc_imc plugin).
func TestTNCConfigLines(t *testing.T) {
	for line, want := range map[string]struct{ name, path, problem string }{
		`IMC "a" /x.so`:                  {"a", "/x.so", ""},
		"\t IMC\t\"a b\"\t \t/x.so\t# y": {"a b", "/x.so", ""},
		"IMC \"a\" /x.so\r":              {"a", "/x.so", ""},
		`IMC "a"/x.so`:                   {"a", "/x.so", ""},
		`IMC any "a" /x.so`:              {"a", "/x.so", ""},
		`IMC "" /x.so`:                   {"", "/x.so", ""},
		`IMC "Käse # 1" /ü/x.so`:         {"Käse # 1", "/ü/x.so", ""},
		`IMC "a" /with blank.so`:         {"a", "/with", ""},
		"":                               {},
		" \t\r":                          {},
		"#IMC \"a\" /x.so":               {},
		"  # IMC \"a\" /x.so":            {},
		`IMV "a" /x.so`:                  {},
		`JAVA-IMC "a" x.jar`:             {},
		`IMCX "a" /x.so`:                 {},
		`Imc "a" /x.so`:                  {problem: "the keyword is IMC, not Imc"},
		`hello`:                          {problem: `"hello": write IMC "name" /path/of/library.so`},
		`IMC`:                            {problem: "the keyword IMC must be followed by a space"},
		`IMC"a" /x.so`:                   {problem: "the keyword IMC must be followed by a space"},
		`IMC a /x.so`:                    {problem: "the name of the IMC must be set in double quotes"},
		`IMC "a /x.so`:                   {problem: "the name of the IMC lacks its closing double quote"},
		`IMC "a"`:                        {problem: "the path of the IMC is missing"},
		"IMC \"a\" \t":                   {problem: "the path of the IMC is missing"},
		`IMC "a" x.so`:                   {problem: `the path of the IMC must be absolute, not "x.so"`},
		"IMC \"a\" /x\x00.so":            {problem: "the path of the IMC holds a NUL"},
		"\xef\xbb\xbfIMC \"a\" /x.so":    {"a", "/x.so", ""},
		"\xef\xbb\xbf# IMC \"a\" /x.so":  {},
	} {
		entries, problems, _, err := parseTNCConfig("f", strings.NewReader(line+"\n"))
		require.NoError(t, err, "%q", line)
		if want.problem != "" {
			require.Len(t, problems, 1, "%q", line)
			require.Equal(t, "f:1: "+want.problem, problems[0].Error())
			require.Empty(t, entries)
			continue
		}
		require.Empty(t, problems, "%q", line)
		if want.path == "" {
			require.Empty(t, entries, "%q", line)
			continue
		}
		require.Equal(t, []Entry{{want.name, want.path, "f", 1}}, entries, "%q", line)
	}
}

// What is passed over, and what is named twice, is told.
func TestTNCConfigDoubts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tnc_config")
	require.NoError(t, os.WriteFile(path, []byte("IMC \"a\" /a.so\nIMV \"v\" /v.so\nICM \"b\" /b.so\nJAVA-IMC \"j\" j.jar\n"+
		"IMC \"a\" /c.so\nIMC \"d\" /a.so\nIMC \"e\" /e.so\n"), 0o600))
	doubts, err := Doubts(path)
	require.NoError(t, err)
	var got []string
	for _, d := range doubts {
		got = append(got, strings.TrimPrefix(d.Error(), path))
	}
	require.Equal(t, []string{
		":2: the line is passed over: it is for a TNC server",
		":3: the line is passed over, as strongSwan does: \"ICM\" is no keyword, IMC is",
		":4: the line is passed over: it is for a client with Java",
		":5: line 1 has an IMC \"a\" already: give them different names",
		":6: /a.so is loaded by line 1 already: take one of the two out",
	}, got)
	entries, problems, err := ParseTNCConfig(path)
	require.NoError(t, err)
	require.Empty(t, problems)
	require.Len(t, entries, 4, "as strongSwan")
	_, err = Doubts(path + "s")
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestTNCConfigLimits(t *testing.T) {
	parse := func(s string) ([]Entry, []error, error) {
		entries, problems, _, err := parseTNCConfig("f", strings.NewReader(s))
		return entries, problems, err
	}
	entries, problems, err := parse(strings.Repeat("IMC \"a\" /x.so\n", tnccs.MaxIMCs+2))
	require.NoError(t, err)
	require.Len(t, entries, tnccs.MaxIMCs)
	require.Len(t, problems, 2)
	require.ErrorContains(t, problems[0], "f:65: more than 64 IMCs")
	_, _, err = parse(strings.Repeat("IMC\n", 101))
	require.ErrorContains(t, err, "no TNC configuration")
	_, _, err = parse("\n# " + strings.Repeat("x", 64<<10) + "\n")
	require.ErrorContains(t, err, "line 2 has more than 65536 octets")
	_, _, err = parse(strings.Repeat("#\n", 1<<20))
	require.ErrorContains(t, err, "more than 1048576 octets")
	_, _, err = ParseTNCConfig(t.TempDir())
	require.ErrorContains(t, err, "read TNC configuration")
}

func FuzzParseTNCConfig(f *testing.F) {
	f.Add("IMC \"a\" /b\n")
	f.Add("IMC\t\"\"\t/\r\n#\nIMV")
	f.Fuzz(func(t *testing.T, s string) {
		entries, _, _, err := parseTNCConfig("f", strings.NewReader(s))
		if err != nil {
			return
		}
		for _, e := range entries {
			if !filepath.IsAbs(e.Path) || e.Line < 1 {
				t.Fatalf("%+v", e)
			}
		}
	})
}
