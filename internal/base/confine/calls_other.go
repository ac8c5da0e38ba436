//go:build linux && !amd64 && !arm64

package confine

// Other architectures have no filter.
const (
	auditArch = 0
	x32Bit    = 0
)

var refused, unknown, legacyOpen []uint32
