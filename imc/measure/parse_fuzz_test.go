package measure

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gotnc/gotnc/imc/patnc"
)

// root makes the root of a platform with one file in it.
func root(t *testing.T, name string, content []byte) *Platform {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
		t.Fatal(err)
	}
	return NewPlatform(PlatformConfig{Root: dir, Machine: "x86_64"})
}

// encodes asserts that a value fits its attribute.
func encodes(t *testing.T, v patnc.Value, err error) {
	if err != nil {
		return
	}
	if _, err := v.AppendValue(nil); err != nil {
		t.Fatalf("%+v cannot be sent: %v", v, err)
	}
}

func FuzzPorts(f *testing.F) {
	f.Add("/proc/net/tcp", []byte("  sl  local_address rem_address   st\n   0: 00000000:0016 00000000:0000 0A 00000000:00000000\n"))
	f.Add("/proc/net/udp6", []byte("0: 00000000000000000000000001000000:0035 x 07\n"))
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		if name != "/proc/net/udp6" {
			name = "/proc/net/tcp"
		}
		v, err := root(t, name, b).Attribute(ctx, patnc.TypePortFilter)
		encodes(t, v, err)
	})
}

func FuzzOSRelease(f *testing.F) {
	f.Add([]byte("NAME=\"Debian GNU/Linux\"\nVERSION_ID='12'\nID=debian\n"), "/etc/os-release")
	f.Add([]byte("DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=24.04\n"), "/etc/lsb-release")
	f.Fuzz(func(t *testing.T, b []byte, name string) {
		if name != "/etc/lsb-release" {
			name = "/etc/os-release"
		}
		p := root(t, name, b)
		for _, kind := range []patnc.Type{patnc.TypeProductInformation, patnc.TypeStringVersion, patnc.TypeNumericVersion} {
			v, err := p.Attribute(ctx, kind)
			encodes(t, v, err)
		}
	})
}
