//go:build cgo && linux

package confine

// #include "apply_linux.h"
import "C"

// applied returns what the constructor has done: whether there was a plan, the
// step that failed and its errno, 0 for none.
func applied() (confined bool, step, errno int) {
	return C.gotnc_confined != 0, int(C.gotnc_confine_step), int(C.gotnc_confine_errno)
}
