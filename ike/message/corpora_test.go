package message

import (
	"testing"

	"github.com/gotnc/gotnc/internal/corpora"
)

// TestCorporaIdentities parses strongSwan's identities, as text and as octets.
func TestCorporaIdentities(t *testing.T) {
	tally := corpora.New(t, "strongSwan ids", nil)
	for name, b := range corpora.Files(t, "strongswan", "ids") {
		tally.Run(name, func() {
			if id, err := ParseIdentity(string(b)); err == nil {
				_ = id.String()
			}
			_ = ParseDN(b)
			for kind := range IDType(16) {
				_ = Identity{IDType: kind, Data: b}.String()
			}
		})
	}
}
