package key

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// A TPM 1.2 makes keys too, in files, and requests are signed with them.
func TestKeysOfATPM12(t *testing.T) {
	e, p := tpmtest.Open12(t)
	require.NoError(t, p.Close())
	s := &site{t: t, e: e, dir: t.TempDir()}
	s.write("strongswan.conf", "")
	s.write("password", "pin\n")
	flags := []string{"--tcti", e.Config.String(), "--strongswan-conf", s.path("strongswan.conf")}
	for name, password := range map[string][]string{"plain.pem": nil, "pin.pem": {"--password-file", s.path("password")}} {
		all := append(flags[:len(flags):len(flags)], password...)
		out, err := s.run(Command(), append([]string{"create", "--json", "--bits", "1024", "--out", s.path(name)}, all...)...)
		require.NoError(t, err)
		var made, shown Shown
		require.NoError(t, json.Unmarshal([]byte(out), &made))
		require.Equal(t, len(password) > 0, made.Password)
		require.True(t, made.FixedTPM)
		out, err = s.run(Command(), append([]string{"show", s.path(name), "--json"}, all...)...)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal([]byte(out), &shown))
		require.Equal(t, made, shown)
		_, err = s.run(Command(), append([]string{"csr", s.path(name), "--name", "carol", "--out", s.path(name + ".csr")}, all...)...)
		require.NoError(t, err)
		b, err := os.ReadFile(s.path(name + ".csr"))
		require.NoError(t, err)
		block, _ := pem.Decode(b)
		request, err := x509.ParseCertificateRequest(block.Bytes)
		require.NoError(t, err)
		require.NoError(t, request.CheckSignature())
		b, err = os.ReadFile(s.path(name))
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(b), "-----BEGIN TSS KEY BLOB-----\n"))
	}
	_, err := s.run(Command(), append([]string{"create", "--type", "ecc", "--out", s.path("ecc.pem")}, flags...)...)
	require.ErrorContains(t, err, "do without --type ecc")
	_, err = s.run(Command(), append([]string{"certify", s.path("plain.pem"), "--name", "carol"}, flags...)...)
	require.ErrorContains(t, err, "tnc key csr")
}
