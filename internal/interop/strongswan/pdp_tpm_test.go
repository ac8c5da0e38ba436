package strongswan

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// A key in the TPM, with its certificate there or in a file, authenticates tnc pt-tls
// against strongSwan's policy decision point.
func TestTPMKeyOverPTTLS(t *testing.T) {
	e := tpmtest.Swtpm(t, tpm.TPM20)
	e.Config.Timeout = 3 * time.Minute // RSA keys take long to make
	kinds := []struct {
		name   string
		handle uint32
		req    tpm20.SigningKeyRequest
	}{
		{"RSA 2048", 0x81010001, tpm20.SigningKeyRequest{Bits: 2048}},
		{"P-256", 0x81010003, tpm20.SigningKeyRequest{ECC: true, Password: []byte("open sesame")}},
		{"P-384", 0x81010004, tpm20.SigningKeyRequest{ECC: true, Bits: 384}},
	}
	for _, k := range kinds {
		e.Persist(t, k.req, k.handle)
	}
	for _, tls := range []string{"1.3", "1.2"} {
		t.Run("TLS "+tls, func(t *testing.T) {
			p := newPDP(t, tls)
			pin := p.conf("pin", "open sesame\n")
			conf := "charon {\n  plugins {\n    tpm {\n      tcti {\n        name = swtpm\n        opts = " + e.Config.Opts + "\n      }\n    }\n  }\n}\n"
			for i, k := range kinds {
				opened, err := device.Open(t.Context(), e.Config)
				require.NoError(t, err)
				key, err := opened.(*tpm20.TPM).SigningKey(t.Context(), t.Context(), tpm20.SigningKeyConfig{Handle: k.handle})
				require.NoError(t, err)
				require.NoError(t, opened.Close())
				c, err := p.ca.Certify("carol.strongswan.org", key.Public(), func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
				require.NoError(t, err)
				args := []string{"pt-tls", "--json", "--connect", p.net.GatewayAddr, "--cert", filepath.Join(p.dir, "ca.pem"), "--keyid", fmt.Sprintf("0x%08x", k.handle)}
				if k.req.Password != nil {
					args = append(args, "--pin-file", pin)
				}
				if k.name == "P-256" && tls == "1.3" {
					e.WriteNV(t, 0x01800001, c.Raw)
					args = append(args, "--certid", "0x01800001")
				} else {
					args = append(args, "--cert", p.conf(fmt.Sprintf("key%d.pem", i), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))))
				}
				stdout, stderr, err := p.run(p.tnc, conf, "IMC \"Attestation\" "+p.lib+"\n", args...)
				require.NoError(t, err, "%s: %s%s\n%s", k.name, stdout, stderr, readFile(t, p.log))
				var out struct {
					Recommendation string `json:"recommendation"`
					Authentication string `json:"authentication"`
				}
				require.NoError(t, json.Unmarshal([]byte(stdout), &out))
				require.Equal(t, "allowed", out.Recommendation)
				require.Equal(t, "certificate", out.Authentication)
				require.Empty(t, e.Loaded(t))
				t.Logf("| PT-TLS, TLS %s | %s | strongSwan 6 |", tls, k.name)
			}
		})
	}
}
