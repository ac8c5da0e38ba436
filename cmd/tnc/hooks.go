package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/internal/log"
)

// hooks is what a connection does beside its packets: name servers and the
// updown script.
type hooks struct {
	resolv *resolver // nil where none was changed
	script func(verb string) error
	logger *slog.Logger
}

// up installs the name servers and runs the updown script. What fails is
// told; the tunnel stays.
func (h *hooks) up(c *connection, sa *ike.ChildSA) error {
	h.logger = c.logger
	var errs []error
	if _, off := c.plane.(noPlane); !off && len(sa.Internal.DNS) > 0 && c.charon.InstallDNS {
		h.resolv = newResolver(c.charon.ResolvConf, c.charon.ResolvconfPath, c.conn.Name)
		c.left.Resolv, c.left.Resolvcmd = h.resolv.file, h.resolv.command
		if err := c.guard.note(c.left); err != nil {
			errs = append(errs, err)
		}
		for _, d := range sa.Internal.DNS {
			log.Group(c.logger, log.IKE).Info(fmt.Sprintf("installing DNS server %s to %s", d, h.resolv.what()))
		}
		if err := h.resolv.install(sa.Internal.DNS, sa.Internal.Domains); err != nil {
			errs = append(errs, fmt.Errorf("install DNS servers: %w", err))
			h.resolv = nil
		}
	}
	ch := c.firstChild()
	if ch != nil && ch.Updown != "" {
		device := ""
		if d, ok := c.plane.(*devicePlane); ok && d.plane != nil {
			device = d.plane.Device()
		}
		env := plutoEnv(c, sa, device)
		command := ch.Updown
		h.script = func(verb string) error { return runUpdown(command, verb, env, sa) }
		if err := h.script("up"); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// down undoes up. It may be called without.
func (h *hooks) down() {
	if h.script != nil {
		if err := h.script("down"); err != nil {
			log.Group(h.logger, log.CHD).Warn(err.Error())
		}
		h.script = nil
	}
	if h.resolv != nil {
		if err := h.resolv.remove(); err != nil {
			log.Group(h.logger, log.IKE).Warn("remove DNS servers: " + err.Error())
		}
		h.resolv = nil
	}
}

// plutoEnv is what strongSwan's updown plugin tells a script; the verb and what
// depends on the selector follow in runUpdown.
func plutoEnv(c *connection, sa *ike.ChildSA, device string) []string {
	env := []string{
		"PLUTO_VERSION=1.1",
		"PLUTO_CONNECTION=" + sa.Name,
		"PLUTO_REQID=1",
		fmt.Sprintf("PLUTO_UNIQUEID=%d", c.life.num),
		"PLUTO_PROTO=esp",
		"PLUTO_ME=" + sa.Local.Addr().String(),
		"PLUTO_MY_ID=" + c.out.Identity,
		"PLUTO_PEER=" + sa.Remote.Addr().String(),
		"PLUTO_PEER_ID=" + c.out.GatewayID,
	}
	if device != "" {
		env = append(env, "PLUTO_INTERFACE="+device)
	}
	if sa.Encap {
		env = append(env, fmt.Sprintf("PLUTO_UDP_ENC=%d", sa.Remote.Port()))
	}
	n4, n6 := 0, 0
	for _, a := range sa.Internal.Addresses {
		x := a.Addr()
		if n4+n6 == 0 {
			env = append(env, "PLUTO_MY_SOURCEIP="+x.String())
		}
		if x.Is4() {
			n4++
			env = append(env, fmt.Sprintf("PLUTO_MY_SOURCEIP4_%d=%s", n4, x))
		} else {
			n6++
			env = append(env, fmt.Sprintf("PLUTO_MY_SOURCEIP6_%d=%s", n6, x))
		}
	}
	d4, d6 := 0, 0
	for _, d := range sa.Internal.DNS {
		if d.Is4() {
			d4++
			env = append(env, fmt.Sprintf("PLUTO_DNS4_%d=%s", d4, d))
		} else {
			d6++
			env = append(env, fmt.Sprintf("PLUTO_DNS6_%d=%s", d6, d))
		}
	}
	return env
}

// updownTimeout bounds a script: it must not keep the tunnel from ending.
const updownTimeout = 30 * time.Second

// runUpdown runs the script once for each pair of selectors, as strongSwan
// does.
func runUpdown(command, verb string, env []string, sa *ike.ChildSA) error {
	var errs []error
	for _, mine := range sa.LocalTS {
		for _, peer := range sa.RemoteTS {
			if !mine.Start.IsValid() || !peer.Start.IsValid() || mine.Start.Is4() != peer.Start.Is4() {
				continue
			}
			v := verb + "-client"
			if mine.Start == mine.End && mine.Start == sa.Local.Addr() {
				v = verb + "-host"
			}
			if mine.Start.Is6() {
				v += "-v6"
			}
			e := append(os.Environ(), env...)
			e = append(e, "PLUTO_VERB="+v)
			for _, s := range []struct {
				name string
				ts   ike.TrafficSelector
			}{{"MY", mine}, {"PEER", peer}} {
				port := "0"
				if s.ts.StartPort == s.ts.EndPort {
					port = strconv.Itoa(int(s.ts.StartPort))
				}
				e = append(e, "PLUTO_"+s.name+"_CLIENT="+clientNet(s.ts), "PLUTO_"+s.name+"_PORT="+port,
					fmt.Sprintf("PLUTO_%s_PROTOCOL=%d", s.name, s.ts.Protocol))
			}
			cmd := exec.Command("/bin/sh", "-c", command)
			cmd.Env = e
			cmd.WaitDelay = time.Second
			t := time.AfterFunc(updownTimeout, func() { _ = cmd.Process.Kill() })
			out, err := cmd.CombinedOutput()
			t.Stop()
			if err != nil {
				errs = append(errs, fmt.Errorf("updown script %q for %s: %w: %s", command, v, err, strings.TrimSpace(string(out))))
			}
		}
	}
	return errors.Join(errs...)
}

// clientNet writes a selector as net/bits, the smallest that holds it.
func clientNet(ts ike.TrafficSelector) string {
	for bits := ts.Start.BitLen(); bits >= 0; bits-- {
		p := netip.PrefixFrom(ts.Start, bits).Masked()
		if p.Contains(ts.End) {
			return p.String()
		}
	}
	return ts.Start.String()
}

// resolver puts name servers into resolv.conf, or hands them to resolvconf
// where that is installed.
type resolver struct {
	file    string // resolv.conf
	command string // resolvconf; "" = edit the file
	name    string // of the connection
	lines   []string
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
