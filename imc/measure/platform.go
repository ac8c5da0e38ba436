package measure

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/packages"
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Limits of what is read for one answer.
const (
	maxFact    = 64 << 10 // octets of os-release, a certificate, uptime …
	maxSetting = 2048     // octets of one setting, as with strongSwan

	settingsTimeout = 10 * time.Second
)

// ErrUnknown says that a fact of the platform cannot be told.
var ErrUnknown = errors.New("not known on this platform")

// PlatformConfig holds what an administrator says about the platform; empty
// fields are found out.
type PlatformConfig struct {
	Name, Version          string // only together
	DeviceID               string // text
	DevicePublicKey        string // file with a SubjectPublicKeyInfo, PEM or DER
	DeviceCertificate      string // file with an X.509 certificate, PEM or DER
	DefaultPasswordEnabled bool

	Policy Policy // of the files whose content is told as system settings

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
		Name:                   s.String("imcv.os_info.name", ""),
		Version:                s.String("imcv.os_info.version", ""),
		DefaultPasswordEnabled: s.Bool("imcv.os_info.default_password_enabled", false),
		DeviceID:               s.String("plugins.imc-os.device_id", ""),
		DevicePublicKey:        s.String("plugins.imc-os.device_pubkey", ""),
		DeviceCertificate:      s.String("plugins.imc-os.device_cert", ""),
	})
}

// Platform tells facts of the operating system. It keeps nothing between calls
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

type osInfo struct{ name, version string }

// os finds name and version: as configured, else in the first of strongSwan's
// files that exists. The name is ID with its first letter in upper case, the
// version VERSION_ID, a blank and the hardware name ("Debian", "12 x86_64"),
// which is what strongSwan reports where os-release is written as on Debian and
// Ubuntu. Its reader expects ID without and VERSION_ID with quotes: of Fedora's
// and Alpine's versions it drops the first digit and runs on to the next quote,
// and it leaves OpenWrt's name in quotes. Here they are read as os-release(5)
// says.
func (p *Platform) os() (osInfo, error) {
	if p.cfg.Name != "" && p.cfg.Version != "" {
		return osInfo{p.cfg.Name, p.cfg.Version}, nil
	}
	for _, f := range [...]struct{ file, id, version string }{
		{"/etc/os-release", "ID", "VERSION_ID"},
		{"/usr/lib/os-release", "ID", "VERSION_ID"},
		{"/etc/lsb-release", "DISTRIB_ID", "DISTRIB_RELEASE"},
		{"/etc/debian_version", "", ""},
	} {
		b, err := p.read(f.file, maxFact)
		if err != nil {
			continue
		}
		// Of debian_version the major release only, as with strongSwan.
		version, _, _ := strings.Cut(strings.TrimSpace(string(b)), ".")
		info := osInfo{name: "Debian", version: version}
		if f.id != "" {
			info = osInfo{name: capitalize(shellValue(b, f.id)), version: shellValue(b, f.version)}
		}
		if info.name == "" {
			continue
		}
		machine := p.machine()
		if info.name == "Raspbian" && machine == "armv7l" {
			machine = "armhf"
		}
		info.version = strings.TrimSpace(info.version + " " + machine)
		return info, nil
	}
	return osInfo{}, fmt.Errorf("operating system: %w", ErrUnknown)
}

// shellValue finds KEY=value, with or without quotes, in a file of shell
// assignments. A rolling release without VERSION_ID has the empty value.
func shellValue(b []byte, key string) string {
	for line := range strings.Lines(string(b)) {
		v, ok := strings.CutPrefix(strings.TrimSpace(line), key+"=")
		if !ok {
			continue
		}
		if len(v) >= 2 && (v[0] == '"' || v[0] == '\'') && v[len(v)-1] == v[0] {
			v = v[1 : len(v)-1]
		}
		if strings.IndexByte(v, 0) >= 0 {
			return ""
		}
		return v
	}
	return ""
}

func capitalize(s string) string {
	if s == "" {
		return ""
	}
	if c := s[0]; c >= 'a' && c <= 'z' {
		return string(c-'a'+'A') + s[1:]
	}
	return s
}

func (p *Platform) machine() string {
	if p.cfg.Machine != "" {
		return p.cfg.Machine
	}
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Machine[:])
}

func cut(s string, n int) string { return s[:min(len(s), n)] }

