// Package resolvconf gives the name servers of a connection to the system: as
// lines of resolv.conf, or through resolvconf where that is installed, and takes
// them away again, after a crash too.
package resolvconf

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Where they are looked for.
const (
	DefaultFile    = "/etc/resolv.conf"
	DefaultCommand = "/sbin/resolvconf"
)

// Resolver is the place for the name servers of one connection.
type Resolver struct {
	File    string // resolv.conf
	Command string // resolvconf; "" = edit File
	Key     string // of the connection, fit for a file name
}

// New chooses the place: command ("" = DefaultCommand) where it is installed and
// file ("" = DefaultFile) is the system's, else file.
func New(file, command, key string) *Resolver {
	if file == "" {
		file = DefaultFile
	}
	if command == "" {
		command = DefaultCommand
	}
	r := &Resolver{File: file, Key: key}
	if i, err := os.Stat(command); err == nil && i.Mode()&0o111 != 0 && file == DefaultFile {
		r.Command = command
	}
	return r
}

// What names the place in a log.
func (r *Resolver) What() string {
	if r.Command != "" {
		return "resolvconf"
	}
	return r.File
}

// mark returns what ends each line that this program writes, so that it is found
// later, by another run too.
func (r *Resolver) mark() string { return "   # by tnc, from " + r.Key }

func (r *Resolver) iface() string { return "lo.tnc." + r.Key }

// Install puts the name servers in front of those that are there, and hands
// search domains to resolvconf.
func (r *Resolver) Install(dns []netip.Addr, domains []string) error {
	var lines []string
	for _, d := range dns {
		lines = append(lines, "nameserver "+d.String())
	}
	if len(domains) > 0 && r.Command != "" {
		var clean []string
		for _, d := range domains {
			if d = strings.Map(domainRune, d); d != "" {
				clean = append(clean, d)
			}
		}
		lines = append(lines, "search "+strings.Join(clean, " "))
	}
	if r.Command != "" {
		cmd := exec.Command(r.Command, "-a", r.iface())
		cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", r.Command, err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	for i := range lines {
		lines[i] += r.mark()
	}
	return r.rewrite(lines)
}

func domainRune(c rune) rune {
	if c == '.' {
		return c
	}
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' {
		return c
	}
	return -1
}

// Remove takes our lines out again; those that others wrote stay.
func (r *Resolver) Remove() error {
	if r.Command != "" {
		if out, err := exec.Command(r.Command, "-d", r.iface()).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", r.Command, err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	return r.rewrite(nil)
}

// maxFile is the largest resolv.conf that is edited, octets.
const maxFile = 1 << 20

// rewrite puts lines first and removes those of earlier calls. The new file
// replaces the old one at once; where that cannot be (a file that is mounted by
// itself) it is written in place.
func (r *Resolver) rewrite(lines []string) error {
	path := r.File
	if p, err := filepath.EvalSymlinks(path); err == nil {
		path = p
	}
	mode := os.FileMode(0o644)
	var before string
	f, err := os.Open(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if len(lines) == 0 {
			return nil
		}
	case err != nil:
		return err
	default:
		i, err := f.Stat()
		b, rerr := io.ReadAll(io.LimitReader(f, maxFile+1))
		f.Close()
		if err = errors.Join(err, rerr); err != nil {
			return err
		}
		if len(b) > maxFile {
			return fmt.Errorf("%s has more than %d octets and stays as it is", path, maxFile)
		}
		mode, before = i.Mode().Perm(), string(b)
	}
	var out strings.Builder
	for _, l := range lines {
		out.WriteString(l + "\n")
	}
	for l := range strings.Lines(before) {
		if !strings.HasSuffix(strings.TrimRight(l, "\n"), r.mark()) {
			out.WriteString(l)
		}
	}
	if out.String() == before {
		return nil
	}
	// The name is this connection's own: what a killed run left is overwritten.
	name := filepath.Join(filepath.Dir(path), ".resolv.conf.tnc."+r.Key)
	_ = os.Remove(name)
	tmp, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err == nil {
		_, err = tmp.WriteString(out.String())
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
