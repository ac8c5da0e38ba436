package confine

import "golang.org/x/sys/unix"

const (
	auditArch = unix.AUDIT_ARCH_AARCH64
	x32Bit    = 0
)

// Calls that only older architectures have.
var legacyRefused, legacyOpen []uint32
