package measure

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/log"
)

func told(p *Platform, names ...string) (out []string) {
	for _, s := range p.Settings(ctx, names) {
		out = append(out, s.Name)
	}
	return out
}

// A verifier does not get what root sees and others do not: addresses of the
// kernel, and other files below /proc and /sys that are no settings.
func TestSettingsOfTheKernel(t *testing.T) {
	var out strings.Builder
	p := NewPlatform(PlatformConfig{Logger: log.NewWriter(&out, slog.LevelInfo)})
	require.Equal(t, []string{"/proc/version", "/proc/sys/kernel/ostype", "/proc/net/dev"}, told(p,
		"/proc/version", "/proc/sys/kernel/ostype", "/proc/net/dev",
		"/proc/kallsyms", "/proc/modules", "/proc/iomem", "/proc/timer_list", "/proc/slabinfo", "/proc/keys", "/proc/net/tcp",
		"/proc/net/unix", "/proc/net/netlink", "/proc/self/maps", "/proc/self/stat", "/proc/thread-self/maps", "/proc/self/net/dev", "/proc/1/net/dev",
		"/proc/1/stat", "/proc/1/wchan", "/proc/locks", "/sys/kernel/notes", "/sys/kernel/vmcoreinfo", "/sys/kernel/boot_params/data"))
	require.Contains(t, out.String(), `setting '/proc/kallsyms' is not told: refused by the settings: a file of the kernel that is no setting`)

	root := t.TempDir()
	for _, f := range []string{"proc/kallsyms", "proc/version", "proc/other", "sys/kernel/notes", "sys/power/state", "sys/module/x/parameters/y", "sys/module/x/sections/.text",
		"sys/devices/pci0/0000:00:1f.6/net/eth0/address", "sys/devices/pci0/config"} {
		write(t, filepath.Join(root, f), "v")
	}
	require.NoError(t, os.Symlink("../proc/kallsyms", filepath.Join(root, "sys/link")))
	asked := []string{"/proc/version", "/sys/power/state", "/sys/module/x/parameters/y", "/sys/devices/pci0/0000:00:1f.6/net/eth0/address",
		"/proc/other", "/proc/kallsyms", "/sys/kernel/notes", "/sys/module/x/sections/.text", "/sys/devices/pci0/config", "/sys/link"}
	require.Equal(t, asked[:4], told(NewPlatform(PlatformConfig{Root: root}), asked...))
	named := PlatformFromSettings(mapSettings{"plugins.imc-attestation.measure_allow": "/ /proc/other"}, nil)
	named.cfg.Root = root
	require.Equal(t, asked[:5], told(named, asked...), "measure_allow may name more")
}

// The file system decides, not the path: procfs that is mounted elsewhere is procfs.
func TestSettingsOfProcfsElsewhere(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "var/proc")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	if err := unix.Mount("proc", dir, "proc", unix.MS_NOSUID|unix.MS_NODEV, ""); err != nil {
		t.Skipf("SKIP needs root to mount procfs: %v", err)
	}
	defer func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) }()
	require.NoError(t, os.Symlink("../var/proc", filepath.Join(root, "var/link")))
	require.Empty(t, told(NewPlatform(PlatformConfig{Root: root}),
		"/var/proc/version", "/var/proc/kallsyms", "/var/proc/self/maps", "/var/proc/1/cmdline", "/var/link/self/cmdline"))
}
