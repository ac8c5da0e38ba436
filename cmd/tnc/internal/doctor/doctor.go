// Package doctor finds what on this machine would keep a connection from
// working. It changes nothing.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/cmd/tnc/internal/imccheck"
	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/resolvconf"
	"github.com/gotnc/gotnc/ike/dataplane/tun"
	"github.com/gotnc/gotnc/ike/dataplane/xfrm"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/tpm/device"
)

// oldestClock is before any release of this program: a clock that shows less
// was never set.
var oldestClock = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

type findings []profile.Finding

func (f *findings) add(kind profile.Kind, remedy, format string, args ...any) {
	*f = append(*f, profile.Finding{Kind: kind, Text: fmt.Sprintf(format, args...), Remedy: remedy})
}

// Examine looks at the kernel, rights, ports, clock, TPM, IMA and the
// configuration files.
func Examine(files profile.Files, now time.Time) []profile.Finding {
	var f findings
	f.dataPlanes()
	if os.Geteuid() != 0 {
		f.add(profile.Warning, "run as root; tnc attest needs no rights beyond those to measure", "not root: tunnels cannot be made, and what is measured may not be readable")
	}
	charon, at := settings.ReadCharon(config.New()), device.Config{}
	if p, err := files.LoadSettings(); err == nil {
		charon, at = p.Charon, p.TPM()
	}
	f.port(charon.Port)
	f.port(charon.PortNATT)
	f.nameServers(charon)
	if now.Before(oldestClock) {
		f.add(profile.Error, "set the clock: timedatectl set-ntp true", "the clock shows %s: certificates will not be valid", now.Format(time.DateOnly))
	} else {
		f.add(profile.OK, "", "the clock shows %s", now.UTC().Format(time.DateTime+" UTC"))
	}
	f.tpm(at)
	f.ima()
	f.charonLoads(files)
	bad := false
	for _, c := range files.Check(now) {
		bad = bad || c.Kind == profile.Error
		if c.Kind != profile.OK {
			f = append(f, c)
		}
	}
	if !bad {
		f.add(profile.OK, "", "the configuration has no errors")
	}
	return f
}

func (f *findings) dataPlanes() {
	noKernel, noTUN := xfrm.Probe(), tun.Probe()
	if noKernel == nil {
		f.add(profile.OK, "", "the kernel has ESP: data plane xfrm")
	} else {
		f.add(profile.Note, "", "data plane xfrm: %v", report.WithPlaneRemedy(noKernel))
	}
	switch {
	case noTUN == nil:
		f.add(profile.OK, "", "TUN devices work: data plane tun")
	case noKernel != nil:
		f.add(profile.Error, "make one of the two work, or carry no packets with --dataplane none", "data plane tun: %v", report.WithPlaneRemedy(noTUN))
	default:
		f.add(profile.Note, "", "data plane tun: %v", report.WithPlaneRemedy(noTUN))
	}
}

// port tries to bind a UDP port; 0 is any.
func (f *findings) port(port uint16) {
	if port == 0 {
		return
	}
	pc, err := net.ListenPacket("udp4", fmt.Sprintf(":%d", port))
	switch {
	case err == nil:
		pc.Close()
		f.add(profile.OK, "", "UDP port %d is free", port)
	case errors.Is(err, unix.EADDRINUSE):
		f.add(profile.Note, "stop the other IKE daemon (systemctl stop strongswan-starter strongswan) where the usual ports are wanted", "UDP port %d is taken: another one will be used, as behind a NAT", port)
	default:
		f.add(profile.Note, "", "UDP port %d cannot be used (%v): another one will be used", port, err)
	}
}

// nameServers says where the DNS servers of a gateway go.
func (f *findings) nameServers(charon settings.Charon) {
	if !charon.InstallDNS {
		f.add(profile.OK, "", "DNS servers of a gateway are not used, as charon.plugins.resolve.load says")
		return
	}
	// The device is made with the tunnel.
	p := resolvconf.Find(context.Background(), resolvconf.Config{File: charon.ResolvConf, Command: charon.ResolvconfPath, Device: "tnc0"})
	if p.Limits != "" {
		f.add(profile.Note, "", "DNS servers of a gateway go to %s; %s", p.What(), p.Limits)
		return
	}
	f.add(profile.OK, "", "DNS servers of a gateway go to %s: %s", p.What(), p.Why)
}

// charonLoads says where the charon of this machine would not load the IMCs, which tnc
// does itself.
func (f *findings) charonLoads(files profile.Files) {
	p, err := files.LoadSettings()
	if err != nil {
		return // files.Check says it
	}
	cfg, err := imccheck.FromProfile(p, "")
	if err != nil {
		return
	}
	for _, bad := range imccheck.Check(cfg).OfCharon() {
		f.add(profile.Note, bad.Remedy, "strongSwan, not tnc: %s", bad.Text)
	}
}

// tpmTimeout bounds the wait for a TPM that strongswan.conf names.
const tpmTimeout = 5 * time.Second

// tpm looks for the TPM: where the settings plugins.tpm.tcti say, else the kernel's.
func (f *findings) tpm(at device.Config) {
	if at.Opts != "" || at.Name != "" && at.Name != "device" {
		ctx, cancel := context.WithTimeout(context.Background(), tpmTimeout)
		defer cancel()
		t, err := device.OpenTransport(ctx, at)
		if err != nil {
			f.add(profile.Warning, "correct plugins.tpm.tcti, or start it", "%v", err)
			return
		}
		_ = t.Close()
		f.add(profile.OK, "", "the TPM of plugins.tpm.tcti is there: %v", at)
		return
	}
	if _, err := os.Stat("/dev/tpmrm0"); err == nil {
		f.add(profile.OK, "", "a TPM 2.0 is there: /dev/tpmrm0")
	} else if _, err := os.Stat("/dev/tpm0"); err == nil {
		f.add(profile.OK, "", "a TPM is there: /dev/tpm0")
	} else {
		f.add(profile.Note, "switch it on in the firmware where the gateway asks for quotes", "no TPM")
	}
}

func (f *findings) ima() {
	if i, err := os.Stat("/sys/kernel/security/ima/ascii_runtime_measurements"); err == nil && i.Mode().IsRegular() {
		f.add(profile.OK, "", "the kernel measures with IMA")
	} else {
		f.add(profile.Note, "boot with ima_policy=tcb, and mount securityfs, where the gateway asks for it", "no IMA measurements are readable")
	}
}
