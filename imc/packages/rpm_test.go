package packages

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/log"
)

// rpmdb returns a database that rpm 4.18 wrote, and what rpm -qa says of it.
func rpmdb(t testing.TB) (db []byte, want []Package) {
	t.Helper()
	db = unzip(t, "testdata/rpmdb.sqlite.gz")
	listed, err := os.ReadFile("testdata/rpmdb.tsv")
	require.NoError(t, err)
	for line := range strings.Lines(string(listed)) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), "\t")
		want = append(want, Package{Name: name, Version: version})
	}
	return db, want
}

func unzip(t testing.TB, name string) []byte {
	t.Helper()
	f, err := os.Open(name)
	require.NoError(t, err)
	defer f.Close()
	z, err := gzip.NewReader(f)
	require.NoError(t, err)
	b, err := io.ReadAll(z)
	require.NoError(t, err)
	return b
}

// TestSmallPages: a database of 512-octet pages, with a tree of two levels and
// chains of overflow pages.
func TestSmallPages(t *testing.T) {
	db := unzip(t, "testdata/small.sqlite.gz")
	found, err := rpmFromSQLite(ctx, bytes.NewReader(db), int64(len(db)))
	require.NoError(t, err)
	require.Equal(t, list{{Name: "p0", Version: "0-1"}, {Name: "p1", Version: "1:1-1"}, {Name: "p2", Version: "2-1"},
		{Name: "p3", Version: "3:3-1"}, {Name: "p4", Version: "4-1"}, {Name: "p5", Version: "5:5-1"}}, found)
	for n := range db { // no truncation brings a panic or a package that is not there
		found, _ := rpmFromSQLite(ctx, bytes.NewReader(db[:n]), int64(n))
		require.LessOrEqual(t, len(found), 6)
	}
}

func TestRPMSQLite(t *testing.T) {
	db, want := rpmdb(t)
	for _, dir := range rpmDirs {
		root := t.TempDir()
		write(t, filepath.Join(root, dir, "rpmdb.sqlite"), string(db))
		// An empty dpkg beside it does not count.
		write(t, filepath.Join(root, "var/lib/dpkg/status"), "")
		require.Equal(t, want, installed(t, root, "Fedora"))
		// Its log is not empty and there is no rpm to ask: the database as it is.
		write(t, filepath.Join(root, dir, "rpmdb.sqlite-wal"), "x")
		require.Equal(t, want, installed(t, root, "Fedora"))
	}
}

// headers returns the headers of a database's packages, whole.
func headers(t *testing.T, b []byte) (all [][]byte) {
	t.Helper()
	db, err := openSQLite(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	root, err := db.table(ctx, "Packages")
	require.NoError(t, err)
	require.NoError(t, db.rows(ctx, root, func(r sqliteRow) error {
		c, err := r.columns(maxRPMHeader)
		if err == nil {
			all = append(all, bytes.Clone(c[1].octets))
		}
		return err
	}))
	return all
}

// ndb writes headers as rpm's ndb holds them; the layout is that of rpm's
// lib/backend/ndb/rpmpkg.c.
func ndb(headers [][]byte) []byte {
	le := binary.LittleEndian
	b := make([]byte, ndbPage)
	copy(b, "RpmP")
	le.PutUint32(b[12:], 1)
	for i := ndbHeader; i < ndbPage; i += ndbBlock {
		copy(b[i:], "Slot")
	}
	for i, h := range headers {
		at := len(b)
		b = append(b, "BlbS"...)
		b = le.AppendUint32(le.AppendUint32(le.AppendUint32(b, uint32(i+1)), 0), uint32(len(h)))
		b = append(b, h...)
		for (len(b)+12)%ndbBlock != 0 {
			b = append(b, 0)
		}
		b = append(le.AppendUint32(le.AppendUint32(b, 0), uint32(len(h))), "BlbE"...)
		slot := b[ndbHeader+2*i*ndbBlock:] // every other slot is free
		le.PutUint32(slot[4:], uint32(i+1))
		le.PutUint32(slot[8:], uint32(at/ndbBlock))
		le.PutUint32(slot[12:], uint32((len(b)-at)/ndbBlock))
	}
	return b
}

func TestRPMNDB(t *testing.T) {
	db, want := rpmdb(t)
	root := t.TempDir()
	write(t, filepath.Join(root, "usr/lib/sysimage/rpm/Packages.db"), string(ndb(headers(t, db))))
	require.Equal(t, want, installed(t, root, ""))
}

// rpmHeader makes a header of string tags.
func rpmHeader(pad int, tags map[uint32]string) []byte {
	var index, data []byte
	data = make([]byte, pad)
	for _, tag := range []uint32{rpmTagName, rpmTagVersion, rpmTagRelease} {
		if v, ok := tags[tag]; ok {
			for _, n := range []uint32{tag, rpmString, uint32(len(data)), 1} {
				index = binary.BigEndian.AppendUint32(index, n)
			}
			data = append(append(data, v...), 0)
		}
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(index)/16))
	return append(append(binary.BigEndian.AppendUint32(b, uint32(len(data))), index...), data...)
}

