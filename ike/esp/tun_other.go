//go:build !linux

package esp

import "errors"

var errNotLinux = errors.New("only Linux is supported")

// ProbeTUN reports why TUN devices cannot be used.
func ProbeTUN() error { return errNotLinux }

// OpenTUN works on Linux only.
func OpenTUN(cfg Config) (Plane, error) {
	for _, c := range []Cipher{cfg.Child.In, cfg.Child.Out} {
		if c != nil {
			c.Zero()
		}
	}
	return nil, errNotLinux
}

// RemoveStale has nothing to remove.
func RemoveStale(Config) error { return nil }
