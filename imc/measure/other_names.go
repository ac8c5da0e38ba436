package measure

import (
	"context"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/secrets"
)

// maxNamed bounds how many entries of directories are looked at for what the
// patterns name. Where that is not all, files with several links are refused.
var maxNamed = 200_000

// maxListed bounds the directories whose entries are kept for further patterns.
const maxListed = 16

// secretPlaces are where the secrets of checkSecret are on most systems. Under
// other names they are known as secrets only if they are found here.
var secretPlaces = mustPatterns(secrets.Places...)

// object is what a file is, whatever it is called.
type object struct{ dev, ino uint64 }

func objectOf(st *unix.Stat_t) object { return object{uint64(st.Dev), st.Ino} }

// otherNames knows the files that patterns of Deny and secretPlaces name, and what
// is mounted more than once, so that a file is refused under all its names.
type otherNames struct {
	mounts     mountTable
	links      map[object][]string // names of files that have several links
	targets    map[string]string   // from where a symbolic link leads to its name
	seen       int                 // entries looked at
	incomplete bool                // there were more than maxNamed
	expires    time.Time

	listed map[string][]dirEntry // directories that the first patterns led to
}

// namesOf finds what the patterns name.
func namesOf(ctx context.Context, patterns []pattern) *otherNames {
	started := time.Now()
	o := &otherNames{mounts: readMounts(), links: map[object][]string{}, targets: map[string]string{}, listed: map[string][]dirEntry{}}
	for _, p := range patterns {
		o.walk(ctx, "/", p.segments, false)
	}
	took := time.Since(started)
	o.listed = nil
	o.expires = started.Add(took + max(time.Second, 10*took))
	return o
}

// look counts one entry; false where there are too many.
func (o *otherNames) look(ctx context.Context) bool {
	o.seen++
	if o.seen > maxNamed || ctx.Err() != nil {
		o.incomplete = true
	}
	return !o.incomplete
}

type dirEntry struct {
	name string
	kind uint8 // DT_REG …
}

