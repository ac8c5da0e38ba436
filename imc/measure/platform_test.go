package measure

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
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
	write(t, filepath.Join(root, "var/lib/private/x"), "s")
	require.NoError(t, os.Chmod(filepath.Join(root, "var/lib/private"), 0o700))
	write(t, filepath.Join(root, "proc/17/maps"), "s")
	write(t, filepath.Join(root, "proc/17/net/dev"), "ports")
	require.NoError(t, os.Symlink("17", filepath.Join(root, "proc/self")))
	require.NoError(t, os.Symlink("self/net", filepath.Join(root, "proc/net")))
	got := NewPlatform(PlatformConfig{Root: root}).Settings(ctx, []string{
		"/etc/a", "/etc/long", "/etc/os-release", "/proc/net/dev", // these four
		"/var/lib/private/x", "/proc/17/maps", "/proc/self/maps",
		"/etc/shadow", "/etc/escape", "/etc/dir/secret", "/etc/../home/secret", "/home/secret", "/etc/none", "/etc", "", "etc/a", "/etc/a\x00",
	})
	require.Equal(t, []patnc.Setting{{Name: "/etc/a", Value: []byte("value\n")}, {Name: "/etc/long", Value: []byte(strings.Repeat("x", maxSetting))},
		{Name: "/etc/os-release", Value: []byte("ID=debian\n")}, {Name: "/proc/net/dev", Value: []byte("ports")}}, got)
}

// TestDistributions: name and version as a verifier's database has them.
func TestDistributions(t *testing.T) {
	for _, c := range []struct {
		files         map[string]string
		machine       string
		name, version string
		vendor        uint32
		major, minor  uint32
	}{
		{map[string]string{"etc/os-release": "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nVERSION=\"12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n", "etc/debian_version": "12.4\n"},
			"x86_64", "Debian", "12 x86_64", patnc.PENDebian, 12, 0},
		{map[string]string{"etc/os-release": "PRETTY_NAME=\"Ubuntu 22.04.4 LTS\"\nNAME=\"Ubuntu\"\nVERSION_ID=\"22.04\"\nVERSION=\"22.04.4 LTS (Jammy Jellyfish)\"\nID=ubuntu\nID_LIKE=debian\nUBUNTU_CODENAME=jammy\n"},
			"x86_64", "Ubuntu", "22.04 x86_64", patnc.PENUbuntu, 22, 4},
		{map[string]string{"usr/lib/os-release": "NAME=\"Fedora Linux\"\nVERSION=\"40 (Server Edition)\"\nID=fedora\nVERSION_ID=40\nVERSION_CODENAME=\"\"\nPLATFORM_ID=\"platform:f40\"\n"},
			"aarch64", "Fedora", "40 aarch64", patnc.PENFedora, 40, 0},
		{map[string]string{"etc/os-release": "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.19.1\nPRETTY_NAME=\"Alpine Linux v3.19\"\n"},
			"x86_64", "Alpine", "3.19.1 x86_64", 0, 3, 19},
		{map[string]string{"etc/os-release": "NAME=\"OpenWrt\"\nVERSION=\"23.05.2\"\nID=\"openwrt\"\nID_LIKE=\"lede openwrt\"\nPRETTY_NAME=\"OpenWrt 23.05.2\"\nVERSION_ID=\"23.05.2\"\n"},
			"mips", "Openwrt", "23.05.2 mips", 0, 23, 5},
		{map[string]string{"etc/os-release": "ID=raspbian\nVERSION_ID=\"11\"\n"}, "armv7l", "Raspbian", "11 armhf", 0, 11, 0},
		{map[string]string{"etc/lsb-release": "DISTRIB_ID=Ubuntu\nDISTRIB_RELEASE=10.04\nDISTRIB_CODENAME=lucid\n", "etc/debian_version": "squeeze/sid\n"},
			"i686", "Ubuntu", "10.04 i686", patnc.PENUbuntu, 10, 4},
		{map[string]string{"etc/debian_version": "7.11\n"}, "i686", "Debian", "7 i686", patnc.PENDebian, 7, 0},
		{map[string]string{"etc/debian_version": "trixie/sid\n"}, "x86_64", "Debian", "trixie/sid x86_64", patnc.PENDebian, 0, 0},
		{map[string]string{"etc/os-release": "ID=arch\nBUILD_ID=rolling\n"}, "x86_64", "Arch", "x86_64", 0, 0, 0},
	} {
		root := t.TempDir()
		for name, content := range c.files {
			write(t, filepath.Join(root, name), content)
		}
		p := NewPlatform(PlatformConfig{Root: root, Machine: c.machine})
		require.Equal(t, patnc.ProductInformation{Vendor: c.vendor, Name: c.name}, attribute(t, p, patnc.TypeProductInformation))
		require.Equal(t, patnc.StringVersion{Version: c.version}, attribute(t, p, patnc.TypeStringVersion))
		if c.name != "Arch" {
			require.Equal(t, patnc.NumericVersion{Major: c.major, Minor: c.minor}, attribute(t, p, patnc.TypeNumericVersion))
		}
	}
}

