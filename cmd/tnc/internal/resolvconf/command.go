package resolvconf

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
)

// iface is the name of the entry; "lo" sorts it first in Debian's order.
func (p *Place) iface() string { return "lo.tnc." + p.Key }

// runResolvconf adds the entry of the connection.
func (p *Place) runResolvconf(dns []netip.Addr, domains []string) error {
	var in strings.Builder
	for _, d := range dns {
		fmt.Fprintf(&in, "nameserver %s\n", d)
	}
	if len(domains) > 0 {
		fmt.Fprintf(&in, "search %s\n", strings.Join(domains, " "))
	}
	return p.command("-a", in.String())
}

func (p *Place) command(action, in string) error {
	args := []string{action, p.iface()}
	if p.isOpenresolv() {
		if action == "-a" {
			args = append(args, "-m", "0") // before all entries of others
		} else {
			args = append([]string{"-f"}, args...) // it may be gone
		}
	}
	cmd := exec.Command(p.Command, args...)
	cmd.Stdin = strings.NewReader(in)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", p.Command, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// isOpenresolv tells openresolv from Debian's resolvconf, which knows no metrics.
func (p *Place) isOpenresolv() bool {
	out, err := exec.Command(p.Command, "--version").Output()
	return err == nil && strings.HasPrefix(string(out), "openresolv")
}
