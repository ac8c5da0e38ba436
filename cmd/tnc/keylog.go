package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// openKeyLog makes the file, which must not exist: mode 0600 holds from the
// first octet on.
func openKeyLog(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the key file: %w: name one that does not exist", err)
	}
	return f, nil
}
