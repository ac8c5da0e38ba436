package resolvconf

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// maxFile is the largest resolv.conf that is edited, octets.
const maxFile = 1 << 20

// mark returns what ends each line that this program writes, so that it is found
// later, by another run too.
func (p *Place) mark() string { return "   # by tnc, from " + p.Key }

// readResolvConf reads a resolv.conf; missing it is empty.
func readResolvConf(path string) (content string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s has more than %d octets and stays as it is", path, maxFile)
	}
	return string(b), err
}

// target returns the file that a link leads to, also where there is none yet.
func target(path string) string {
	for range 8 {
		to, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path), to)
		}
		path = to
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(dir, filepath.Base(path))
	}
	return path
}

// rewrite puts lines first and removes those of earlier calls. The new file
// replaces the old one at once; where that cannot be (a file that is mounted by
// itself, or that of another user, whom this one may not give it) it is written in
// place. Links stay links, and a file that was not there
// goes when nothing is in it any more.
func (p *Place) rewrite(lines []string) error {
	path := target(p.File)
	mode := os.FileMode(0o644)
	uid, gid := os.Geteuid(), os.Getegid()
	before, err := readResolvConf(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if len(lines) == 0 {
			return nil
		}
		p.Made = true
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		if i, err := os.Stat(path); err == nil {
			mode = i.Mode().Perm()
			if st, ok := i.Sys().(*syscall.Stat_t); ok {
				uid, gid = int(st.Uid), int(st.Gid)
			}
		}
	}
	var out strings.Builder
	for _, l := range lines {
		out.WriteString(l + "\n")
	}
	for l := range strings.Lines(before) {
		if !strings.HasSuffix(strings.TrimRight(l, "\n"), p.mark()) {
			out.WriteString(l)
		}
	}
	switch {
	case out.String() == before:
		return nil
	case out.Len() == 0 && p.Made:
		return os.Remove(path)
	}
	// The name is this connection's own: what a killed run left is overwritten.
	name := filepath.Join(filepath.Dir(path), ".resolv.conf.tnc."+p.Key)
	_ = os.Remove(name)
	tmp, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err == nil {
		_, err = tmp.WriteString(out.String())
		if uid != os.Geteuid() || gid != os.Getegid() { // it stays its owner's
			err = errors.Join(err, tmp.Chown(uid, gid))
		}
		err = errors.Join(err, tmp.Chmod(mode), tmp.Close())
		if err == nil {
			err = os.Rename(name, path)
		}
		if err == nil {
			return nil
		}
		_ = os.Remove(name)
	}
	return os.WriteFile(path, []byte(out.String()), mode)
}

// keepInterval is how often resolv.conf is looked at.
const keepInterval = 3 * time.Second

// Keep puts the lines of Install back into resolv.conf when others write it anew,
// as NetworkManager and DHCP clients do, until ctx is done. Other ways need none of
// it: it returns at once.
func (p *Place) Keep(ctx context.Context, every time.Duration, failed func(error)) {
	if p.Way != File || len(p.lines) == 0 {
		return
	}
	if every == 0 {
		every = keepInterval
	}
	lines := p.lines
	ours := strings.Join(lines, "\n") + "\n"
	t := time.NewTicker(every)
	defer t.Stop()
	var last string
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		content, err := readResolvConf(p.File)
		if err == nil && strings.Contains(content, ours) || errors.Is(err, os.ErrNotExist) {
			continue // those of a further connection may stand before
		}
		if err := p.rewrite(lines); err != nil && err.Error() != last {
			last = err.Error()
			failed(err)
		}
	}
}
