package measure

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/pts"
)

// Bounds of what is remembered, in files.
const (
	maxCached       = 1 << 16 // of one connection
	maxCachedOfAll  = 1 << 18 // of all connections
	timestampSettle = 2 * time.Second
)

var cachedOfAll atomic.Int64

// fileState tells whether a file has changed.
type fileState struct {
	dev, ino     uint64
	size         int64
	mtime, ctime int64 // ns
}

func stateOf(st *unix.Stat_t) fileState {
	return fileState{uint64(st.Dev), st.Ino, st.Size, st.Mtim.Nano(), st.Ctim.Nano()}
}

type cacheKey struct {
	fileState
	alg pts.HashAlgorithms
}

// cache remembers the digests of a connection. A digest is kept only where the
// file's times had settled when it was read: a file that was changed less than
// timestampSettle before may change again without its times showing it. A
// program that writes through a shared mapping which it dirtied before shows
// only when the kernel writes the page back. Nil remembers nothing.
type cache struct {
	now     func() time.Time
	held    *atomic.Int64 // entries, given back to cachedOfAll with the cache
	mu      sync.Mutex
	digests map[cacheKey][maxDigest]byte

	namesMu sync.Mutex
	names   *otherNames // what files are called, until it expires
}

const maxDigest = 64

func newCache() *cache {
	c := &cache{now: time.Now, held: new(atomic.Int64), digests: map[cacheKey][maxDigest]byte{}}
	runtime.AddCleanup(c, func(held *atomic.Int64) { cachedOfAll.Add(-held.Load()) }, c.held)
	return c
}

// get copies the digest of an unchanged file to out.
func (c *cache) get(s fileState, alg pts.HashAlgorithms, out []byte) bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.digests[cacheKey{s, alg}]
	if ok {
		copy(out, d[:])
	}
	return ok
}

// start returns the time that put needs, of before the file was read.
func (c *cache) start() time.Time {
	if c == nil {
		return time.Time{}
	}
	return c.now()
}

func (c *cache) put(s fileState, alg pts.HashAlgorithms, digest []byte, started time.Time) {
	if c == nil || max(s.mtime, s.ctime) > started.Add(-timestampSettle).UnixNano() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	k := cacheKey{s, alg}
	if _, ok := c.digests[k]; ok || len(c.digests) >= maxCached {
		return
	}
	if cachedOfAll.Add(1) > maxCachedOfAll {
		cachedOfAll.Add(-1)
		return
	}
	c.held.Add(1)
	var d [maxDigest]byte
	copy(d[:], digest)
	c.digests[k] = d
}
