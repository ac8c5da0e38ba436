//go:build !cgo || !unix

package dlimc

import (
	"log/slog"
	"os"

	"github.com/gotnc/gotnc/tnccs"
)

// openModule cannot load anything in a program that was built without cgo.
func openModule(e Entry, _ bool, _ *slog.Logger) (tnccs.IMC, error) {
	return nil, loadError(e, ErrNotLoadable, "this program was built without cgo: build it with CGO_ENABLED=1")
}

func prepareChild() {}

// ChainSignals has nothing to do in a program that was built without cgo.
func ChainSignals() {}

func getenv(name string) (string, bool) { return os.LookupEnv(name) }
