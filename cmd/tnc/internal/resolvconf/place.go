// Package resolvconf gives the name servers of a connection to the system, the way
// that is in force on this machine: systemd-resolved, resolvconf, or lines of
// resolv.conf. It takes them away again, after a crash too.
package resolvconf

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Where they are looked for.
const (
	DefaultFile    = "/etc/resolv.conf"
	DefaultCommand = "/sbin/resolvconf"
)

// Way is how name servers are given to the system.
type Way string

// Ways.
const (
	Resolved   Way = "systemd-resolved" // over D-Bus, for the tunnel's device
	Resolvconf Way = "resolvconf"       // the command of openresolv or Debian
	File       Way = "file"             // lines of resolv.conf
)

// Config says where name servers may be given to.
type Config struct {
	File    string // resolv.conf; "" = DefaultFile
	Command string // resolvconf; "" = DefaultCommand
	Key     string // of the connection, fit for a file name
	Device  string // of the tunnel; "" = there is none

	// In tests: the folder with nsswitch.conf, the resolv.conf and the resolvconf of
	// the system.
	etc, system, command string
}

// Place is where the name servers of one connection go. As JSON it holds what
// Remove needs in a later run.
type Place struct {
	Way     Way    `json:"way,omitempty"` // "" = nowhere
	File    string `json:"file,omitempty"`
	Made    bool   `json:"made,omitempty"` // File was not there
	Command string `json:"command,omitempty"`
	Key     string `json:"key,omitempty"`
	Device  string `json:"device,omitempty"`
	Link    int    `json:"link,omitempty"` // index of Device

	// Why is the reason for the way, a clause about the machine. Limits is a
	// sentence about what does not work; "" = everything does.
	Why    string `json:"-"`
	Limits string `json:"-"`

	lines []string // in File
}

// Find chooses the way that is in force.
func Find(ctx context.Context, c Config) *Place {
	c.etc, c.system, c.command = cmp.Or(c.etc, "/etc"), cmp.Or(c.system, DefaultFile), cmp.Or(c.command, DefaultCommand)
	p := &Place{Way: File, File: c.system, Key: c.Key, Device: c.Device}
	switch {
	case c.File != "" && c.File != DefaultFile:
		p.File, p.Why = c.File, "charon.plugins.resolve.file names "+c.File
		return p
	case c.Command != "" && isCommand(c.Command):
		p.Way, p.Command, p.Why = Resolvconf, c.Command, "charon.plugins.resolve.resolvconf names "+c.Command
		return p
	}
	content, _ := readResolvConf(c.system)
	owner := ownerOf(c.system, content)
	if p.findResolved(ctx, c, owner == ownerResolved) {
		return p
	}
	switch {
	case owner == ownerResolvconf && isCommand(c.command):
		p.Way, p.Command, p.Why = Resolvconf, c.command, c.system+" is made by it"
	case owner == ownerResolvconf:
		p.Why = "it was made by resolvconf, which is not installed"
	case owner == ownerNetworkManager:
		p.Why = "NetworkManager writes it without systemd-resolved"
	case owner == ownerResolved:
		p.Why = "it was made by systemd-resolved, which does not run"
	default:
		p.Why = "nothing else manages it"
	}
	return p
}

// findResolved completes the place where programs ask systemd-resolved: because
// resolv.conf leads to it, or nsswitch.conf.
func (p *Place) findResolved(ctx context.Context, c Config, leads bool) bool {
	if !leads && !asksResolved(filepath.Join(c.etc, "nsswitch.conf")) {
		return false
	}
	why := c.system + " leads to it"
	if !leads {
		why = "nsswitch.conf asks it"
	}
	switch state := lookAtResolved(ctx); {
	case state == resolvedHere && c.Device != "":
		p.Way, p.Why = Resolved, why
	case state == resolvedHere:
		p.Why = "systemd-resolved takes name servers for a network device only, and the tunnel has none"
		p.Limits = p.Why + ": they are written to " + c.system + ", where programs that ask systemd-resolved itself do not see them (--dataplane tun has a device)"
	case state == resolvedElsewhere:
		p.Why = "systemd-resolved is in another network namespace"
		p.Limits = p.Why + ": where names are not found, give this one a resolv.conf of its own"
	default:
		return false
	}
	return true
}