func TestRPMHeader(t *testing.T) {
	whole := rpmHeader(0, map[uint32]string{rpmTagName: "a", rpmTagVersion: "1", rpmTagRelease: "2.fc40"})
	var l list
	more, err := l.addHeader(whole)
	require.NoError(t, err)
	require.False(t, more)
	require.Equal(t, list{{Name: "a", Version: "1-2.fc40"}}, l)

	for n := range whole { // every truncated prefix asks for more or is refused
		var l list
		more, err := l.addHeader(whole[:n])
		require.True(t, more || err != nil, "%d octets", n)
		require.Empty(t, l)
	}
	l = nil
	_, err = l.addHeader(rpmHeader(0, map[uint32]string{rpmTagName: "gpg-pubkey", rpmTagVersion: "1"}))
	require.NoError(t, err)
	require.Empty(t, l, "a public key is no package")
	_, err = l.addHeader(rpmHeader(0, map[uint32]string{rpmTagVersion: "1"}))
	require.ErrorIs(t, err, errRPM)
	// Far behind the first octets that are read.
	var found list
	far := ndb([][]byte{rpmHeader(3*rpmPrefix, map[uint32]string{rpmTagName: "far", rpmTagVersion: "1"})})
	found, err = rpmFromNDB(ctx, bytes.NewReader(far), int64(len(far)))
	require.NoError(t, err)
	require.Equal(t, list{{Name: "far", Version: "1"}}, found)
}

func TestDamagedRPM(t *testing.T) {
	db, _ := rpmdb(t)
	for _, n := range []int{0, 50, 100, 4096, 8192, len(db) / 2} {
		_, err := rpmFromSQLite(ctx, bytes.NewReader(db[:n]), int64(n))
		require.Error(t, err, "%d octets", n)
	}
	loop := bytes.Clone(db)
	root := loop[4096:8192] // any page that leads to itself
	clear(root)
	root[0] = sqliteInterior
	_, err := rpmFromSQLite(ctx, bytes.NewReader(loop), int64(len(loop)))
	require.Error(t, err)
	stopped, cancel := context.WithCancel(ctx)
	cancel()
	_, err = rpmFromSQLite(stopped, bytes.NewReader(db), int64(len(db)))
	require.ErrorIs(t, err, context.Canceled)

	// What is damaged is logged, and the next database is asked.
	dir := t.TempDir()
	write(t, filepath.Join(dir, "var/lib/rpm/rpmdb.sqlite"), "no database")
	write(t, filepath.Join(dir, "var/lib/dpkg/status"), "Package: a\nStatus: install ok installed\nVersion: 1\n")
	var out strings.Builder
	found, err := Installed(ctx, Config{Root: dir, System: "Fedora", Logger: log.NewWriter(&out, slog.LevelInfo)})
	require.NoError(t, err)
	require.Equal(t, []Package{{Name: "a", Version: "1"}}, found)
	require.Contains(t, out.String(), "[IMC] reading the packages of rpm failed")
}

// TestRPMProgram: Berkeley DB is left to rpm, whose time and output are bounded.
func TestRPMProgram(t *testing.T) {
	program, timeout := rpmProgram, rpmTimeout
	defer func() { rpmProgram, rpmTimeout = program, timeout }()
	d := t.TempDir()
	script := func(text string) {
		rpmProgram = filepath.Join(d, "rpm")
		require.NoError(t, os.WriteFile(rpmProgram, []byte("#!/bin/sh\n"+text), 0o755))
	}
	script(`printf 'zlib\t1-2\ngpg-pubkey\t1-1\nbash\t3:5-1\nodd line\n'`)
	found, err := askRPM(ctx, "/")
	require.NoError(t, err)
	require.Equal(t, []Package{{Name: "bash", Version: "3:5-1"}, {Name: "zlib", Version: "1-2"}}, found)

	rpmTimeout = 100 * time.Millisecond
	start := time.Now()
	for _, text := range []string{"sleep 60", "sleep 60 & sleep 60", "exit 1", "printf x >&2; kill -9 $$"} {
		script(text)
		_, err = askRPM(ctx, "/")
		require.Error(t, err, text)
	}
	require.Less(t, time.Since(start), 20*time.Second)
	rpmProgram = filepath.Join(d, "none")
	_, err = askRPM(ctx, "/")
	require.ErrorIs(t, err, fs.ErrNotExist)

	root := t.TempDir()
	write(t, filepath.Join(root, "var/lib/rpm/Packages"), "bdb")
	_, err = readRPM(ctx, root)
	require.ErrorIs(t, err, errRPM, "rpm would tell of another root")
}

func FuzzRPM(f *testing.F) {
	f.Add(rpmHeader(0, map[uint32]string{rpmTagName: "a", rpmTagVersion: "1", rpmTagRelease: "2"}))
	f.Add(ndb([][]byte{rpmHeader(0, map[uint32]string{rpmTagName: "a"})}))
	f.Add(unzip(f, "testdata/small.sqlite.gz"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var l list
		_, _ = l.addHeader(b)
		encodes(t, l)
		for _, read := range []func(context.Context, io.ReaderAt, int64) (list, error){rpmFromSQLite, rpmFromNDB} {
			if found, err := read(ctx, bytes.NewReader(b), int64(len(b))); err == nil {
				encodes(t, found)
			}
		}
	})
}
