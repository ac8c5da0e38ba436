package measure

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/patnc"
)

// Limits of an rpm database.
const (
	maxRPMHeader  = 64 << 20 // octets of one package's header
	maxRPMEntries = 1 << 16  // tags of one
	rpmPrefix     = 32 << 10 // where name and version nearly always are
	maxRPMOutput  = 32 << 20
)

// What is asked where the database cannot be read; tests put others here.
var (
	rpmProgram = "/usr/bin/rpm"
	rpmTimeout = 20 * time.Second
)

// rpmDirs are where rpm keeps its database, the present place first.
var rpmDirs = [...]string{"usr/lib/sysimage/rpm", "var/lib/rpm"}

var errRPM = errors.New("rpm database is damaged or of an unknown form")

// readRPM reads the database itself where it is of SQLite or ndb form, and asks
// the rpm program where it is not (Berkeley DB), or where SQLite's log holds
// changes that are not in the database yet.
func readRPM(ctx context.Context, root string) ([]patnc.Package, error) {
	for _, dir := range rpmDirs {
		dir = filepath.Join(root, dir)
		sqlite, ndb, bdb := filepath.Join(dir, "rpmdb.sqlite"), filepath.Join(dir, "Packages.db"), filepath.Join(dir, "Packages")
		switch {
		case exists(sqlite):
			if i, err := os.Stat(sqlite + "-wal"); err == nil && i.Size() > 0 {
				if list, err := askRPM(ctx, root); err == nil {
					return list, nil
				}
			}
			list, err := readStable(ctx, sqlite, rpmFromSQLite)
			if err != nil {
				if asked, e := askRPM(ctx, root); e == nil {
					return asked, nil
				}
			}
			return list, err
		case exists(ndb):
			return readStable(ctx, ndb, rpmFromNDB)
		case exists(bdb):
			return askRPM(ctx, root)
		}
	}
	return nil, fs.ErrNotExist
}

