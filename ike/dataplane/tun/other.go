//go:build !linux

package tun

import (
	"errors"

	"github.com/gotnc/gotnc/ike/dataplane"
)

var errNotLinux = errors.New("only Linux is supported")

// Probe reports why TUN devices cannot be used.
func Probe() error { return errNotLinux }

// New returns a plane that carries nothing: only Linux is supported.
func New(dataplane.Config) dataplane.Plane { return dataplane.NewNone() }

func removeLeftovers(dataplane.Leftovers) error { return nil }
