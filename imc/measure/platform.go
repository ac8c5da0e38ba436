package measure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/packages"
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/log"
)

// maxFact bounds what is read of os-release, a certificate, uptime …, in octets.
const maxFact = 64 << 10

// ErrUnknown says that a fact of the platform cannot be found out.
var ErrUnknown = errors.New("not known on this platform")

// PlatformConfig holds what an administrator says about the platform; empty
// fields are found out.
type PlatformConfig struct {
	Name, Version          string // only together
	DeviceID               string // text
	DevicePublicKey        string // file with a SubjectPublicKeyInfo, PEM or DER
	DeviceCertificate      string // file with an X.509 certificate, PEM or DER
	DefaultPasswordEnabled bool

	Policy Policy // of the files whose content is sent as system settings

	Logger  *slog.Logger     // nil discards
	Root    string           // where the file system begins; "" = /
	Now     func() time.Time // nil = time.Now
	Machine string           // hardware name; "" = uname
}

// Settings is what PlatformFromSettings reads; imc.Settings has it.
type Settings interface {
	String(key, def string) string
	Bool(key string, def bool) bool
}

// PlatformFromSettings returns the Platform that strongswan.conf describes with
// imcv.os_info.{name,version,default_password_enabled} and
// plugins.imc-os.{device_id,device_pubkey,device_cert}; device_handle is a matter
// of the TPM.
func PlatformFromSettings(s Settings, logger *slog.Logger) *Platform {
	policy, _ := policyFromSettings(s) // FilesFromSettings tells what is wrong
	return NewPlatform(PlatformConfig{
		Policy:                 policy,
		Logger:                 logger,
		Name:                   settings.OSName.Read(s),
		Version:                settings.OSVersion.Read(s),
		DefaultPasswordEnabled: settings.DefaultPasswordEnabled.Read(s),
		DeviceID:               settings.DeviceID.Read(s),
		DevicePublicKey:        settings.DevicePubkey.Read(s),
		DeviceCertificate:      settings.DeviceCert.Read(s),
	})
}

// Platform reads facts of the operating system. It keeps nothing between calls
// and may be used from many goroutines.
type Platform struct{ cfg PlatformConfig }

// NewPlatform returns a Platform.
func NewPlatform(cfg PlatformConfig) *Platform {
	if cfg.Root == "" {
		cfg.Root = "/"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Platform{cfg: cfg}
}

// Attribute returns the value of one of the operating system's attributes.
func (p *Platform) Attribute(ctx context.Context, t patnc.Type) (patnc.Value, error) {
	switch t {
	case patnc.TypeProductInformation:
		os, err := p.os()
		if err != nil {
			return nil, err
		}
		return patnc.ProductInformation{Vendor: vendor(os.name), Name: os.name}, nil
	case patnc.TypeStringVersion:
		os, err := p.os()
		if err != nil {
			return nil, err
		}
		return patnc.StringVersion{Version: cut(os.version, math.MaxUint8)}, nil
	case patnc.TypeNumericVersion:
		os, err := p.os()
		if err != nil {
			return nil, err
		}
		major, minor := numericVersion(os.version)
		return patnc.NumericVersion{Major: major, Minor: minor}, nil
	case patnc.TypeOperationalStatus:
		return patnc.OperationalStatus{Status: patnc.Operational, Result: patnc.ResultSuccessful, LastUse: p.boot()}, nil
	case patnc.TypeForwardingEnabled:
		return patnc.ForwardingStatus{Status: p.forwarding()}, nil
	case patnc.TypeFactoryDefaultPassword:
		return patnc.FactoryDefaultPassword{Enabled: p.cfg.DefaultPasswordEnabled}, nil
	case patnc.TypeITADeviceID:
		id, err := p.deviceID()
		if err != nil {
			return nil, err
		}
		return patnc.DeviceID{ID: id}, nil
	case patnc.TypePortFilter:
		ports, err := p.ports()
		if err != nil {
			return nil, err
		}
		return patnc.PortFilter{Ports: ports}, nil
	case patnc.TypeInstalledPackages:
		return p.installed(ctx)
	}
	return nil, ErrUnknown
}

// installed lists the packages of the system's package manager.
func (p *Platform) installed(ctx context.Context) (patnc.Value, error) {
	cfg := packages.Config{Root: p.cfg.Root, Logger: p.cfg.Logger}
	if info, err := p.os(); err == nil {
		cfg.System = info.name
	}
	all, err := packages.Installed(ctx, cfg)
	if errors.Is(err, packages.ErrNoDatabase) {
		err = ErrUnknown
	}
	if err != nil {
		return nil, fmt.Errorf("installed packages: %w", err)
	}
	v := patnc.InstalledPackages{Packages: make([]patnc.Package, len(all))}
	for i, e := range all {
		v.Packages[i] = patnc.Package(e)
	}
	return v, nil
}

// read returns at most limit octets of a regular file below the root.
func (p *Platform) read(name string, limit int) ([]byte, error) {
	return readFile(filepath.Join(p.cfg.Root, name), limit)
}

func readFile(name string, limit int) ([]byte, error) {
	fd, err := openFile(name)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return readAll(fd, limit)
}

// readAll reads at most limit octets.
func readAll(fd, limit int) ([]byte, error) {
	b := make([]byte, 0, min(limit, 4096))
	for len(b) < limit {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := unix.Read(fd, b[len(b):min(cap(b), limit)])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		case n <= 0:
			return b, nil
		}
		b = b[:len(b)+n]
	}
	return b, nil
}

// boot returns the time of the last boot, zero where it is not known.
func (p *Platform) boot() time.Time {
	b, err := p.read("/proc/uptime", 256)
	if err != nil {
		return time.Time{}
	}
	seconds, _ := leadingNumber(string(b))
	if seconds == 0 {
		return time.Time{}
	}
	boot := p.cfg.Now().Add(-time.Duration(seconds) * time.Second).UTC().Truncate(time.Second)
	log.Infof(log.Group(p.cfg.Logger, log.IMC), "last boot: %s, %d s ago", boot.Format("Jan 02 15:04:05 UTC 2006"), seconds)
	return boot
}

func (p *Platform) forwarding() patnc.Forwarding {
	b, err := p.read("/proc/sys/net/ipv4/ip_forward", 16)
	if err != nil || len(b) == 0 {
		return patnc.ForwardingUnknown
	}
	switch b[0] {
	case '0':
		return patnc.ForwardingDisabled
	case '1':
		return patnc.ForwardingEnabled
	}
	return patnc.ForwardingUnknown
}
