package vm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// modules puts kernel modules and what they need into the archive, and lists
// them in the order to load them in. Those that the kernel has built in, or
// does not have, are left out.
func (a *archive) modules(t *testing.T, vmlinuz string, names ...string) {
	t.Helper()
	dir := modulesOf(vmlinuz)
	b, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		t.Skipf("SKIP needs the modules of %s: %v", vmlinuz, err)
	}
	needs, files := map[string][]string{}, map[string]string{}
	for l := range strings.Lines(string(b)) {
		file, deps, _ := strings.Cut(strings.TrimSpace(l), ":")
		needs[file] = strings.Fields(deps)
		files[plain(strings.TrimSuffix(filepath.Base(file), ".ko"))] = file
	}
	var order []string
	seen := map[string]bool{}
	var load func(file string)
	load = func(file string) {
		if seen[file] {
			return
		}
		seen[file] = true
		for _, d := range needs[file] {
			load(d)
		}
		a.file(t, "/modules/"+filepath.Base(file), filepath.Join(dir, file))
		order = append(order, "/modules/"+filepath.Base(file))
	}
	for _, n := range names {
		if f, ok := files[plain(n)]; ok {
			load(f)
		}
	}
	a.add("/modules.order", 0o644, []byte(strings.Join(order, "\n")+"\n"))
}

// modulesOf is the folder of a kernel's modules.
func modulesOf(vmlinuz string) string {
	if isUML(vmlinuz) { // as Debian's package has them
		if found, _ := filepath.Glob(filepath.Join(filepath.Dir(vmlinuz), "../lib/uml/modules/*")); len(found) > 0 {
			return found[0]
		}
	}
	return filepath.Join("/lib/modules", strings.TrimPrefix(filepath.Base(vmlinuz), "vmlinuz-"))
}

// plain is a module's name as the kernel shows it; files are written with either
// sign.
func plain(name string) string { return strings.ReplaceAll(name, "-", "_") }

// The order of loading is that of the dependencies.
func TestModuleOrder(t *testing.T) {
	vmlinuz, _ := filepath.Glob("/boot/vmlinuz-*-amd64")
	if len(vmlinuz) == 0 {
		t.Skip("SKIP needs a kernel: apt install linux-image-cloud-amd64")
	}
	a := &archive{seen: map[string]bool{}}
	a.modules(t, vmlinuz[len(vmlinuz)-1], "esp4", "xfrm_user", "ghash_generic", "no-such-module")
	require.True(t, a.seen["modules/esp4.ko"])
	require.True(t, a.seen["modules/ghash-generic.ko"])
	require.True(t, a.seen["modules/xfrm_algo.ko"], "what esp4 needs")
	list := a.String()[strings.Index(a.String(), "modules.order\x00"):]
	require.Less(t, strings.Index(list, "xfrm_algo.ko"), strings.Index(list, "esp4.ko"))
}
