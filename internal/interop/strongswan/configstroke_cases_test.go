package strongswan

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/testpki"
)

// standInsIPsec makes what an ipsec.d usually holds: certificates of carol, dave
// and moon under one CA, carol's and dave's keys.
func (c *configCharon) standInsIPsec() {
	t := c.t
	put := func(name string, b []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(c.etc, "ipsec.d", name), b, 0o600))
	}
	put("cacerts/strongswanCert.pem", standInCA(t, "strongSwan Root CA").PEM())
	for name, id := range map[string]string{"carol": "carol@strongswan.org", "dave": "dave@strongswan.org", "moon": "moon.strongswan.org", "sun": "sun.strongswan.org"} {
		cert := standInCert(t, name, testpki.ECDSA, []string{id})
		put("certs/"+name+"Cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))
		der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
		require.NoError(t, err)
		put("private/"+name+"Key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
}

// ipsecCase is an ipsec.conf, and how the two are expected to understand it.
type ipsecCase struct {
	name    string
	conf    string // "" = base with more
	more    string // settings added to the base's conn
	secrets string // "" = the key of carol
	want    string // "" = same
	why     string // where it is not
}

const ipsecBase = `config setup

conn home
	left=192.168.0.100
	right=192.168.0.1
	rightid=moon.strongswan.org
	leftid=carol@strongswan.org
	leftcert=carolCert.pem
	rightsubnet=10.1.0.0/16
	auto=add
`

// TestConfigCasesIPsec compares small files of ipsec.conf.
func TestConfigCasesIPsec(t *testing.T) {
	charon := newConfigCharon(t, "starter", "--nofork")
	charon.standInsIPsec()
	c := newComparer(t, charon)
	for _, k := range ipsecCases {
		t.Run(k.name, func(t *testing.T) {
			charon.t = t
			c.t = t
			conf := k.conf
			if conf == "" {
				conf = ipsecBase
				for _, line := range strings.Split(strings.TrimSpace(k.more), "\n") {
					key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
					conf = withSetting(conf, key, value)
				}
			}
			secrets := k.secrets
			if secrets == "" {
				secrets = ": ECDSA carolKey.pem\n: PSK \"abc\"\n"
			}
			charon.write("ipsec.secrets", secrets)
			out := c.ipsecConf(conf)
			want := k.want
			if want == "" {
				want = same
			}
			for _, o := range out {
				want := want
				if o.name != "home" && o.name != "" {
					want = same
				}
				require.Equal(t, want, o.kind, "%s: %s\n%s", o.name, strings.Join(o.details, "\n"), conf)
				if _, ok := refusedOnPurpose(o.details); want == onlyTheirs {
					require.True(t, ok, "not in the table of refusals: %s", o.details)
				}
			}
			if len(out) == 0 {
				require.Equal(t, same, want, fmt.Sprint(k))
			}
		})
	}
}

// withSetting sets a setting of the last conn of conf; an empty value takes it out.
func withSetting(conf, key, value string) string {
	var out []string
	for _, line := range strings.Split(conf, "\n") {
		if k, _, ok := strings.Cut(strings.TrimSpace(line), "="); ok && k == key {
			continue
		}
		out = append(out, line)
	}
	conf = strings.TrimRight(strings.Join(out, "\n"), "\n")
	if value != "" {
		conf += "\n\t" + key + "=" + value
	}
	return conf + "\n"
}

// standInsOf makes the files that an ipsec.conf and its secrets name.
func (c *configCharon) standInsOf(conf, secrets string) {
	t := c.t
	for _, folder := range []string{"certs", "private", "cacerts"} {
		dir := filepath.Join(c.etc, "ipsec.d", folder)
		require.NoError(t, os.RemoveAll(dir))
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	put := func(name string, b []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(c.etc, "ipsec.d", name), b, 0o600))
	}
	put("cacerts/strongswanCert.pem", standInCA(t, "strongSwan Root CA").PEM())
	values := map[string]string{}
	for _, line := range strings.Split(conf, "\n") {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			values[strings.TrimSpace(k)] = strings.Trim(strings.TrimSpace(v), `"`)
		}
	}
	var keys []string
	for _, line := range strings.Split(secrets, "\n") {
		if f := strings.Fields(line); len(f) > 2 && f[0] == ":" && (f[1] == "RSA" || f[1] == "ECDSA" || f[1] == "PKCS8") {
			keys = append(keys, f[1]+" "+f[2])
		}
	}
	for _, end := range []string{"left", "right"} {
		for _, file := range strings.Split(values[end+"cert"], ",") {
			if file = strings.TrimSpace(file); file == "" || strings.HasPrefix(file, "%") {
				continue
			}
			kind := testpki.RSA
			if len(keys) > 0 && strings.HasPrefix(keys[0], "ECDSA") {
				kind = testpki.ECDSA
			}
			base := filepath.Base(file)
			cert := standInCert(t, strings.TrimSuffix(base, filepath.Ext(base)), kind, []string{values[end+"id"]})
			put("certs/"+base, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))
			der, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
			require.NoError(t, err)
			for _, k := range keys {
				if name := filepath.Base(strings.Fields(k)[1]); end == "left" && values["rightcert"] == "" || name == strings.Replace(base, "Cert", "Key", 1) {
					put("private/"+filepath.Base(strings.Fields(k)[1]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
				}
			}
		}
	}
	c.write("ipsec.secrets", secrets)
}
