package measure

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

// Layout of a directory entry of getdents64(2), in the machine's byte order:
//
//	u64 inode | u64 offset | u16 length of the entry | u8 type | name, NUL
const (
	direntLength = 16
	direntType   = 18
	direntName   = 19
)

// list returns the sorted names of an open directory that want takes; typ is
// DT_UNKNOWN on file systems that do not tell. Octets of a name are what the
// file system has, UTF-8 or not. More than limit names is ErrTooManyFiles.
func list(ctx context.Context, fd, limit int, want func(name []byte, typ uint8) bool) ([]string, error) {
	var names []string
	buf := make([]byte, 64<<10)
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		n, err := unix.Getdents(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return nil, err
		case n <= 0:
			slices.Sort(names)
			return names, nil
		}
		for b := buf[:n]; len(b) > direntName; {
			size := int(binary.NativeEndian.Uint16(b[direntLength:]))
			if size <= direntName || size > len(b) {
				return nil, unix.EIO
			}
			name := b[direntName:size]
			if i := bytes.IndexByte(name, 0); i >= 0 {
				name = name[:i]
			}
			if len(name) > 0 && want(name, b[direntType]) {
				if len(names) == limit {
					return nil, fmt.Errorf("%w (measure_max_files = %d)", ErrTooManyFiles, limit)
				}
				names = append(names, string(name))
			}
			b = b[size:]
		}
	}
}

// candidate takes what can be a regular file or a link to one; strongSwan leaves
// out names that begin with a dot.
func candidate(name []byte, typ uint8) bool {
	return name[0] != '.' && (typ == unix.DT_REG || typ == unix.DT_LNK || typ == unix.DT_UNKNOWN)
}

// link takes what can be a symbolic link.
func link(name []byte, typ uint8) bool {
	return (typ == unix.DT_LNK || typ == unix.DT_UNKNOWN) && string(name) != "." && string(name) != ".."
}
