package profile

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config/ipsecconf"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/interop/refusals"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

var referenceHead = `# Configuration

<!-- Generated from the tables in internal/base/config: go test ./cmd/tnc/internal/profile -run TestReference -update -->

` + "`tnc`" + ` reads strongSwan's files and means by them what strongSwan 6 means: swanctl.conf (with
` + "`x509`, `x509ca`, `private`, …" + ` beside it), or ipsec.conf with ipsec.secrets and ipsec.d. Settings of
strongswan.conf: [settings.md](settings.md). ` + "`tnc config check`" + ` says what is wrong, ` + "`tnc config show`" + `
what is understood.

## What differs from strongSwan

strongSwan loads these, ` + "`tnc`" + ` refuses the connection:

` + refusals.Markdown() + `
Rounds whose auth strongSwan takes for "any" mean pubkey, or EAP where ` + "`rightauth=any`" + ` stands beside an EAP
method that proves who the gateway is. Random times leave at least a second. Conns of ipsec.conf that share
both ends stay connections of their own. Where lines of ipsec.conf end in CR LF, strongSwan takes the CR for a
part of the value; here it is a blank.
`

// docs/configuration.md is what the tables say, and they say something of each
// option.
func TestReference(t *testing.T) {
	const file = "../../../../docs/configuration.md"
	text := referenceHead + "\n## swanctl.conf\n" + swanctl.Reference() + "\nSecrets: `eap`, `xauth`, `ntlm`, `ike`, `ppk` with `id<suffix>` and `secret`; `private`, `rsa`, `ecdsa`, `pkcs8`, `pkcs12`\nwith `file` and `secret`. `pools` are for gateways.\n\n## ipsec.conf\n" + ipsecconf.Reference()
	require.NotRegexp(t, `(?m)^\| [^|]* \|  \|$`, text, "an option without a word")
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, text, string(b), "go test ./cmd/tnc/internal/profile -run TestReference -update writes it")
	readme, err := os.ReadFile("../../../../README.md")
	require.NoError(t, err)
	require.True(t, strings.Contains(string(readme), "docs/configuration.md"))
}
