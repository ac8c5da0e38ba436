package measure

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // the key ID of a SubjectPublicKeyInfo is SHA-1
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/log"
)

// Limits of what is read for one answer.
const (
	maxFact      = 64 << 10 // octets of os-release, a certificate, uptime …
	maxSetting   = 2048     // octets of one setting, as with strongSwan
	maxPackages  = math.MaxUint16
	maxDpkgLine  = 1 << 20
	maxDpkgLines = 20_000_000
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
// plugins.imc-os.{device_id,device_pubkey,device_cert}.
func PlatformFromSettings(s Settings, logger *slog.Logger) *Platform {
	return NewPlatform(PlatformConfig{
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
	case patnc.TypeInstalledPackages:
		list, err := p.packages(ctx)
		if err != nil {
			return nil, err
		}
		return patnc.InstalledPackages{Packages: list}, nil
	}
	return nil, ErrUnknown
}

// read returns at most limit octets of a regular file below the root.
func (p *Platform) read(name string, limit int) ([]byte, error) {
	return readFile(filepath.Join(p.cfg.Root, name), 0, limit)
}

func readFile(name string, flags, limit int) ([]byte, error) {
	fd, err := open(name, flags)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
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
// files that exists. The version ends with the hardware name.
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
		info := osInfo{name: "Debian", version: strings.TrimSpace(string(b))}
		if f.id != "" {
			info = osInfo{name: capitalize(shellValue(b, f.id)), version: shellValue(b, f.version)}
		}
		if info.name == "" {
			continue
		}
		info.version = strings.TrimSpace(info.version + " " + p.machine())
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
	return p.cfg.Now().Add(-time.Duration(seconds) * time.Second).UTC().Truncate(time.Second)
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

// deviceID is the first of: the configured text; the SHA-1 of the configured
// public key, of the configured certificate's; the machine ID. A key that
// cannot be loaded leads to the next, as with strongSwan.
func (p *Platform) deviceID() (string, error) {
	if p.cfg.DeviceID != "" {
		return p.cfg.DeviceID, nil
	}
	imc := log.Group(p.cfg.Logger, log.IMC)
	if f := p.cfg.DevicePublicKey; f != "" {
		if id, err := keyID(f, func(der []byte) ([]byte, error) {
			_, err := x509.ParsePKIXPublicKey(der)
			return der, err
		}); err == nil {
			return id, nil
		} else {
			imc.Warn(fmt.Sprintf("loading device public key from '%s' failed: %v", f, err))
		}
	}
	if f := p.cfg.DeviceCertificate; f != "" {
		if id, err := keyID(f, func(der []byte) ([]byte, error) {
			c, err := x509.ParseCertificate(der)
			if err != nil {
				return nil, err
			}
			return c.RawSubjectPublicKeyInfo, nil
		}); err == nil {
			return id, nil
		} else {
			imc.Warn(fmt.Sprintf("loading device certificate from '%s' failed: %v", f, err))
		}
	}
	for _, f := range [...]string{"/var/lib/dbus/machine-id", "/etc/machine-id"} {
		b, err := p.read(f, 256)
		if err != nil {
			continue
		}
		if id := strings.TrimSpace(string(b)); id != "" && strings.IndexByte(id, 0) < 0 {
			return id, nil
		}
	}
	return "", fmt.Errorf("device ID: %w; set imc-os.device_id in strongswan.conf", ErrUnknown)
}

// keyID is the hexadecimal SHA-1 of the SubjectPublicKeyInfo that spki finds in
// a file, PEM or DER.
func keyID(file string, spki func(der []byte) ([]byte, error)) (string, error) {
	b, err := readFile(file, 0, maxFact)
	if err != nil {
		return "", err
	}
	if block, _ := pem.Decode(b); block != nil {
		b = block.Bytes
	}
	der, err := spki(b)
	if err != nil {
		return "", err
	}
	sum := sha1.Sum(der) //nolint:gosec // as above
	return hex.EncodeToString(sum[:]), nil
}

// packages lists what dpkg has installed; other package managers are not asked.
func (p *Platform) packages(ctx context.Context) ([]patnc.Package, error) {
	f, err := os.Open(filepath.Join(p.cfg.Root, "/var/lib/dpkg/status"))
	if err != nil {
		return nil, fmt.Errorf("installed packages: %w", ErrUnknown)
	}
	defer f.Close()
	list, err := parseDpkgStatus(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("read dpkg status: %w", err)
	}
	return list, nil
}

func parseDpkgStatus(ctx context.Context, r io.Reader) ([]patnc.Package, error) {
	var (
		list      []patnc.Package
		current   patnc.Package
		installed bool
	)
	flush := func() {
		if installed && current.Name != "" && len(list) < maxPackages {
			list = append(list, current)
		}
		current, installed = patnc.Package{}, false
	}
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxDpkgLine)
	for n := 0; s.Scan() && n < maxDpkgLines; n++ {
		if n%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		line := s.Text()
		key, value, ok := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case line == "":
			flush()
		case !ok || strings.IndexByte(value, 0) >= 0:
		case key == "Package":
			current.Name = cut(value, math.MaxUint8)
		case key == "Version":
			current.Version = cut(value, math.MaxUint8)
		case key == "Status":
			installed = value == "install ok installed"
		}
	}
	flush()
	return list, s.Err()
}

// settingRoots are where a system setting may be read; strongSwan's four.
var settingRoots = [...]string{"/etc/", "/proc/", "/sys/", "/var/"}

// Settings returns at most 2048 octets of each file named, without a trailing
// newline; names that are not allowed or cannot be read are left out. A name
// must lie below /etc, /proc, /sys or /var, also after its links are followed
// (they may end in /usr/lib as well), and everybody on the system must be
// allowed to read the file: a verifier is not handed /etc/shadow.
func (p *Platform) Settings(ctx context.Context, names []string) []patnc.Setting {
	var out []patnc.Setting
	for _, n := range names {
		if ctx.Err() != nil {
			return out
		}
		if v, err := p.setting(n); err == nil {
			out = append(out, patnc.Setting{Name: n, Value: v})
		}
	}
	return out
}

func (p *Platform) setting(name string) ([]byte, error) {
	if checkPath(name) != nil || filepath.Clean(name) != name || !below(name) {
		return nil, ErrUnknown
	}
	root, err := filepath.EvalSymlinks(p.cfg.Root)
	if err != nil {
		return nil, err
	}
	resolved, err := filepath.EvalSymlinks(filepath.Join(root, name))
	if err != nil {
		return nil, err
	}
	rel, ok := strings.CutPrefix(resolved, strings.TrimSuffix(root, "/"))
	if !ok || !below(rel) && !strings.HasPrefix(rel, "/usr/lib/") {
		return nil, ErrUnknown
	}
	var st unix.Stat_t
	if err := unix.Lstat(resolved, &st); err != nil {
		return nil, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&unix.S_IROTH == 0 {
		return nil, ErrUnknown
	}
	b, err := readFile(resolved, unix.O_NOFOLLOW, maxSetting)
	if err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b, []byte("\n")), nil
}

func below(name string) bool {
	for _, r := range settingRoots {
		if strings.HasPrefix(name, r) {
			return true
		}
	}
	return false
}
