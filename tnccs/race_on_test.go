//go:build race

package tnccs

// forgotten is how many allocations a run may have by chance: the race detector
// makes sync.Pool, which fmt uses, forget now and then.
const forgotten = 3
