//go:build linux

package confine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Rights of Landlock (landlock(7)), by the version of its interface that has them.
const (
	fsRead  = unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
	fsExec  = unix.LANDLOCK_ACCESS_FS_EXECUTE
	fsWrite = unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE | unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	fsV1    = 1<<13 - 1
	netTCP  = unix.LANDLOCK_ACCESS_NET_BIND_TCP | unix.LANDLOCK_ACCESS_NET_CONNECT_TCP
	scopes  = unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL
)

// Versions of Landlock's interface with which something came.
const (
	withTruncate = 3
	withTCP      = 4
	withIoctl    = 5
	withScopes   = 6
)

// LandlockABI returns the version of the kernel's Landlock interface, 0 where it
// has none or it is switched off. Tests replace it.
var LandlockABI = func() int {
	n, _, e := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if e != 0 {
		return 0
	}
	return int(n)
}

// handled returns the rights that a version knows.
func handled(abi int) (a unix.LandlockRulesetAttr, size uintptr) {
	a.Handled_access_fs = fsV1
	size = unsafe.Offsetof(a.Handled_access_net)
	if abi >= 2 {
		a.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= withTruncate {
		a.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	if abi >= withTCP {
		a.Handled_access_net, size = netTCP, unsafe.Offsetof(a.Scoped)
	}
	if abi >= withIoctl {
		a.Handled_access_fs |= unix.LANDLOCK_ACCESS_FS_IOCTL_DEV
	}
	if abi >= withScopes {
		a.Scoped, size = scopes, unsafe.Offsetof(a.Quiet_access_fs)
	}
	return a, size
}

// Files is what a process may do with files.
type Files struct {
	Hidden  []string // files and folders out of its sight, with what is below them
	Execute []string // what it may execute; "/" is all that it may read
	Write   []string // what it may write, devices too
	Ports   []uint16 // TCP ports that it may connect to
}

// devices are what any program may open.
var devices = []string{"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"}

// landlock adds the rules for f: everything may be read but f.Hidden and the
// devices.
func (p *Plan) landlock(f Files, abi int) {
	attr, size := handled(abi)
	b := u64s(uint64(size), attr.Handled_access_fs, attr.Handled_access_net, attr.Scoped)
	p.step(stepRuleset, b[:8+size])
	add := func(path string, access uint64) {
		if access &= attr.Handled_access_fs; access != 0 {
			p.step(stepPath, append(u64s(access), path+"\x00"...))
		}
	}
	read := uint64(fsRead)
	if slices.Contains(f.Execute, "/") {
		read |= fsExec
	}
	add("/", unix.LANDLOCK_ACCESS_FS_READ_DIR)
	w := walk{grant: func(path string) { add(path, read) }, hidden: append(resolve(f.Hidden), "/dev")}
	w.folder("/")
	p.seen, p.lacks = w.seen, append(p.lacks, w.lacks...)
	for _, d := range devices {
		add(d, unix.LANDLOCK_ACCESS_FS_READ_FILE|unix.LANDLOCK_ACCESS_FS_WRITE_FILE)
	}
	for _, path := range resolve(f.Execute) {
		if path != "/" {
			add(path, fsExec)
		}
	}
	for _, path := range resolve(f.Write) {
		add(path, fsRead|fsWrite)
	}
	if abi >= withTCP {
		for _, port := range f.Ports {
			p.step(stepPort, u64s(unix.LANDLOCK_ACCESS_NET_CONNECT_TCP, uint64(port)))
		}
	}
	p.step(stepRestrict, nil)
}

// resolve returns the paths without symbolic links: rules are for files, not names.
// Of a path that leads nowhere the part that exists is resolved. Descriptors of
// processes are left out.
func resolve(paths []string) []string {
	var out []string
	for _, p := range paths {
		rest := ""
		p, err := filepath.Abs(p)
		if err != nil {
			continue
		}
		for dir := p; ; dir = filepath.Dir(dir) {
			if target, err := filepath.EvalSymlinks(dir); err == nil {
				if target != "/proc" && !strings.HasPrefix(target, "/proc/") {
					out = append(out, filepath.Join(target, rest))
				}
				break
			}
			if dir == "/" {
				break
			}
			rest = filepath.Join(filepath.Base(dir), rest)
		}
	}
	return out
}

// maxEntries limits the entries of a folder beside something hidden that get a
// rule each.
const maxEntries = 20000

// walk grants everything but what is hidden. Landlock cannot deny: a folder with
// something hidden below it is granted entry by entry.
type walk struct {
	grant  func(path string)
	hidden []string
	seen   []folder
	lacks  []string
}

// folder is a folder whose entries were listed.
type folder struct {
	path    string
	changed unix.Timespec
}

func (w *walk) folder(dir string) {
	var st unix.Stat_t
	if unix.Lstat(dir, &st) != nil {
		return
	}
	w.seen = append(w.seen, folder{dir, st.Mtim})
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // out of reach for the process, too
	}
	if len(entries) > maxEntries {
		w.lacks = append(w.lacks, fmt.Sprintf("the contents of %s, which holds a secret among more than %d entries", dir, maxEntries))
		return
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch {
		case e.Type()&os.ModeSymlink != 0: // what it leads to has a rule of its own, or none
		case slices.Contains(w.hidden, path):
		case slices.ContainsFunc(w.hidden, func(h string) bool { return strings.HasPrefix(h, path+"/") }):
			w.folder(path)
		default:
			w.grant(path)
		}
	}
}

// volatile are folders whose entries come and go. That there are new ones makes no
// plan stale: they are not seen until another plan is made.
var volatile = []string{"/run", "/home", "/root", "/tmp", "/var/tmp"}

// Stale reports whether a folder whose entries were granted one by one has others
// since: a process with this plan cannot read them.
func (p *Plan) Stale() bool {
	if p == nil {
		return false
	}
	for _, f := range p.seen {
		if slices.ContainsFunc(volatile, func(v string) bool { return f.path == v || strings.HasPrefix(f.path, v+"/") }) {
			continue
		}
		var st unix.Stat_t
		if unix.Lstat(f.path, &st) != nil || st.Mtim != f.changed {
			return true
		}
	}
	return false
}
