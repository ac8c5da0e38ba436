package attestation

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

// lastNamespace is the section that is read last, whatever the host.
const lastNamespace = "libimcv"

// namespaces returns the sections of strongswan.conf that hold the settings in
// this host: the program's own, for charon's relatives charon's, then libimcv.
func namespaces(program string) []string {
	ns := make([]string, 0, 3)
	// A dot would name a subsection.
	if program != "" && !strings.ContainsAny(program, ".{}:") {
		ns = append(ns, program)
	}
	if program == "tnc" || strings.HasPrefix(program, "charon-") {
		ns = append(ns, "charon")
	}
	return append(ns, lastNamespace)
}

// confFile returns the strongswan.conf that applies: STRONGSWAN_CONF, else the
// one that the host's libstrongswan was built for, else Debian's.
func confFile(env, library string, exists func(string) bool) string {
	if env != "" {
		return env
	}
	// PREFIX/lib/ipsec/libstrongswan.so.0 or PREFIX/lib/libstrongswan.so.0
	for dir := filepath.Dir(library); strings.HasPrefix(dir, "/") && dir != "/"; dir = filepath.Dir(dir) {
		if base := filepath.Base(dir); base == "lib" || base == "lib64" {
			prefix := filepath.Dir(dir)
			if file := filepath.Join(prefix, "etc", "strongswan.conf"); prefix != "/" && prefix != "/usr" && exists(file) {
				return file
			}
			break
		}
	}
	return config.DefaultFile
}

// imcSettings reads what strongSwan's libimcv reads (imc.Settings): keys below the
// namespaces, and those of its subsection imcv there, else directly in libimcv,
// so that imcv.os_info.name is charon.imcv.os_info.name or libimcv.os_info.name.
type imcSettings struct{ top, imcv config.View }

func newSettings(cfg *config.Config, namespaces []string) imcSettings {
	sections := make([]string, 0, len(namespaces)+1)
	for _, ns := range namespaces {
		sections = append(sections, ns+".imcv")
	}
	return imcSettings{top: cfg.View(namespaces...), imcv: cfg.View(append(sections, lastNamespace)...)}
}

func (s imcSettings) at(key string) (config.View, string) {
	if k, ok := strings.CutPrefix(key, "imcv."); ok {
		return s.imcv, k
	}
	return s.top, key
}

// String implements imc.Settings.
func (s imcSettings) String(key, def string) string { v, k := s.at(key); return v.String(k, def) }

// Bool implements imc.Settings.
func (s imcSettings) Bool(key string, def bool) bool { v, k := s.at(key); return v.Bool(k, def) }

// Int implements imc.Settings.
func (s imcSettings) Int(key string, def int) int { v, k := s.at(key); return v.Int(k, def) }

// language is the user's as an RFC 5646 tag: as set, else that of the locale
// ("de_CH.UTF-8" is de-CH); "" for the locales C and POSIX.
func language(set string, env func(string) string) string {
	if set != "" {
		return set
	}
	for _, name := range [...]string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		v := env(name)
		if v == "" {
			continue
		}
		if i := strings.IndexAny(v, ".@"); i >= 0 {
			v = v[:i]
		}
		if v == "C" || v == "POSIX" || len(v) > 35 {
			return ""
		}
		return strings.ReplaceAll(v, "_", "-")
	}
	return ""
}

func isFile(path string) bool {
	i, err := os.Stat(path)
	return err == nil && i.Mode().IsRegular()
}
