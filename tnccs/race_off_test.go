//go:build !race

package tnccs

// forgotten is how many allocations a run may have by chance.
const forgotten = 0
