// Package ownership finds who, besides root and the user of this process, may
// change what a path leads to: by writing the file, or by replacing it in one of
// the directories that lead there.
package ownership

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// maxLinks bounds the symbolic links of a path, as Linux does.
const maxLinks = 40

// Risk says who may change the content of a path.
type Risk struct {
	Path         string // what may be changed: the file, or a directory or link that leads to it
	Kind         string // "file", "folder" or "link"
	Owner, Group uint32
	Mode         fs.FileMode // permissions
	Who          string      // may change it: "everybody", "its owner, the user with ID 1000" …
}

// String is a clause about the path that was asked for: "may be changed by …".
func (r *Risk) String() string {
	return fmt.Sprintf("may be changed by %s: the %s %s has owner %d, group %d and mode %04o", r.Who, r.Kind, r.Path, r.Owner, r.Group, r.Mode.Perm())
}

// Find returns the first risk on the way from the root to the file that path leads
// to, nil where there is none. Every directory counts, and every symbolic link is
// followed. A directory that everybody may write is none where it is sticky and the
// entry belongs to a trusted user. Errors are those of the system.
func Find(path string) (*Risk, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	return (&finder{left: maxLinks}).walk("/", path)
}

type finder struct{ left int }

// walk follows path, whose first part dir was looked at before, except for the root.
func (f *finder) walk(dir, path string) (*Risk, error) {
	var root unix.Stat_t
	if err := unix.Lstat(dir, &root); err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: dir, Err: err}
	}
	r, sticky := judge(dir, &root)
	if r != nil {
		return r, nil
	}
	rest := strings.Split(strings.Trim(strings.TrimPrefix(path, dir), "/"), "/")
	for i, part := range rest {
		if part == "" {
			continue
		}
		at := filepath.Join(dir, part)
		var st unix.Stat_t
		if err := unix.Lstat(at, &st); err != nil {
			return nil, &fs.PathError{Op: "lstat", Path: at, Err: err}
		}
		if sticky != nil && !trusted(st.Uid) {
			return risk(at, &st, owner(st.Uid)), nil
		}
		if st.Mode&unix.S_IFMT == unix.S_IFLNK {
			if f.left--; f.left < 0 {
				return nil, &fs.PathError{Op: "follow", Path: at, Err: unix.ELOOP}
			}
			target, err := os.Readlink(at)
			if err != nil {
				return nil, err
			}
			if !filepath.IsAbs(target) {
				target = filepath.Join(dir, target)
			}
			return f.walk("/", filepath.Join(append([]string{target}, rest[i+1:]...)...))
		}
		if r, sticky = judge(at, &st); r != nil {
			return r, nil
		}
		dir = at
	}
	return nil, nil
}

func trusted(uid uint32) bool { return uid == 0 || int(uid) == os.Geteuid() }

func owner(uid uint32) string { return fmt.Sprintf("its owner, the user with ID %d", uid) }

func risk(path string, st *unix.Stat_t, who string) *Risk {
	kind := "file"
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		kind = "folder"
	case unix.S_IFLNK:
		kind = "link"
	}
	return &Risk{Path: path, Kind: kind, Owner: st.Uid, Group: st.Gid, Mode: fs.FileMode(st.Mode & 0o777), Who: who}
}

// judge looks at one object. sticky is st where others may make files in it, but not
// replace those of other users.
func judge(path string, st *unix.Stat_t) (r *Risk, sticky *unix.Stat_t) {
	directory := st.Mode&unix.S_IFMT == unix.S_IFDIR
	who := ""
	switch {
	case !trusted(st.Uid):
		return risk(path, st, owner(st.Uid)), nil
	case st.Mode&0o002 != 0:
		who = "everybody"
	case st.Mode&0o020 != 0:
		if who = fromACL(path); who == "" && st.Gid != 0 {
			who = fmt.Sprintf("the group with ID %d", st.Gid)
		}
	}
	switch {
	case who == "":
		return nil, nil
	case directory && st.Mode&unix.S_ISVTX != 0:
		return nil, st
	}
	return risk(path, st, who), nil
}

// Entries of an access control list (acl(5)), as the kernel stores it: u32 version
// 2 | entries of u16 tag, u16 permissions, u32 ID, little endian.
const (
	aclUser  = 0x02
	aclGroup = 0x08
	aclWrite = 0x02
)

// fromACL returns whom a list of the file lets write it, "" without one. Where there
// is a list the bits of the group are its mask.
func fromACL(path string) string {
	buf := make([]byte, 4096)
	n, err := unix.Lgetxattr(path, "system.posix_acl_access", buf)
	if errors.Is(err, unix.ERANGE) {
		return "those whom its access control list names"
	}
	if err != nil || n < 4 || binary.LittleEndian.Uint32(buf) != 2 {
		return ""
	}
	for b := buf[4:n]; len(b) >= 8; b = b[8:] {
		tag, perm, id := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint32(b[4:])
		switch {
		case perm&aclWrite == 0:
		case tag == aclUser && !trusted(id):
			return fmt.Sprintf("the user with ID %d, whom its access control list names", id)
		case tag == aclGroup && id != 0:
			return fmt.Sprintf("the group with ID %d, which its access control list names", id)
		}
	}
	return ""
}
