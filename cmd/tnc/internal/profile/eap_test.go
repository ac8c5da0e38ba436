package profile

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/testpki"
)

// What is offered to the gateway, by local.auth, and whether the gateway proves
// itself before EAP.
func TestOuterMethods(t *testing.T) {
	m := eapMethods{Builder: NewBuilder(&Profile{Strongswan: config.New()}, nil, nil), name: "carol"}
	types := func(method string, signed bool) (out []eap.Type) {
		offers, err := m.outer(method, signed)
		require.NoError(t, err)
		for _, o := range offers {
			out = append(out, o.Type)
		}
		return out
	}
	for method, want := range map[string]eap.Type{"ttls": eap.TypeTTLS, "peap": eap.TypePEAP} {
		require.Equal(t, []eap.Type{want}, types(method, false))
	}
	for method, want := range map[string]eap.Type{"mschapv2": eap.TypeMSCHAPv2, "md5": eap.TypeMD5, "gtc": eap.TypeGTC} {
		require.Equal(t, []eap.Type{want}, types(method, true))
		_, err := m.outer(method, false)
		require.ErrorIs(t, err, errNotMutual, "nothing would prove who the gateway is")
	}
	require.Equal(t, []eap.Type{eap.TypeTTLS, eap.TypePEAP}, types("", false))
	require.Equal(t, []eap.Type{eap.TypeTTLS, eap.TypePEAP, eap.TypeMSCHAPv2, eap.TypeMD5, eap.TypeGTC}, types("dynamic", true))
	m.tls.Certificates = []tls.Certificate{{}}
	require.Contains(t, types("", false), eap.TypeTLS, "with a certificate of ours")
	require.Equal(t, []eap.Type{eap.TypeTLS}, types("tls", false))
	for _, method := range []string{"aka", "tnc", "identity", "radius"} {
		_, err := m.outer(method, true)
		require.ErrorContains(t, err, "auth = eap-"+method+" is not supported: use eap-ttls")
	}
}

// `tnc config check` names what is wrong with algorithms and EAP methods, with
// file and line.
func TestConfigCheckOfAlgorithmsAndMethods(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(p, []byte(text), 0o600))
		return p
	}
	ca, err := testpki.NewCA("CA", testpki.ECDSA)
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "x509ca"), 0o755))
	write("x509ca/ca.pem", string(ca.PEM()))
	check := func(proposals, esp, local, remote string) (errs []string) {
		files := Files{Strongswan: write("strongswan.conf", ""), TNCConfig: write("tnc_config", ""), Swanctl: write("swanctl.conf", `
connections {
  home {
    remote_addrs = 192.0.2.1
    proposals = `+proposals+`
    local {
      auth = `+local+`
      id = carol
    }
    remote {
      auth = `+remote+`
      id = moon.strongswan.org
    }
    children {
      home {
        esp_proposals = `+esp+`
      }
    }
  }
}
`)}
		for _, f := range files.Check(time.Now()) {
			if f.Kind == Error {
				errs = append(errs, f.Text)
			}
		}
		return errs
	}
	const good, hybrid = "aes128-sha256-x25519", "aes256gcm16-prfsha384-ecp384-ke1_mlkem1024"
	for _, local := range []string{"eap", "eap-ttls", "eap-peap"} {
		require.Empty(t, check(good+", "+hybrid, "aes256gcm16-x25519-ke1_mlkem768, default", local, "eap"), local)
	}
	require.Empty(t, check("default", "default", "eap-mschapv2", "pubkey"))
	for _, c := range []struct{ proposals, esp, local, remote, line, says string }{
		{"aes128-sha256-ke1_mlkem512", "default", "eap-ttls", "eap", "swanctl.conf:3", "ML-KEM-768 and ML-KEM-1024 only"},
		{good, "3des-sha1", "eap-ttls", "eap", "swanctl.conf:15", "is not implemented"},
		{good, "default", "eap-md5", "eap-ttls", "swanctl.conf:6", "does not prove who the gateway is"},
		{good, "default", "eap-aka", "pubkey", "swanctl.conf:6", "use eap-ttls"},
		{good, "default", "eap-tls", "pubkey", "swanctl.conf:6", "local.certs"},
	} {
		errs := check(c.proposals, c.esp, c.local, c.remote)
		require.Len(t, errs, 1, "%+v", c)
		require.Contains(t, errs[0], c.says)
		require.Contains(t, errs[0], c.line)
	}
}
