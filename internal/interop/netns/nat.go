package netns

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// NAT is a router between the client of a Pair and its gateway. It translates
// nothing before Translate.
type NAT struct {
	Name    string // of its namespace
	Outside string // its device towards the gateway
	Addr    string // its address there, 192.168.0.200
	client  string
}

// Behind puts a router between the client and the gateway: the client's address
// becomes 10.9.0.2, and its default route leads through the router.
func (p *Pair) Behind(t *testing.T) *NAT {
	t.Helper()
	id := strings.TrimPrefix(p.Client, "tnccl")
	n := &NAT{Name: "tncnat" + id, Outside: "vc" + id, Addr: "192.168.0.200", client: p.Client}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", n.Name).Run() })
	in, out := "vi"+id, "vo"+id
	lines := []string{
		"netns add " + n.Name, "-n " + n.Name + " link set lo up",
		"-n " + p.Client + " link set " + n.Outside + " netns " + n.Name,
		"-n " + n.Name + " addr add " + n.Addr + "/24 dev " + n.Outside, "-n " + n.Name + " link set " + n.Outside + " up",
		"link add " + in + " netns " + p.Client + " type veth peer name " + out + " netns " + n.Name,
		"-n " + n.Name + " addr add 10.9.0.1/24 dev " + out, "-n " + n.Name + " link set " + out + " up",
		"-n " + p.Client + " addr add 10.9.0.2/24 dev " + in, "-n " + p.Client + " link set " + in + " up",
		"-n " + p.Client + " route add default via 10.9.0.1",
	}
	for _, l := range lines {
		if out, err := exec.Command("ip", strings.Fields(l)...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", l, err, out)
		}
	}
	if out, err := Run(n.Name, "sh", "-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"); err != nil {
		t.Fatalf("forward packets: %v: %s", err, out)
	}
	p.ClientAddr = "10.9.0.2"
	return n
}

// Translate gives the client's datagrams these ports ("20000-20100") of the outside
// address, from the next mapping on: by nftables, or by iptables where the kernel has
// NAT for that only, as Debian's User-mode Linux.
func (n *NAT) Translate(ports string) error {
	to := n.Addr + ":" + ports
	nft := Command(context.Background(), n.Name, "nft", "-f", "-")
	nft.Stdin = strings.NewReader("flush ruleset\ntable ip nat {\n chain post {\n type nat hook postrouting priority 100;\n oifname " + n.Outside + " meta l4proto udp snat to " + to + "\n }\n}\n")
	out, err := nft.CombinedOutput()
	if err == nil {
		return nil
	}
	if _, err := exec.LookPath("iptables-legacy"); err != nil {
		return fmt.Errorf("nft: %s, and there is no iptables-legacy", bytes.TrimSpace(out))
	}
	for _, args := range []string{"-t nat -F POSTROUTING", "-t nat -A POSTROUTING -o " + n.Outside + " -p udp -j SNAT --to-source " + to} {
		if out, err := Run(n.Name, append([]string{"iptables-legacy"}, strings.Fields(args)...)...); err != nil {
			return fmt.Errorf("iptables-legacy %s: %s", args, strings.TrimSpace(out))
		}
	}
	return nil
}

// Forget makes the NAT drop its mappings, as a router that was restarted does:
// the link to the client is silent until they have run out.
func (n *NAT) Forget(t *testing.T) {
	t.Helper()
	if out, err := Run(n.Name, "sh", "-c", "for f in /proc/sys/net/netfilter/nf_conntrack_udp_timeout*; do echo 1 >$f; done"); err != nil {
		t.Skipf("SKIP needs connection tracking in the kernel: %s", out)
	}
}
