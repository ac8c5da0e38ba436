package swanctl

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config"
)

func certificate(t *testing.T, name string, ca bool) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IsCA: ca, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	require.NoError(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestRoots(t *testing.T) {
	d := t.TempDir()
	put := func(name string, b []byte) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(d, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(d, name), b, 0o600))
	}
	load := func(text string) *Config {
		t.Helper()
		c, err := config.Parse(filepath.Join(d, "swanctl.conf"), text)
		require.NoError(t, err)
		return FromConfig(c, filepath.Join(d, "swanctl.conf"))
	}
	conf := "connections { a { }\n b { remote { cacerts = one.pem\n } }\n c { remote { cacerts = leaf.pem\n } }\n d { remote { cacerts = none.pem\n } } }\nauthorities { z { cacert = ../z.der\n } }"
	none, err := load("connections { a { } }").Roots(nil)
	require.NoError(t, err)
	require.ErrorContains(t, none.Missing, "no CA certificate found: put the one that issued the gateway's certificate into "+d+"/x509ca")

	put("x509ca/one.pem", certificate(t, "one", true))
	put("x509ca/two.der", derOf(certificate(t, "two", true)))
	put("x509ca/both.pem", append(certificate(t, "three", true), certificate(t, "four", true)...))
	put("x509ca/leaf.pem", certificate(t, "leaf", false))
	put("x509ca/README", []byte("put CA certificates here"))
	put("x509ca/bad.der", []byte{0x30, 0x82, 1})
	put("z.der", derOf(certificate(t, "z", true)))
	m := load(conf)
	r, err := m.Roots(m.Connections[0])
	require.NoError(t, err)
	var names []string
	for _, c := range r.Certs {
		names = append(names, c.Subject.CommonName)
	}
	require.Equal(t, []string{"z", "three", "four", "one", "two"}, names)
	require.NoError(t, r.Missing)
	require.Len(t, r.Warnings, 3)

	r, err = m.Roots(m.Connections[1])
	require.NoError(t, err)
	require.Len(t, r.Named, 1)
	require.Len(t, r.Certs, 6, "the others are still links of a path")
	only := x509.NewCertPool()
	only.AddCert(r.Named[0])
	require.True(t, r.Pool.Equal(only), "cacerts leave only the named CAs")
	_, err = m.Roots(m.Connections[2])
	require.ErrorContains(t, err, `connection "c"`)
	require.ErrorContains(t, err, "is not of a CA")
	_, err = m.Roots(m.Connections[3])
	require.ErrorIs(t, err, os.ErrNotExist)
}
