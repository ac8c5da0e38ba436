package measure

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/patnc"
)

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
