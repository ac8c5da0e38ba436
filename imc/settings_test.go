package imc

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every setting that the library reads stands in the settings reference, which
// is the comment of this package, or that of imc/measure.
func TestSettingsAreDocumented(t *testing.T) {
	var doc string
	for _, f := range []string{"doc.go", "measure/doc.go"} {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		doc += string(b)
	}
	// as in s.Bool("plugins.imc-os.push_info", true), or of a prefix p: p+"pcr_info"
	read := regexp.MustCompile(`\.(?:Bool|Int|String)\((?:\w+ ?\+ ?)?"([a-z0-9_.-]+)"|(?:number|list|file)\("([a-z_]+)"`)
	found := map[string]bool{}
	for _, dir := range []string{".", "../capi/attestation"} {
		require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			b, err := os.ReadFile(path)
			for _, m := range read.FindAllStringSubmatch(string(b), -1) {
				key := m[1] + m[2]
				if name := key[strings.LastIndex(key, ".")+1:]; name != "" { // else the name is in a variable
					found[name] = true
				}
			}
			return err
		}))
	}
	require.Greater(t, len(found), 25)
	for _, key := range []string{"hash_algorithm", "segmentation", "aik_handle", "opts", "measure_deny", "debug_level"} {
		require.Contains(t, found, key, "the pattern finds what is read")
	}
	// Those of imc-os, tpm, imcv.os_info and libimcv, and what pcr17_ and pcr18_ go before.
	others := map[string]bool{"before": true, "meas": true, "after": true}
	for _, key := range strings.Fields("push_info device_id device_handle device_pubkey device_cert name version default_password_enabled opts debug_level stderr_quiet") {
		others[key] = true
	}
	for _, key := range AttestationSettings {
		require.Regexp(t, `\b`+key+`\b`, doc, "undocumented")
		require.True(t, found[key] || strings.HasPrefix(key, "pcr1"), "nothing reads %s", key)
	}
	for key := range found {
		require.True(t, others[key] || slices.Contains(AttestationSettings, key), "%s is not in AttestationSettings", key)
		require.Regexp(t, `\b`+key+`\b`, doc, "undocumented")
	}
}
