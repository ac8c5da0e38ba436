//go:build !linux

package transport

import (
	"errors"
	"syscall"
)

// KernelESP needs Linux.
func (c *Conn) KernelESP() error { return errors.New("the kernel's ESP needs Linux") }

// Bypass needs Linux.
func (c *Conn) Bypass() error { return errors.New("the kernel's ESP needs Linux") }

func (c *Conn) bypassed() bool { return false }

func bypass(syscall.Conn, bool) error { return nil }

func exempt(*socketPair) error { return nil }

func kernelESP(*socketPair) error { return nil }
