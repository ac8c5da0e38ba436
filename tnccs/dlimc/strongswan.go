package dlimc

import (
	"context"
	"debug/elf"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/log"
)

// strongSwan's IMCs are made for charon, whose libstrongswan they use. In another
// program libimcv starts that library itself, with the plugins of the setting
// libimcv.load, whose default has no hash functions: imc-attestation then refuses
// to start. So they get a strongswan.conf that sets a useful default and includes
// that of the user, whose settings override it.

// confEnv names the strongswan.conf to read.
const confEnv = "STRONGSWAN_CONF"

// imcPlugins are the plugins of libstrongswan that strongSwan's IMCs use: for
// cryptography, and for the database of imc-swima.swid_database.
var imcPlugins = []string{"random", "nonce", "openssl", "gmp", "sha1", "sha2", "hmac", "pem", "pkcs1", "pubkey", "x509", "sqlite", "mysql"}

// usesLibimcv reports whether a library is one of strongSwan's IMCs.
func usesLibimcv(path string) bool {
	f, err := elf.Open(path)
	if err != nil {
		return false // dlopen words it
	}
	defer f.Close()
	libs, err := f.ImportedLibraries()
	if err != nil {
		return false
	}
	for _, l := range libs {
		if strings.HasPrefix(l, "libimcv.so") {
			return true
		}
	}
	return false
}

// userConf returns the strongswan.conf of the user for an IMC at path whose
// environment is env.
func userConf(path string, env []string) string {
	user := ""
	for _, v := range env {
		if s, ok := strings.CutPrefix(v, confEnv+"="); ok {
			user = s
		}
	}
	if user == "" {
		// Where a strongSwan that was built for this place looks.
		user = "/etc/strongswan.conf"
		if prefix, _, ok := strings.Cut(path, "/lib/"); ok && prefix != "" && prefix != "/usr" {
			user = prefix + "/etc/strongswan.conf"
		}
	} else if abs, err := filepath.Abs(user); err == nil {
		user = abs
	}
	return user
}

// strongswanConf returns the text of the strongswan.conf for an IMC at path,
// which includes user.
func strongswanConf(path, user string, l *slog.Logger) string {
	plugins := imcPlugins
	if dir := filepath.Join(filepath.Dir(filepath.Dir(path)), "plugins"); isDir(dir) {
		plugins = nil
		for _, p := range imcPlugins {
			if _, err := os.Stat(filepath.Join(dir, "libstrongswan-"+p+".so")); err == nil {
				plugins = append(plugins, p)
			}
		}
	}
	level := 1
	switch {
	case l == nil:
	case l.Enabled(context.Background(), slog.LevelDebug):
		level = 3
	case l.Enabled(context.Background(), log.LevelDetail):
		level = 2
	}
	return fmt.Sprintf("libimcv {\n  load = %s\n  debug_level = %d\n}\ninclude %s\n", strings.Join(plugins, " "), level, includable.Replace(user))
}

// includable makes a path one that include takes as it is: blanks, braces and #
// end a path there, and it is a pattern of glob(3).
var includable = strings.NewReplacer(`\`, `\\`, " ", `\ `, "#", `\#`, "}", `\}`, `"`, `\"`, "*", `\*`, "?", `\?`, "[", `\[`)

func isDir(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.IsDir()
}

// memoryFile returns an anonymous file with that text. It can be opened by
// others under /proc/self/fd.
func memoryFile(name, text string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create %s in memory: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.WriteString(text); err != nil {
		f.Close()
		return nil, fmt.Errorf("write %s in memory: %w", name, err)
	}
	return f, nil
}
