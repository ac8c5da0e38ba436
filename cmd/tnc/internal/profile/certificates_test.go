package profile

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/testpki"
)

func TestTLSCertificates(t *testing.T) {
	dir := t.TempDir()
	ca, err := testpki.NewCA("CA", testpki.ECDSA)
	require.NoError(t, err)
	own, err := ca.Issue("carol.gotnc.test", testpki.ECDSA, nil)
	require.NoError(t, err)
	other, err := ca.Issue("dave.gotnc.test", testpki.ECDSA, nil)
	require.NoError(t, err)
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, d := range []string{"x509", "private", "elsewhere"} {
		require.NoError(t, os.MkdirAll(in(d), 0o755))
	}
	require.NoError(t, testpki.WriteFiles(own, in("x509/carol.pem"), in("private/carol.key")))
	require.NoError(t, testpki.WriteFiles(other, in("x509/dave.pem"), in("elsewhere/dave.key")))
	require.NoError(t, os.WriteFile(in("private/noise"), []byte("no key"), 0o600))
	l := &swanctl.Round{}
	b := NewBuilder(&Profile{
		Strongswan: config.New(),
		Swanctl:    &swanctl.Config{File: in("swanctl.conf"), Dir: dir},
		Connection: &swanctl.Connection{Name: "home", Local: []*swanctl.Round{l}},
		Roots:      &swanctl.Roots{},
	}, nil, nil)
	got, err := b.tlsCertificates(t.Context(), l)
	require.NoError(t, err)
	require.Empty(t, got)
	l.Certs = []string{in("x509/carol.pem")}
	got, err = b.tlsCertificates(t.Context(), l)
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, own.Certificate[0], got[0].Certificate[0])
	require.NotNil(t, got[0].PrivateKey)
	for file, says := range map[string]string{"x509/dave.pem": "folder private", "private/noise": "", "none": ""} {
		l.Certs = []string{in(file)}
		_, err = b.tlsCertificates(t.Context(), l)
		require.ErrorContains(t, err, `connection "home"`)
		require.ErrorContains(t, err, says)
	}
}
