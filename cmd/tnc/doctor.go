package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gotnc/gotnc/internal/base/text"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike/dataplane/xfrm"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// finding is one line of tnc doctor.
type finding struct {
	kind   string // ok, note, warning, error
	what   string
	remedy string
}

func newDoctor() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what on this machine would keep a connection from working, with the remedy",
		Long: `Looks at the kernel (ESP, TUN), rights, ports, clock, certificates, TPM, IMA and
the configuration files. Nothing is changed. Exit code 1 where something would
keep every connection from working.`,
		Example: "  sudo tnc doctor",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			bad := 0
			for _, f := range o.diagnose(time.Now()) {
				fmt.Fprintf(cmd.OutOrStdout(), "%-8s %s\n", f.kind, text.Printable(f.what))
				if f.remedy != "" {
					fmt.Fprintf(cmd.OutOrStdout(), "%-8s   %s\n", "", f.remedy)
				}
				if f.kind == "error" {
					bad++
				}
			}
			switch {
			case bad == 1:
				return errors.New("one error keeps connections from working")
			case bad > 1:
				return fmt.Errorf("%d errors keep connections from working", bad)
			}
			return nil
		},
	}
	o.files(cmd)
	return cmd
}

// oldestClock is before any release of this program: a clock that shows less
// was never set.
var oldestClock = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

func (o *options) diagnose(now time.Time) (out []finding) {
	say := func(kind, remedy, format string, args ...any) {
		out = append(out, finding{kind, fmt.Sprintf(format, args...), remedy})
	}
	kernel, tun := xfrm.Probe(), esp.ProbeTUN()
	if kernel == nil {
		say("ok", "", "the kernel has ESP: data plane xfrm")
	} else {
		say("note", "", "data plane xfrm: %v", kernel)
	}
	switch {
	case tun == nil:
		say("ok", "", "TUN devices work: data plane tun")
	case kernel != nil:
		say("error", "make one of the two work, or carry no packets with --dataplane none", "data plane tun: %v", tun)
	default:
		say("note", "", "data plane tun: %v", tun)
	}
	if os.Geteuid() != 0 {
		say("warning", "run as root; tnc attest needs no rights beyond those to measure", "not root: tunnels cannot be made, and what is measured may not be readable")
	}
	charon := config.New().Charon()
	if c, err := readStrongswan(o.strongswan); err == nil {
		charon = c.Charon()
	}
	for _, port := range []uint16{charon.Port, charon.PortNATT} {
		if port == 0 {
			continue
		}
		pc, err := net.ListenPacket("udp4", fmt.Sprintf(":%d", port))
		switch {
		case err == nil:
			pc.Close()
			say("ok", "", "UDP port %d is free", port)
		case errors.Is(err, unix.EADDRINUSE):
			say("note", "stop the other IKE daemon (systemctl stop strongswan-starter strongswan) where the usual ports are wanted", "UDP port %d is taken: another one will be used, as behind a NAT", port)
		default:
			say("note", "", "UDP port %d cannot be used (%v): another one will be used", port, err)
		}
	}
	if now.Before(oldestClock) {
		say("error", "set the clock: timedatectl set-ntp true", "the clock shows %s: certificates will not be valid", now.Format(time.DateOnly))
	} else {
		say("ok", "", "the clock shows %s", now.UTC().Format(time.DateTime+" UTC"))
	}
	switch _, err := os.Stat("/dev/tpmrm0"); {
	case err == nil:
		say("ok", "", "a TPM 2.0 is there: /dev/tpmrm0")
	default:
		if _, err := os.Stat("/dev/tpm0"); err == nil {
			say("ok", "", "a TPM is there: /dev/tpm0")
		} else {
			say("note", "switch it on in the firmware where the gateway asks for quotes", "no TPM")
		}
	}
	if i, err := os.Stat("/sys/kernel/security/ima/ascii_runtime_measurements"); err == nil && i.Mode().IsRegular() {
		say("ok", "", "the kernel measures with IMA")
	} else {
		say("note", "boot with ima_policy=tcb, and mount securityfs, where the gateway asks for it", "no IMA measurements are readable")
	}
	m, err := o.connections()
	if err == nil {
		defer m.Close()
	}
	bad := o.checkConfig(m, err, func(kind string, what error) {
		if kind != "ok" {
			say(kind, "", "%v", what)
		}
	})
	if bad == 0 {
		say("ok", "", "the configuration has no errors")
	}
	certificates(m, now, say)
	return out
}

// certificates looks at the times of all certificates that connections name; nil
// names none. One of several CAs that is out of date keeps no connection from
// working.
func certificates(m *swanctl.Config, now time.Time, say func(kind, remedy, format string, args ...any)) {
	if m == nil {
		return
	}
	seen := map[string]bool{}
	look := func(c *x509.Certificate, file, kind string) {
		if seen[string(c.Raw)] {
			return
		}
		seen[string(c.Raw)] = true
		name := strings.TrimSpace(c.Subject.String() + " " + file)
		switch {
		case now.After(c.NotAfter):
			say(kind, "replace it", "certificate %s expired on %s", name, c.NotAfter.Format(time.DateOnly))
		case now.Before(c.NotBefore):
			say(kind, "check the clock", "certificate %s is valid from %s on", name, c.NotBefore.Format(time.DateOnly))
		case c.NotAfter.Sub(now) < 30*24*time.Hour:
			say("warning", "have it renewed", "certificate %s expires on %s", name, c.NotAfter.Format(time.DateOnly))
		}
	}
	for _, c := range m.Connections {
		if r, err := m.Roots(c); err == nil {
			kind := "error"
			if slices.ContainsFunc(r.Certs, func(x *x509.Certificate) bool { return now.After(x.NotBefore) && now.Before(x.NotAfter) }) {
				kind = "warning"
			}
			for _, x := range r.Certs {
				look(x, "", kind)
			}
		}
		for _, l := range c.Local {
			for _, f := range l.Certs {
				certs, _ := swanctl.LoadCertificates(f) // checkConfig tells what is wrong
				for _, x := range certs {
					look(x, f, "error")
				}
			}
		}
	}
}