func vendor(name string) uint32 {
	switch n := strings.ToLower(name); {
	case strings.HasPrefix(n, "debian"):
		return patnc.PENDebian
	case strings.HasPrefix(n, "ubuntu"):
		return patnc.PENUbuntu
	case strings.HasPrefix(n, "fedora"):
		return patnc.PENFedora
	case strings.HasPrefix(n, "rhel"), strings.HasPrefix(n, "red hat"):
		return patnc.PENRedHat
	case strings.HasPrefix(n, "android"):
		return patnc.PENAndroid
	}
	return 0
}

// numericVersion reads the integers before and after the first dot.
func numericVersion(s string) (major, minor uint32) {
	rest := ""
	major, rest = leadingNumber(s)
	if after, ok := strings.CutPrefix(rest, "."); ok {
		minor, _ = leadingNumber(after)
	}
	return major, minor
}

func leadingNumber(s string) (uint32, string) {
	i := 0
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	n, err := strconv.ParseUint(s[:i], 10, 32)
	if err != nil {
		n = 0
	}
	return uint32(n), s[i:]
}

// boot is the time of the last boot, zero where it cannot be told.
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
	log.Group(p.cfg.Logger, log.IMC).Info(fmt.Sprintf("last boot: %s, %d s ago", boot.Format("Jan 02 15:04:05 UTC 2006"), seconds))
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

// settingRoots are where a system setting may be read; strongSwan's four.
var settingRoots = [...]string{"/etc/", "/proc/", "/sys/", "/var/"}

// Settings returns at most 2048 octets of each file named; names that are not
// allowed or cannot be read are left out. A name must lie below /etc, /proc, /sys
// or /var, also after its links are followed (they may end in /usr/lib as well),
// and everybody on the system must be allowed to read the file: a verifier is not
// handed /etc/shadow. The Policy holds for them too, but for its refusal of /proc
// and /sys. What /proc tells of a single process is no setting.
func (p *Platform) Settings(ctx context.Context, names []string) []patnc.Setting {
	out, err := run(ctx, Files{Limits: Limits{Timeout: settingsTimeout}}, func(r *request) (out []patnc.Setting, _ error) {
		for _, n := range names {
			if r.ctx.Err() != nil {
				break
			}
			v, err := p.setting(r.ctx, n)
			switch {
			case err == nil:
				out = append(out, patnc.Setting{Name: n, Value: v})
			case errors.Is(err, ErrRefused):
				log.Group(p.cfg.Logger, log.IMC).Info(fmt.Sprintf("setting %s is not told: %v", quote(n), err))
			}
		}
		return out, nil
	})
	if err != nil {
		log.Group(p.cfg.Logger, log.IMC).Warn(fmt.Sprintf("reading system settings failed: %v", err))
	}
	return out
}

func (p *Platform) setting(ctx context.Context, name string) ([]byte, error) {
	if checkPath(name) != nil || filepath.Clean(name) != name || !below(name) {
		return nil, ErrUnknown
	}
	if err := p.cfg.Policy.checkDeny(name); err != nil {
		return nil, err
	}
	root, err := filepath.EvalSymlinks(p.cfg.Root)
	if err != nil {
		return nil, err
	}
	root = strings.TrimSuffix(root, "/")
	n, err := lookup(root + name)
	if err != nil {
		return nil, err
	}
	defer n.close()
	rel, ok := strings.CutPrefix(n.path, root)
	if !ok || !below(rel) && !strings.HasPrefix(rel, "/usr/lib/") || ofProcess(rel) {
		return nil, ErrUnknown
	}
	if err := p.cfg.Policy.checkSetting(rel); err != nil {
		return nil, err
	}
	if !n.is(unix.S_IFREG) || n.stat.Mode&unix.S_IROTH == 0 {
		return nil, ErrUnknown
	}
	for dir := filepath.Dir(rel); dir != "/"; dir = filepath.Dir(dir) {
		var st unix.Stat_t
		if err := unix.Lstat(root+dir, &st); err != nil || st.Mode&unix.S_IXOTH == 0 {
			return nil, ErrUnknown
		}
	}
	fd, err := n.open(ctx, false)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	return readAll(fd, maxSetting)
}

// ofProcess reports whether a path without links is a file of a process below
// /proc, such as the host's own memory map, which the kernel shows to nobody
// else whatever its mode says. /proc/net is one of them.
func ofProcess(path string) bool {
	rest, ok := strings.CutPrefix(path, "/proc/")
	pid, file, _ := strings.Cut(rest, "/")
	_, err := strconv.ParseUint(pid, 10, 32)
	return ok && err == nil && !strings.HasPrefix(file, "net/")
}

func below(name string) bool {
	for _, r := range settingRoots {
		if strings.HasPrefix(name, r) {
			return true
		}
	}
	return false
}
