package imc

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config/settings"
)

// Every setting that the library reads is in the settings reference, which is
// the comment of this package, or that of imc/measure; docs/settings.md has them
// too.
func TestSettingsAreDocumented(t *testing.T) {
	reference := func(file string) string {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		_, text, ok := strings.Cut(string(b), "// # Settings\n")
		require.True(t, ok, file)
		return text
	}
	doc := reference("doc.go") + reference("measure/doc.go")
	found := 0
	for _, s := range settings.All() {
		if s.Group != settings.IMC && s.Group != settings.Measuring {
			continue
		}
		name := s.Key[strings.LastIndexByte(s.Key, '.')+1:]
		require.Regexp(t, `\b`+name+`\b`, doc, "undocumented")
		if s.Type == "yes or no" && s.Default == "yes" {
			require.Regexp(t, name+`\b[^()]*\(yes\)`, doc, "the default of %s", name)
		}
		found++
	}
	require.Greater(t, found, 35)
}
