package client

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/internal/base/text"
)

// updownEnvironment returns what strongSwan's updown plugin passes to a script;
// the verb and what depends on the selector are added by runUpdown.
func (c *Client) updownEnvironment(sa *ike.ChildSA) []string {
	c.state.mu.Lock()
	number, res := c.state.started, c.state.result
	c.state.mu.Unlock()
	env := []string{
		"PLUTO_VERSION=1.1",
		"PLUTO_CONNECTION=" + sa.Name,
		"PLUTO_REQID=1",
		fmt.Sprintf("PLUTO_UNIQUEID=%d", number),
		"PLUTO_PROTO=esp",
		"PLUTO_ME=" + sa.Local.Addr().String(),
		"PLUTO_MY_ID=" + res.Identity,
		"PLUTO_PEER=" + sa.Remote.Addr().String(),
		"PLUTO_PEER_ID=" + res.GatewayID,
	}
	if device := c.plane.Info().Device; device != "" {
		env = append(env, "PLUTO_INTERFACE="+device)
	}
	k := c.planeConfig().ForChild(sa.Name)
	for _, m := range []struct {
		name string
		mark dataplane.Mark
	}{{"MARK_IN", k.MarkIn}, {"MARK_OUT", k.MarkOut}} {
		if m.mark.Mask != 0 {
			env = append(env, fmt.Sprintf("PLUTO_%s=%d/0x%08x", m.name, m.mark.Value, m.mark.Mask))
		}
	}
	if k.IfIDIn != 0 {
		env = append(env, fmt.Sprintf("PLUTO_IF_ID_IN=%d", k.IfIDIn))
	}
	if k.IfIDOut != 0 {
		env = append(env, fmt.Sprintf("PLUTO_IF_ID_OUT=%d", k.IfIDOut))
	}
	if sa.Encap {
		env = append(env, fmt.Sprintf("PLUTO_UDP_ENC=%d", sa.Remote.Port()))
	}
	env = append(env, internalEnvironment(sa.Internal)...)
	for i, e := range env {
		name, value, _ := strings.Cut(e, "=")
		env[i] = name + "=" + text.Shell(value) // the gateway's identity is a stranger's text
	}
	return env
}

// internalEnvironment returns the variables of virtual IPs and name servers.
func internalEnvironment(internal ike.Internal) (env []string) {
	n4, n6 := 0, 0
	for _, a := range internal.Addresses {
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
	for _, d := range internal.DNS {
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
