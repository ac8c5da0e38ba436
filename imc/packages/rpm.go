package packages

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// attempts bounds how often a database that changes meanwhile is read.
const attempts = 3

// rpmDirs are where rpm keeps its database, the present place first.
var rpmDirs = [...]string{"usr/lib/sysimage/rpm", "var/lib/rpm"}

var errRPM = errors.New("rpm database is damaged or of an unknown form")

// readRPM reads the database itself where it is of SQLite or ndb form, and asks
// the rpm program where it is not (Berkeley DB), or where SQLite's log holds
// changes that are not in the database yet.
func readRPM(ctx context.Context, root string) ([]Package, error) {
	for _, dir := range rpmDirs {
		dir = filepath.Join(root, dir)
		sqlite, ndb, bdb := filepath.Join(dir, "rpmdb.sqlite"), filepath.Join(dir, "Packages.db"), filepath.Join(dir, "Packages")
		switch {
		case exists(sqlite):
			if i, err := os.Stat(sqlite + "-wal"); err == nil && i.Size() > 0 {
				if asked, err := askRPM(ctx, root); err == nil {
					return asked, nil
				}
			}
			installed, err := readStable(ctx, sqlite, rpmFromSQLite)
			if err != nil {
				if asked, e := askRPM(ctx, root); e == nil {
					return asked, nil
				}
			}
			return installed, err
		case exists(ndb):
			return readStable(ctx, ndb, rpmFromNDB)
		case exists(bdb):
			return askRPM(ctx, root)
		}
	}
	return nil, fs.ErrNotExist
}

// fileState tells whether a file has changed.
type fileState struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // ns
}

func stateOf(f *os.File) (fileState, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return fileState{uint64(st.Dev), st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}, err
}

// readStable reads a database that a transaction may be changing: up to three
// times, until the file did not change meanwhile.
func readStable(ctx context.Context, name string, read func(context.Context, io.ReaderAt, int64) (list, error)) ([]Package, error) {
	f, err := openFile(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for try := 1; ; try++ {
		before, err := stateOf(f)
		if err != nil {
			return nil, err
		}
		installed, err := read(ctx, f, before.size)
		after, e := stateOf(f)
		if e != nil {
			return nil, e
		}
		if before == after || try == attempts {
			return installed.sorted(), err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// readAt fills b.
func readAt(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return errRPM
	}
	return err
}
