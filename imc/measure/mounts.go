package measure

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mount is one line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	id     uint64
	device string // "major:minor" of the file system
	root   string // directory or file of the file system that is mounted
	point  string // where
}

// mountTable is what is mounted where. Nil knows nothing.
type mountTable struct {
	mounts  []mount
	several bool // a file system is mounted more than once
}

// readMounts reads the mounts of this process. Without /proc it is empty.
func readMounts() mountTable {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return mountTable{}
	}
	return parseMounts(b)
}

func parseMounts(b []byte) (t mountTable) {
	seen := map[string]bool{}
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		if len(f) < 5 {
			continue
		}
		id, err := strconv.ParseUint(f[0], 10, 64)
		m := mount{id: id, device: f[2], root: strings.TrimSuffix(unescapeMount(f[3]), "//deleted"), point: unescapeMount(f[4])}
		if err != nil || !strings.HasPrefix(m.root, "/") || !strings.HasPrefix(m.point, "/") {
			continue
		}
		t.several = t.several || seen[m.device]
		seen[m.device] = true
		t.mounts = append(t.mounts, m)
	}
	return t
}

// unescapeMount undoes what the kernel makes of blanks, line ends and
// backslashes: three octal digits.
func unescapeMount(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// inFileSystem returns where a file lies in its file system, and the mount that
// shows it as name: of the number id, as statx(2) has it. False where that is not
// in the table.
func (t mountTable) inFileSystem(name string, id uint64) (string, mount, bool) {
	for _, m := range t.mounts {
		if m.id != id {
			continue
		}
		if rest, ok := below(name, m.point); ok {
			return path.Join(m.root, rest), m, true
		}
		return "", mount{}, false
	}
	return "", mount{}, false
}

// names returns the other paths that the file has because its file system, or a
// part of it, is mounted more than once.
func (t mountTable) names(name string, id uint64) (out []string) {
	lies, own, ok := t.inFileSystem(name, id)
	if !ok {
		return nil
	}
	for _, m := range t.mounts {
		if m.id == own.id || m.device != own.device {
			continue
		}
		if rest, ok := below(lies, m.root); ok {
			out = append(out, path.Join(m.point, rest))
		}
	}
	return out
}

// below returns what follows dir in name, where name is dir or lies below it.
func below(name, dir string) (rest string, ok bool) {
	if dir == "/" {
		return name, true
	}
	return strings.TrimPrefix(name, dir), within(name, dir)
}

// mountID returns the number of the mount that the node was found on.
func (n *node) mountID() (uint64, error) {
	var st unix.Statx_t
	err := unix.Statx(n.fd, "", unix.AT_EMPTY_PATH, unix.STATX_MNT_ID, &st)
	if err == nil && st.Mask&unix.STATX_MNT_ID != 0 {
		return st.Mnt_id, nil
	}
	// Before Linux 5.8.
	info, err := os.ReadFile("/proc/self/fdinfo/" + strconv.Itoa(n.fd))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(info)) {
		if rest, ok := strings.CutPrefix(line, "mnt_id:"); ok {
			return strconv.ParseUint(strings.TrimSpace(rest), 10, 64)
		}
	}
	return 0, fmt.Errorf("mount of %s: %w", quote(n.path), ErrUnknown)
}
