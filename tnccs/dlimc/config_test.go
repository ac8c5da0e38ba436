package dlimc

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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

func FuzzParseTNCConfig(f *testing.F) {
	f.Add("IMC \"a\" /b\n")
	f.Add("IMC\t\"\"\t/\r\n#\nIMV")
	f.Fuzz(func(t *testing.T, s string) {
		entries, _, err := parseTNCConfig("f", strings.NewReader(s))
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
