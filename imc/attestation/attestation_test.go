package attestation

import (
	"log/slog"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/log"
)

func TestNamespaces(t *testing.T) {
	for program, want := range map[string][]string{
		"charon":         {"charon", "libimcv"},
		"charon-systemd": {"charon-systemd", "charon", "libimcv"},
		"charon-cmd":     {"charon-cmd", "charon", "libimcv"},
		"tnc":            {"tnc", "charon", "libimcv"},
		"eapol_test":     {"eapol_test", "libimcv"},
		"pt-tls-client":  {"pt-tls-client", "libimcv"},
		"":               {"libimcv"},
		"a.out":          {"libimcv"},
	} {
		assert.Equal(t, want, namespaces(program), program)
	}
}

func TestSettings(t *testing.T) {
	cfg, err := config.Parse("strongswan.conf", `
		charon { imcv { os_info { name = A } } plugins { imc-os { push_info = no } } }
		libimcv { os_info { name = B
		                    version = 2 } plugins { imc-attestation { nonce_len = 32 } } }`)
	require.NoError(t, err)
	s := newSettings(cfg, namespaces("charon"))
	assert.Equal(t, "A", s.String("imcv.os_info.name", ""), "the host's section first")
	assert.Equal(t, "2", s.String("imcv.os_info.version", ""), "then libimcv, which has no subsection imcv")
	assert.Equal(t, 32, s.Int("plugins.imc-attestation.nonce_len", 20))
	assert.False(t, s.Bool("plugins.imc-os.push_info", true))
	s = newSettings(cfg, namespaces("eapol_test"))
	assert.Equal(t, "B", s.String("imcv.os_info.name", ""))
	assert.True(t, s.Bool("plugins.imc-os.push_info", true))
}

func TestConfFile(t *testing.T) {
	all := func(string) bool { return true }
	none := func(string) bool { return false }
	assert.Equal(t, "/x/y.conf", confFile("/x/y.conf", "/opt/strongswan/lib/ipsec/libstrongswan.so.0", all))
	assert.Equal(t, "/opt/strongswan/etc/strongswan.conf", confFile("", "/opt/strongswan/lib/ipsec/libstrongswan.so.0", all))
	assert.Equal(t, "/usr/local/etc/strongswan.conf", confFile("", "/usr/local/lib/libstrongswan.so.0", all))
	assert.Equal(t, "/etc/strongswan.conf", confFile("", "/opt/strongswan/lib/ipsec/libstrongswan.so.0", none))
	assert.Equal(t, "/etc/strongswan.conf", confFile("", "/usr/lib/ipsec/libstrongswan.so.0", all))
	assert.Equal(t, "/etc/strongswan.conf", confFile("", "/lib/ipsec/libstrongswan.so.0", all))
	assert.Equal(t, "/etc/strongswan.conf", confFile("", "", all))
}

func TestLevels(t *testing.T) {
	for n, l := range map[int]slog.Level{1: slog.LevelInfo, 2: log.LevelDetail, 3: slog.LevelDebug, 4: LevelPrivate} {
		assert.Equal(t, n, Level(l))
		assert.Equal(t, l, slogLevel(n))
	}
	assert.Equal(t, 1, Level(slog.LevelError))
	assert.Equal(t, slog.LevelError, slogLevel(0))
	assert.Equal(t, LevelPrivate, slogLevel(9))
}

// In a process of its own the IMC knows of the others by the environment.
func TestSiblingsInOtherProcesses(t *testing.T) {
	c := Config{Getenv: func(string) string { return "" }}
	assert.False(t, c.siblingLoaded("imc-os"))
	c.Getenv = func(string) string { return "/a/imc-attestation.so:/usr/lib/ipsec/imcvs/imc-os.so" }
	assert.True(t, c.siblingLoaded("imc-os"))
	assert.False(t, c.siblingLoaded("imc-scanner"))
	assert.False(t, c.siblingLoaded("os"))
	c.SiblingLoaded = func(file string) bool { return file == "imc-scanner.so" }
	assert.True(t, c.siblingLoaded("imc-scanner"))
}

func TestLinesCannotBeForged(t *testing.T) {
	assert.Equal(t, []string{"a", "b"}, Lines("a\nb\n"))
	assert.Equal(t, []string{"a b c"}, Lines("a\x00b\rc"))
	assert.Equal(t, []string{" [31mred\tü"}, Lines("\x1b[31mred\tü"))
	assert.Equal(t, []string{""}, Lines(""))
}

func TestLanguage(t *testing.T) {
	for want, env := range map[string]map[string]string{
		"de-CH": {"LANG": "de_CH.UTF-8"},
		"fr":    {"LC_ALL": "fr", "LANG": "de_CH.UTF-8"},
		"sr-RS": {"LC_MESSAGES": "sr_RS@latin"},
		"":      {"LC_ALL": "C.UTF-8", "LANG": "de_CH.UTF-8"},
	} {
		assert.Equal(t, want, language("", func(k string) string { return env[k] }))
	}
	assert.Equal(t, "it", language("it", func(string) string { return "de" }))
}
