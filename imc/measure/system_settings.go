package measure

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Limits of one request for system settings.
const (
	maxSetting      = 2048 // octets of one setting, as with strongSwan
	settingsTimeout = 10 * time.Second
)

// settingRoots are where a system setting may be read; strongSwan's four.
var settingRoots = [...]string{"/etc/", "/proc/", "/sys/", "/var/"}

// Settings returns at most 2048 octets of each file named; names that are not
// allowed or cannot be read are left out. A name must lie below /etc, /proc, /sys
// or /var, also after its links are followed (they may end in /usr/lib as well),
// and everybody on the system must be allowed to read the file: a verifier is not
// handed /etc/shadow. The Policy holds for them too. Of the files that the kernel
// makes up, wherever they are mounted, those of kernelSettings are told, and those
// that measure_allow names below /proc and /sys; files of a single process never.
func (p *Platform) Settings(ctx context.Context, names []string) []patnc.Setting {
	out, err := run(ctx, Files{Limits: Limits{Timeout: settingsTimeout}, Policy: p.cfg.Policy}, func(r *request) (out []patnc.Setting, _ error) {
		for _, n := range names {
			if r.ctx.Err() != nil {
				break
			}
			v, err := p.setting(r, n)
			switch {
			case err == nil:
				out = append(out, patnc.Setting{Name: n, Value: v})
			case errors.Is(err, ErrRefused):
				log.Infof(log.Group(p.cfg.Logger, log.IMC), "setting %s is not told: %v", quote(n), err)
			}
		}
		return out, nil
	})
	if err != nil {
		log.Warnf(log.Group(p.cfg.Logger, log.IMC), "reading system settings failed: %v", err)
	}
	return out
}

func (p *Platform) setting(r *request, name string) ([]byte, error) {
	if checkPath(name) != nil || filepath.Clean(name) != name || !belowSettingRoots(name) {
		return nil, ErrUnknown
	}
	if err := p.cfg.Policy.checkRefused(name); err != nil {
		return nil, err
	}
	root, err := filepath.EvalSymlinks(p.cfg.Root)
	if err != nil {
		return nil, err
	}
	root = strings.TrimSuffix(root, "/")
	n, err := lookup(root + name)
	if err != nil {
		return nil, err
	}
	defer n.close()
	rel, ok := strings.CutPrefix(n.path, root)
	if !ok || !belowSettingRoots(rel) && !strings.HasPrefix(rel, "/usr/lib/") {
		return nil, ErrUnknown
	}
	if err := p.cfg.Policy.checkSetting(rel); err != nil {
		return nil, err
	}
	if !n.is(unix.S_IFREG) || n.stat.Mode&unix.S_IROTH == 0 {
		return nil, ErrUnknown
	}
	for dir := filepath.Dir(rel); dir != "/"; dir = filepath.Dir(dir) {
		var st unix.Stat_t
		if err := unix.Lstat(root+dir, &st); err != nil || st.Mode&unix.S_IXOTH == 0 {
			return nil, ErrUnknown
		}
	}
	kind, err := n.kernelFile()
	if err != nil {
		return nil, err
	}
	if err := p.cfg.Policy.kernelSetting(name, rel, kind); err != nil {
		return nil, err
	}
	if kind == "" {
		if err := r.permitsOtherNames(n); err != nil {
			return nil, err
		}
	}
	fd, err := n.open(r.ctx, false)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return readAll(fd, maxSetting)
}

func belowSettingRoots(name string) bool {
	for _, r := range settingRoots {
		if strings.HasPrefix(name, r) {
			return true
		}
	}
	return false
}
