package measure

import (
	"crypto/ed25519"
	"crypto/sha1"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/log"
)

func attribute(t *testing.T, p *Platform, typ patnc.Type) patnc.Value {
	t.Helper()
	v, err := p.Attribute(ctx, typ)
	require.NoError(t, err)
	return v
}

func TestPlatform(t *testing.T) {
	root := t.TempDir()
	now := time.Date(2026, 11, 24, 3, 0, 10, 500, time.UTC)
	p := NewPlatform(PlatformConfig{Root: root, Machine: "x86_64", Now: func() time.Time { return now }})

	for _, typ := range []patnc.Type{patnc.TypeProductInformation, patnc.TypeStringVersion, patnc.TypeNumericVersion, patnc.TypeITADeviceID, patnc.TypeInstalledPackages, patnc.TypePortFilter} {
		_, err := p.Attribute(ctx, typ)
		require.ErrorIs(t, err, ErrUnknown, "%v", typ)
	}
	require.Equal(t, patnc.ForwardingStatus{Status: patnc.ForwardingUnknown}, attribute(t, p, patnc.TypeForwardingEnabled))
	require.True(t, attribute(t, p, patnc.TypeOperationalStatus).(patnc.OperationalStatus).LastUse.IsZero())

	write(t, filepath.Join(root, "etc/os-release"), "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12.4\"\nID=debian\n")
	write(t, filepath.Join(root, "proc/uptime"), "10.53 20.11\n")
	write(t, filepath.Join(root, "proc/sys/net/ipv4/ip_forward"), "1\n")
	write(t, filepath.Join(root, "etc/machine-id"), "0123456789abcdef\n")
	require.Equal(t, patnc.ProductInformation{Vendor: patnc.PENDebian, Name: "Debian"}, attribute(t, p, patnc.TypeProductInformation))
	require.Equal(t, patnc.StringVersion{Version: "12.4 x86_64"}, attribute(t, p, patnc.TypeStringVersion))
	require.Equal(t, patnc.NumericVersion{Major: 12, Minor: 4}, attribute(t, p, patnc.TypeNumericVersion))
	require.Equal(t, patnc.OperationalStatus{Status: patnc.Operational, Result: patnc.ResultSuccessful, LastUse: now.Add(-10 * time.Second).Truncate(time.Second)},
		attribute(t, p, patnc.TypeOperationalStatus))
	require.Equal(t, patnc.ForwardingStatus{Status: patnc.ForwardingEnabled}, attribute(t, p, patnc.TypeForwardingEnabled))
	require.Equal(t, patnc.DeviceID{ID: "0123456789abcdef"}, attribute(t, p, patnc.TypeITADeviceID))
	write(t, filepath.Join(root, "var/lib/dbus/machine-id"), "fedcba9876543210\n")
	require.Equal(t, patnc.DeviceID{ID: "fedcba9876543210"}, attribute(t, p, patnc.TypeITADeviceID))
}

func TestConfiguredPlatform(t *testing.T) {
	p := NewPlatform(PlatformConfig{Name: "Fedora", Version: "39", DeviceID: "me", DefaultPasswordEnabled: true})
	require.Equal(t, patnc.ProductInformation{Vendor: patnc.PENFedora, Name: "Fedora"}, attribute(t, p, patnc.TypeProductInformation))
	require.Equal(t, patnc.StringVersion{Version: "39"}, attribute(t, p, patnc.TypeStringVersion))
	require.Equal(t, patnc.NumericVersion{Major: 39}, attribute(t, p, patnc.TypeNumericVersion))
	require.Equal(t, patnc.FactoryDefaultPassword{Enabled: true}, attribute(t, p, patnc.TypeFactoryDefaultPassword))
	require.Equal(t, patnc.DeviceID{ID: "me"}, attribute(t, p, patnc.TypeITADeviceID))

	for s, want := range map[string][2]uint32{"": {}, "x": {}, "22.04.1": {22, 4}, "99999999999.1": {0, 1}, "7 x86_64": {7, 0}} {
		major, minor := numericVersion(s)
		require.Equal(t, want, [2]uint32{major, minor}, s)
	}
}

