//go:build gotnc_testhook

package main

import (
	"context"

	"github.com/gotnc/gotnc/imc/pts"
)

// hooked makes the library panic where a verifier asks for /gotnc-panic, for
// capitest. It is in no library that ships.
func hooked(m pts.Measurer) pts.Measurer { return hook{m} }

type hook struct{ pts.Measurer }

func (h hook) Measure(ctx context.Context, path string, directory bool, alg pts.HashAlgorithms) ([]pts.MeasuredFile, error) {
	if path == "/gotnc-panic" {
		panic("asked for by a test")
	}
	return h.Measurer.Measure(ctx, path, directory, alg)
}
