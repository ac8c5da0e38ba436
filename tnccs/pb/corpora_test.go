package pb

import (
	"testing"

	"github.com/gotnc/gotnc/internal/corpora"
)

// TestCorporaBatches parses strongSwan's PB-TNC batches, as either end.
func TestCorporaBatches(t *testing.T) {
	tally := corpora.New(t, "strongSwan pb_tnc", nil)
	for name, b := range corpora.Files(t, "strongswan", "pb_tnc") {
		tally.Run(name, func() {
			for _, role := range []Role{Client, Server} {
				_, _ = Parse(b, role)
			}
		})
	}
}
