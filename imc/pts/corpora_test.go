package pts

import (
	"bytes"
	"testing"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/corpora"
)

// TestCorporaMessages parses strongSwan's PA-TNC messages, and encodes them again.
func TestCorporaMessages(t *testing.T) {
	tally := corpora.New(t, "strongSwan pa_tnc", nil)
	for name, b := range corpora.Files(t, "strongswan", "pa_tnc") {
		tally.Run(name, func() {
			m, err := patnc.Parse(b, Attributes)
			if err != nil {
				return
			}
			if out, err := m.AppendBinary(nil); err == nil && !bytes.Equal(out, b) && len(out) != len(b) {
				t.Errorf("%s: encoded as %d octets instead of %d", name, len(out), len(b))
			}
		})
	}
}