func TestDeviceKeyID(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	der, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(t, err)
	want := patnc.DeviceID{ID: fmt.Sprintf("%x", sha1.Sum(der))}
	d := t.TempDir()
	for name, content := range map[string][]byte{"der": der, "pem": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})} {
		f := write(t, filepath.Join(d, name), string(content))
		require.Equal(t, want, attribute(t, NewPlatform(PlatformConfig{DevicePublicKey: f}), patnc.TypeITADeviceID))
	}
	// A certificate that is none leads to the machine ID, and a line in the log.
	root := t.TempDir()
	write(t, filepath.Join(root, "etc/machine-id"), "0123456789abcdef\n")
	var out strings.Builder
	p := NewPlatform(PlatformConfig{DeviceCertificate: filepath.Join(d, "der"), Root: root, Logger: log.NewWriter(&out, slog.LevelInfo)})
	require.Equal(t, patnc.DeviceID{ID: "0123456789abcdef"}, attribute(t, p, patnc.TypeITADeviceID))
	require.Contains(t, out.String(), "[IMC] loading device certificate from")
}

func TestDpkgStatus(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "var/lib/dpkg/status"), `Package: bash
Status: install ok installed
Version: 5.2.15-2+b2
Description: shell
 Package: not-this

Package: gone
Status: deinstall ok config-files
Version: 1

Package: zlib1g
Version: 1:1.2.13
Status: install ok installed
`)
	require.Equal(t, patnc.InstalledPackages{Packages: []patnc.Package{{Name: "bash", Version: "5.2.15-2+b2"}, {Name: "zlib1g", Version: "1:1.2.13"}}},
		attribute(t, NewPlatform(PlatformConfig{Root: root}), patnc.TypeInstalledPackages))
}

func TestSettings(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "etc/a"), "value\n")
	write(t, filepath.Join(root, "etc/long"), strings.Repeat("x", 5000))
	write(t, filepath.Join(root, "home/secret"), "s")
	write(t, filepath.Join(root, "usr/lib/os-release"), "ID=debian\n")
	shadow := write(t, filepath.Join(root, "etc/shadow"), "root:x")
	require.NoError(t, os.Chmod(shadow, 0o640))
	require.NoError(t, os.Symlink("../home/secret", filepath.Join(root, "etc/escape")))
	require.NoError(t, os.Symlink("../home", filepath.Join(root, "etc/dir")))
	require.NoError(t, os.Symlink("../usr/lib/os-release", filepath.Join(root, "etc/os-release")))
	got := NewPlatform(PlatformConfig{Root: root}).Settings(ctx, []string{
		"/etc/a", "/etc/long", "/etc/os-release", // these three
		"/etc/shadow", "/etc/escape", "/etc/dir/secret", "/etc/../home/secret", "/home/secret", "/etc/none", "/etc", "", "etc/a", "/etc/a\x00",
	})
	require.Equal(t, []patnc.Setting{{Name: "/etc/a", Value: []byte("value")}, {Name: "/etc/long", Value: []byte(strings.Repeat("x", maxSetting))},
		{Name: "/etc/os-release", Value: []byte("ID=debian")}}, got)
}

func FuzzDpkgStatus(f *testing.F) {
	f.Add("Package: a\nStatus: install ok installed\nVersion: 1\n\n")
	f.Fuzz(func(t *testing.T, s string) {
		list, err := parseDpkgStatus(ctx, strings.NewReader(s))
		if err != nil {
			return
		}
		if _, err := (patnc.InstalledPackages{Packages: list}).AppendValue(nil); err != nil {
			t.Fatal(err)
		}
	})
}
