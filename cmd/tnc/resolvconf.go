package main

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

// resolver puts name servers into resolv.conf, or hands them to resolvconf
// where that is installed.
type resolver struct {
	file    string // resolv.conf
	command string // resolvconf; "" = edit the file
	name    string // of the connection
}

const (
	defaultResolvConf = "/etc/resolv.conf"
	defaultResolvconf = "/sbin/resolvconf"
)

func newResolver(file, command, name string) *resolver {
	if file == "" {
		file = defaultResolvConf
	}
	if command == "" {
		command = defaultResolvconf
	}
	r := &resolver{file: file, name: name}
	if i, err := os.Stat(command); err == nil && i.Mode()&0o111 != 0 && file == defaultResolvConf {
		r.command = command
	}
	return r
}

func (r *resolver) what() string {
	if r.command != "" {
		return "resolvconf"
	}
	return r.file
}

// mark ends each line of ours, so that it is found again, by a later run too.
func (r *resolver) mark() string { return "   # by tnc, from " + r.name }

func (r *resolver) iface() string { return "lo.tnc." + strings.Map(safeName, r.name) }

func safeName(c rune) rune {
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_' {
		return c
	}
	return '_'
}

func (r *resolver) install(dns []netip.Addr, domains []string) error {
	var lines []string
	for _, d := range dns {
		lines = append(lines, "nameserver "+d.String())
	}
	if len(domains) > 0 && r.command != "" {
		var clean []string
		for _, d := range domains {
			if d = strings.Map(domainRune, d); d != "" {
				clean = append(clean, d)
			}
		}
		lines = append(lines, "search "+strings.Join(clean, " "))
	}
	if r.command != "" {
		cmd := exec.Command(r.command, "-a", r.iface())
		cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", r.command, err, strings.TrimSpace(string(out)))
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
	if c = safeName(c); c == '_' {
		return -1
	}
	return c
}

// remove takes our lines out again; those that others wrote stay.
func (r *resolver) remove() error {
	if r.command != "" {
		if out, err := exec.Command(r.command, "-d", r.iface()).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", r.command, err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	return r.rewrite(nil)
}

const maxResolvConf = 1 << 20

// rewrite puts lines first, without those of ours that stand there. The new
// file takes the place of the old one at once; where that cannot be (a file
// that is mounted by itself) it is written in place.
func (r *resolver) rewrite(lines []string) error {
	path := r.file
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
		b, rerr := io.ReadAll(io.LimitReader(f, maxResolvConf))
		f.Close()
		if err = errors.Join(err, rerr); err != nil {
			return err
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
	tmp, err := os.CreateTemp(filepath.Dir(path), ".resolv.conf.tnc")
	if err == nil {
		_, err = tmp.WriteString(out.String())
		err = errors.Join(err, tmp.Chmod(mode), tmp.Close())
		if err == nil {
			err = os.Rename(tmp.Name(), path)
		}
		if err == nil {
			return nil
		}
		_ = os.Remove(tmp.Name())
	}
	return os.WriteFile(path, []byte(out.String()), mode)
}
