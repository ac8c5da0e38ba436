package strongswan

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
)

// TestPTTLSStays: `tnc pt-tls --stay` keeps the connection to strongSwan's PDP
// beyond a decision. The IMC asks for another handshake at once (CRETRY), the
// server decides again on the same connection, and the user ends it in order.
func TestPTTLSStays(t *testing.T) {
	p := newPDP(t, "1.3",
		edit{"moon/tnc_config", "IMV \"Attestation\"", "IMV \"Test\" PREFIX/lib/ipsec/imcvs/imv-test.so\n#"})
	tncConfig := p.conf("client/tnc_config", "IMC \"Test\" "+p.module("imc-test")+"\n")
	conf := p.conf("client/strongswan.conf", "libtnccs {\n  tnc_config = "+tncConfig+"\n}\nlibimcv {\n  plugins {\n    imc-test {\n      command = isolate\n      retry = yes\n      retry_command = allow\n    }\n  }\n}\n")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := netns.Command(ctx, p.net.Client, append([]string{p.tnc, "pt-tls", "--stay", "--json", "-v"}, p.credentials(false)...)...)
	cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+conf)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	var a answer
	require.NoError(t, json.NewDecoder(stdout).Decode(&a), "%s", &stderr)
	require.Equal(t, "allowed", a.Recommendation, "%s", &stderr)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait(), "%s", &stderr)
	require.Contains(t, stderr.String(), "PB-TNC access recommendation is 'Quarantined'")
	require.Contains(t, stderr.String(), "creating PB-TNC CRETRY batch")
	require.Eventually(t, func() bool {
		moon := readFile(t, filepath.Join(p.dir, "moon", "charon.log"))
		return strings.Contains(moon, "processing PB-TNC CRETRY batch") && strings.Contains(moon, "PB-TNC state transition from 'Decided' to 'End'")
	}, 10*time.Second, 50*time.Millisecond, "the server saw CLOSE")
}