// What names the place in a log.
func (p *Place) What() string {
	if p.Way == File {
		return p.File
	}
	return string(p.Way)
}

// Install gives the name servers to the system, before those that it has. Domains
// are those whose names they know: systemd-resolved asks them for these alone, and
// for all names where there are none; resolvconf searches them.
func (p *Place) Install(ctx context.Context, dns []netip.Addr, domains []string) error {
	clean := cleanDomains(domains)
	switch p.Way {
	case Resolved:
		return p.installResolved(ctx, dns, clean)
	case Resolvconf:
		return p.runResolvconf(dns, clean)
	}
	p.lines = nil
	for _, d := range dns {
		p.lines = append(p.lines, "nameserver "+d.String()+p.mark())
	}
	return p.rewrite(p.lines)
}

// Remove takes away what Install gave, in this run or an earlier one; what others
// wrote stays.
func (p *Place) Remove(ctx context.Context) error {
	switch p.Way {
	case Resolved:
		return p.removeResolved(ctx)
	case Resolvconf:
		if !isCommand(p.Command) {
			return nil // it was removed, with what it made
		}
		return p.command("-d", "")
	case File:
		p.lines = nil
		return p.rewrite(nil)
	}
	return nil
}

func cleanDomains(domains []string) (clean []string) {
	for _, d := range domains {
		d = strings.Trim(strings.Map(domainRune, d), ".")
		if d != "" && !slices.Contains(clean, d) {
			clean = append(clean, d)
		}
	}
	return clean
}

func domainRune(c rune) rune {
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' {
		return c
	}
	return -1
}

// owner is who makes the resolv.conf of the system.
type owner int

const (
	ownerNobody owner = iota
	ownerResolved
	ownerResolvconf
	ownerNetworkManager
)

// ownerOf returns who makes a resolv.conf: by where it leads, by the comment that
// they write at its head, by the address of the stub.
func ownerOf(path, content string) owner {
	switch to := target(path); {
	case strings.Contains(to, "/systemd/resolve/"), strings.HasSuffix(to, "/systemd/resolv.conf"):
		return ownerResolved
	case strings.Contains(to, "/resolvconf/"):
		return ownerResolvconf
	case strings.Contains(to, "/NetworkManager/"):
		return ownerNetworkManager
	}
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		switch comment := strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";"); {
		case strings.HasPrefix(line, "nameserver 127.0.0.53"), strings.HasPrefix(line, "nameserver 127.0.0.54"):
			return ownerResolved
		case !comment:
		case strings.Contains(line, "systemd-resolved"):
			return ownerResolved
		case strings.Contains(strings.ToLower(line), "generated by resolvconf"):
			return ownerResolvconf
		case strings.Contains(line, "Generated by NetworkManager"):
			return ownerNetworkManager
		}
	}
	return ownerNobody
}

// asksResolved reports whether an nsswitch.conf asks systemd-resolved for hosts.
func asksResolved(path string) bool {
	b, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(b)) {
		line, _, _ = strings.Cut(line, "#")
		if services, found := strings.CutPrefix(strings.TrimSpace(line), "hosts:"); found {
			return slices.Contains(strings.Fields(services), "resolve")
		}
	}
	return false
}

// isCommand reports whether path is a resolvconf of its own: that of systemd is
// resolvectl by another name, and drops entries without a network device.
func isCommand(path string) bool {
	i, err := os.Stat(path)
	if err != nil || i.Mode()&0o111 == 0 || i.IsDir() {
		return false
	}
	target, err := filepath.EvalSymlinks(path)
	return err == nil && filepath.Base(target) != "resolvectl" && filepath.Base(target) != "systemd-resolve"
}

var errNoDevice = errors.New("the tunnel has no network device")