// TestDeviceIDOrder takes one source away after the other.
func TestDeviceIDOrder(t *testing.T) {
	spki := func() []byte {
		public, _, err := ed25519.GenerateKey(nil)
		require.NoError(t, err)
		der, err := x509.MarshalPKIXPublicKey(public)
		require.NoError(t, err)
		return der
	}
	id := func(der []byte) string { return fmt.Sprintf("%x", sha1.Sum(der)) }
	d, root := t.TempDir(), t.TempDir()
	public := spki()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &rsaKey.PublicKey, rsaKey)
	require.NoError(t, err)
	rsaInfo, err := x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)
	require.NoError(t, err)
	write(t, filepath.Join(root, "etc/machine-id"), "etc\n")
	write(t, filepath.Join(root, "var/lib/dbus/machine-id"), "dbus\n")
	cfg := PlatformConfig{
		Root: root, DeviceID: "text",
		DevicePublicKey:   write(t, filepath.Join(d, "public"), string(public)),
		DeviceCertificate: write(t, filepath.Join(d, "cert"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
	}
	check := func(want string) {
		t.Helper()
		require.Equal(t, patnc.DeviceID{ID: want}, attribute(t, NewPlatform(cfg), patnc.TypeITADeviceID))
	}
	check("text")
	cfg.DeviceID = ""
	check(id(public))
	write(t, cfg.DevicePublicKey, string(pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&rsaKey.PublicKey)})))
	check(id(rsaInfo))
	var out strings.Builder
	cfg.Logger, cfg.DevicePublicKey = log.NewWriter(&out, slog.LevelInfo), filepath.Join(d, "missing")
	check(id(rsaInfo))
	require.Contains(t, out.String(), "[IMC] loading device public key from '"+d+"/missing' failed")
	cfg.DeviceCertificate = ""
	check("dbus")
	require.NoError(t, os.Remove(filepath.Join(root, "var/lib/dbus/machine-id")))
	check("etc")

	// The settings reach it.
	const s = "plugins.imc-os.device_"
	p := PlatformFromSettings(mapSettings{s + "id": "me"}, nil)
	require.Equal(t, patnc.DeviceID{ID: "me"}, attribute(t, p, patnc.TypeITADeviceID))
}

// What was checked is what is read: a user who exchanges a directory for a link
// meanwhile gets nothing of the files that only root may read.
func TestSettingsAreReadAsChecked(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "var/tmp/x/file"), "public")
	require.NoError(t, os.Chmod(write(t, filepath.Join(root, "home/file"), "secret"), 0o600))
	require.NoError(t, os.Symlink(filepath.Join(root, "home"), filepath.Join(root, "var/tmp/y")))
	p := NewPlatform(PlatformConfig{Root: root})
	x, y := filepath.Join(root, "var/tmp/x"), filepath.Join(root, "var/tmp/y")
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				_ = unix.Renameat2(unix.AT_FDCWD, x, unix.AT_FDCWD, y, unix.RENAME_EXCHANGE)
			}
		}
	}()
	names := make([]string, 64)
	for i := range names {
		names[i] = "/var/tmp/x/file"
	}
	read := 0
	for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end); {
		for _, s := range p.Settings(t.Context(), names) {
			require.Equal(t, "public", string(s.Value))
			read++
		}
	}
	close(stop)
	<-done
	require.Positive(t, read)
}

// A verifier is not handed the content of what it may not even measure.
func TestSettingsFollowThePolicy(t *testing.T) {
	root := t.TempDir()
	for _, f := range []string{"etc/a", "etc/b", "var/c", "proc/sys/d"} {
		write(t, filepath.Join(root, f), "v")
	}
	require.NoError(t, os.Symlink("b", filepath.Join(root, "etc/link")))
	asked := []string{"/etc/a", "/etc/b", "/etc/link", "/var/c", "/proc/sys/d"}
	for _, c := range []struct {
		settings mapSettings
		want     []string
	}{
		{mapSettings{}, asked},
		{mapSettings{"plugins.imc-attestation.measure_deny": "/etc/b /var"}, []string{"/etc/a", "/proc/sys/d"}},
		{mapSettings{"plugins.imc-attestation.measure_allow": "/etc"}, []string{"/etc/a", "/etc/b", "/etc/link"}},
		{mapSettings{"plugins.imc-attestation.measure_allow": "/"}, asked},
		{mapSettings{"plugins.imc-attestation.measure_deny": "relative"}, nil},
	} {
		p := PlatformFromSettings(c.settings, nil)
		p.cfg.Root = root
		var got []string
		for _, s := range p.Settings(ctx, asked) {
			got = append(got, s.Name)
		}
		require.Equal(t, c.want, got, "%v", c.settings)
	}
}

func TestSettingsOfThisMachine(t *testing.T) {
	got := NewPlatform(PlatformConfig{}).Settings(ctx, []string{"/proc/sys/kernel/ostype", "/etc/shadow", "/proc/self/maps", "/proc/1/environ"})
	require.Equal(t, []patnc.Setting{{Name: "/proc/sys/kernel/ostype", Value: []byte("Linux\n")}}, got)
}

func TestInstalledPackages(t *testing.T) {
	root := t.TempDir()
	p := NewPlatform(PlatformConfig{Root: root})
	_, err := p.Attribute(ctx, patnc.TypeInstalledPackages)
	require.ErrorIs(t, err, ErrUnknown)
	write(t, filepath.Join(root, "etc/os-release"), "ID=fedora\nVERSION_ID=40\n")
	write(t, filepath.Join(root, "var/lib/dpkg/status"), "Package: a\nStatus: install ok installed\nVersion: 1\n")
	require.Equal(t, patnc.InstalledPackages{Packages: []patnc.Package{{Name: "a", Version: "1"}}}, attribute(t, p, patnc.TypeInstalledPackages))
}