func exists(name string) bool {
	var st unix.Stat_t
	return unix.Stat(name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFREG
}

// readStable reads a database that a transaction may be changing: again, until
// the file did not change meanwhile.
func readStable(ctx context.Context, name string, read func(context.Context, io.ReaderAt, int64) (packageList, error)) ([]patnc.Package, error) {
	fd, err := openFile(name)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	defer f.Close()
	for try := 1; ; try++ {
		var before, after unix.Stat_t
		if err := unix.Fstat(fd, &before); err != nil {
			return nil, err
		}
		list, err := read(ctx, f, before.Size)
		if e := unix.Fstat(fd, &after); e != nil {
			return nil, e
		}
		if stateOf(&before) == stateOf(&after) || try == attempts {
			return list.sorted(), err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// askRPM runs rpm, with its time and output bounded.
func askRPM(ctx context.Context, root string) ([]patnc.Package, error) {
	if root != "/" && root != "" {
		return nil, errRPM
	}
	ctx, cancel := context.WithTimeout(ctx, rpmTimeout)
	defer cancel()
	c := exec.CommandContext(ctx, rpmProgram, "-qa", "--nosignature", "--nodigest", "--queryformat", `%{NAME}\t%{EVR}\n`)
	c.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	c.Dir = "/"
	c.WaitDelay = time.Second
	// rpm and what it starts end together.
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return unix.Kill(-c.Process.Pid, unix.SIGKILL) }
	out, err := c.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { out.Close() })
	defer stop()
	var list packageList
	perr := lines(ctx, io.LimitReader(out, maxRPMOutput), func(line string) {
		if name, version, ok := strings.Cut(line, "\t"); ok {
			list.addRPM(name, version)
		}
	})
	if perr != nil {
		cancel()
	}
	// A host that ignores SIGCHLD reaps rpm itself: its end is then not known.
	if err := c.Wait(); err != nil && !errors.Is(err, unix.ECHILD) {
		return nil, fmt.Errorf("%s: %w", rpmProgram, err)
	}
	return list.sorted(), perr
}

// addRPM leaves out the public keys that rpm lists as packages.
func (l *packageList) addRPM(name, version string) {
	if name != "gpg-pubkey" {
		l.add(name, version)
	}
}

// Tags and types of an rpm header.
const (
	rpmTagName    = 1000
	rpmTagVersion = 1001
	rpmTagRelease = 1002
	rpmTagEpoch   = 1003
	rpmInt32      = 4
	rpmString     = 6
)

// header adds the package of an rpm header as databases hold it:
//
//	u32 entries | u32 octets of data | entries × { u32 tag | u32 type | u32 offset | u32 count } | data
//
// all big-endian. b may hold only its first octets: more reports that the name or
// version lies beyond them.
func (l *packageList) header(b []byte) (more bool, err error) {
	if len(b) < 8 {
		return false, errRPM
	}
	n, size := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if n > maxRPMEntries || size > maxRPMHeader {
		return false, errRPM
	}
	if len(b) < 8+16*int(n) {
		return true, nil
	}
	index, data := b[8:8+16*int(n)], b[8+16*int(n):]
	data = data[:min(len(data), int(size))]
	whole := len(data) == int(size)
	text := map[uint32]string{}
	epoch := ""
	for e := index; len(e) > 0; e = e[16:] {
		tag, kind, offset := binary.BigEndian.Uint32(e), binary.BigEndian.Uint32(e[4:]), binary.BigEndian.Uint32(e[8:])
		switch tag {
		case rpmTagName, rpmTagVersion, rpmTagRelease:
			if kind != rpmString || offset >= size {
				return false, errRPM
			}
			if int(offset) >= len(data) {
				return !whole, nil
			}
			i := bytes.IndexByte(data[offset:], 0)
			if i < 0 {
				if whole {
					return false, errRPM
				}
				return true, nil
			}
			text[tag] = string(data[offset : int(offset)+i])
		case rpmTagEpoch:
			if kind != rpmInt32 || uint64(offset)+4 > uint64(size) {
				return false, errRPM
			}
			if int(offset)+4 > len(data) {
				return true, nil
			}
			epoch = strconv.FormatUint(uint64(binary.BigEndian.Uint32(data[offset:])), 10) + ":"
		}
	}
	if text[rpmTagName] == "" {
		return false, errRPM
	}
	version := epoch + text[rpmTagVersion]
	if r := text[rpmTagRelease]; r != "" {
		version += "-" + r
	}
	l.addRPM(text[rpmTagName], version)
	return false, nil
}

// rpmFromSQLite reads the table Packages (hnum INTEGER PRIMARY KEY, blob BLOB).
func rpmFromSQLite(ctx context.Context, r io.ReaderAt, octets int64) (packageList, error) {
	db, err := openSQLite(r, octets)
	if err != nil {
		return nil, err
	}
	root, err := db.table(ctx, "Packages")
	if err != nil {
		return nil, err
	}
	var list packageList
	err = db.rows(ctx, root, func(row sqliteRow) error {
		for _, limit := range [...]int{rpmPrefix, maxRPMHeader} {
			columns, err := row.columns(limit)
			if err != nil {
				return err
			}
			if len(columns) < 2 {
				return errRPM
			}
			more, err := list.header(columns[1].octets)
			if !more || err != nil {
				return err
			}
		}
		return errRPM
	})
	return list, err
}

// Layout of rpm's ndb, little-endian: a header of 32 octets, then slots of 16 up
// to the end of its pages, then blobs in blocks of 16 octets.
const (
	ndbMagic  = 'R' | 'p'<<8 | 'm'<<16 | 'P'<<24
	ndbSlot   = 'S' | 'l'<<8 | 'o'<<16 | 't'<<24
	ndbBlob   = 'B' | 'l'<<8 | 'b'<<16 | 'S'<<24
	ndbHeader = 32
	ndbPage   = 4096
	ndbBlock  = 16
)

// rpmFromNDB reads the Packages.db of openSUSE and SLE.
func rpmFromNDB(ctx context.Context, r io.ReaderAt, octets int64) (packageList, error) {
	var head [ndbHeader]byte
	if err := readAt(r, head[:], 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	pages := le.Uint32(head[12:])
	if le.Uint32(head[:]) != ndbMagic || le.Uint32(head[4:]) != 0 || pages == 0 || int64(pages)*ndbPage > octets {
		return nil, errRPM
	}
	slots := make([]byte, int(pages)*ndbPage-ndbHeader)
	if err := readAt(r, slots, ndbHeader); err != nil {
		return nil, err
	}
	var list packageList
	for s := slots; len(s) >= ndbBlock; s = s[ndbBlock:] {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		pkg, at, blocks := le.Uint32(s[4:]), int64(le.Uint32(s[8:]))*ndbBlock, int64(le.Uint32(s[12:]))*ndbBlock
		if le.Uint32(s) != ndbSlot {
			return nil, errRPM
		}
		if pkg == 0 || at == 0 {
			continue
		}
		var blob [16]byte
		if err := readAt(r, blob[:], at); err != nil {
			return nil, err
		}
		size := int64(le.Uint32(blob[12:]))
		if le.Uint32(blob[:]) != ndbBlob || le.Uint32(blob[4:]) != pkg || size > blocks-16 || size > maxRPMHeader {
			return nil, errRPM
		}
		for _, limit := range [...]int64{rpmPrefix, maxRPMHeader} {
			b := make([]byte, min(size, limit))
			if err := readAt(r, b, at+16); err != nil {
				return nil, err
			}
			more, err := list.header(b)
			if err != nil || more && limit == maxRPMHeader {
				return nil, errRPM
			}
			if !more {
				break
			}
		}
	}
	return list, nil
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