// entries returns what a directory holds; nothing of one that cannot be read.
func (o *otherNames) entries(ctx context.Context, dir string) (out []dirEntry) {
	fd, err := openRetry(unix.AT_FDCWD, dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	_, err = list(ctx, fd, 0, func(name []byte, kind uint8) bool {
		if s := string(name); s != "." && s != ".." && o.look(ctx) {
			out = append(out, dirEntry{s, kind})
		}
		return false
	})
	if err != nil && ctx.Err() != nil {
		o.incomplete = true
	}
	return out
}

// walk follows the components of a pattern from a directory. linked says that
// symbolic links lead there.
func (o *otherNames) walk(ctx context.Context, dir string, segments []string, linked bool) {
	if slices.ContainsFunc(pseudo[:], func(p string) bool { return within(dir, p) }) {
		return // refused anyhow, and without hard links
	}
	segment, rest := segments[0], segments[1:]
	switch {
	case segment == anyDepth && len(rest) == 0:
		o.cover(ctx, dir)
	case segment == anyDepth:
		o.walk(ctx, dir, rest, linked)
		for _, e := range o.entries(ctx, dir) {
			if e.kind == unix.DT_DIR || e.kind == unix.DT_UNKNOWN && isDirectory(filepath.Join(dir, e.name)) {
				o.walk(ctx, filepath.Join(dir, e.name), segments, linked)
			}
		}
	case !strings.ContainsAny(segment, `*?[\`):
		o.visit(ctx, filepath.Join(dir, segment), rest, linked)
	default:
		entries, ok := o.listed[dir]
		if !ok {
			entries = o.entries(ctx, dir)
			if len(o.listed) < maxListed {
				o.listed[dir] = entries
			}
		}
		for _, e := range entries {
			if ok, _ := path.Match(segment, e.name); ok {
				o.visit(ctx, filepath.Join(dir, e.name), rest, linked)
			}
		}
	}
}

func isDirectory(name string) bool {
	var st unix.Stat_t
	return unix.Lstat(name, &st) == nil && st.Mode&unix.S_IFMT == unix.S_IFDIR
}

// visit goes on at a name that the components so far match.
func (o *otherNames) visit(ctx context.Context, name string, rest []string, linked bool) {
	var st unix.Stat_t
	if !o.look(ctx) || unix.Lstat(name, &st) != nil {
		return
	}
	if st.Mode&unix.S_IFMT == unix.S_IFLNK {
		owner := st.Uid
		// A user's link to what is not the user's own names nothing: a link to / would
		// refuse everything.
		if unix.Stat(name, &st) != nil || owner != 0 && owner != st.Uid {
			return
		}
		linked = true
	}
	directory := st.Mode&unix.S_IFMT == unix.S_IFDIR
	if len(rest) > 0 {
		if directory {
			o.walk(ctx, name, rest, linked)
		}
		return
	}
	if linked {
		if n, err := lookup(name); err == nil {
			o.targets[n.path] = name
			n.close()
		}
	}
	if directory {
		o.cover(ctx, name)
		return
	}
	o.add(name, &st)
}

// cover adds what lies below a directory that a pattern matches.
func (o *otherNames) cover(ctx context.Context, dir string) {
	for _, e := range o.entries(ctx, dir) {
		name := filepath.Join(dir, e.name)
		if e.kind == unix.DT_DIR || e.kind == unix.DT_UNKNOWN && isDirectory(name) {
			o.cover(ctx, name)
			continue
		}
		var st unix.Stat_t
		if e.kind != unix.DT_LNK && unix.Lstat(name, &st) == nil {
			o.add(name, &st)
		}
	}
}

func (o *otherNames) add(name string, st *unix.Stat_t) {
	if st.Nlink > 1 && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		o.links[objectOf(st)] = append(o.links[objectOf(st)], name)
	}
}

// otherNames returns what is known of the names of files, of the connection if
// that is not too old.
func (r *request) otherNames() *otherNames {
	r.namesOnce.Do(func() {
		find := func() *otherNames { return namesOf(r.ctx, append(slices.Clone(r.policy.deny), secretPlaces...)) }
		if r.cache == nil {
			r.names = find()
			return
		}
		r.cache.namesMu.Lock()
		defer r.cache.namesMu.Unlock()
		if r.cache.names == nil || time.Now().After(r.cache.names.expires) {
			r.cache.names = find()
		}
		r.names = r.cache.names
	})
	return r.names
}

// permitsOtherNames refuses what is refused under one of the other names of an
// object: hard links, bind mounts, and symbolic links that a pattern names.
func (r *request) permitsOtherNames(n *node) error {
	o := r.otherNames()
	names := []string{n.path}
	if o.mounts.several {
		id, err := n.mountID()
		if err != nil {
			return err
		}
		if lies, _, ok := o.mounts.inFileSystem(n.path, id); ok {
			if err := r.policy.checkSecret(lies); err != nil {
				return err
			}
		}
		names = append(names, o.mounts.names(n.path, id)...)
	}
	if n.stat.Nlink > 1 && !n.is(unix.S_IFDIR) {
		if o.incomplete {
			return fmt.Errorf("%w: it has several links, and measure_deny and secrets cover more than %d files", ErrRefused, maxNamed)
		}
		names = append(names, o.links[objectOf(&n.stat)]...)
	}
	for _, name := range names[:len(names):len(names)] {
		for dir := name; len(o.targets) > 0 && dir != "/"; dir = path.Dir(dir) {
			if link, ok := o.targets[dir]; ok {
				names = append(names, link+strings.TrimPrefix(name, dir))
			}
		}
	}
	for _, name := range names[1:] {
		if err := r.policy.checkRefused(name); err != nil {
			return fmt.Errorf("as %s: %w", quote(name), err)
		}
	}
	return nil
}
