package charon

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/youmark/pkcs8"
	"software.sslmate.com/src/go-pkcs12"

	"github.com/gotnc/gotnc/internal/testpki"
)

// Our key comes encrypted (PKCS #8), in PKCS #12, or without a certificate; the
// identity finds it where local.certs does not.
func TestKeysOfEveryFormWithCharon(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	ca := newCA(t, testpki.ECDSA)
	_, cl := s.certificates(ca, "own", testpki.RSA, nil)
	in := func(path string) string { return filepath.Join(s.dir, "cl", "swanctl", path) }
	c := authCase{gwLocal: pubkey("pubkey", "own") + gwIs, gwRemote: "auth = pubkey\n" + carolIs, clRemote: "auth = pubkey\n" + gwIs,
		clLocal: "auth = pubkey\n" + carolIs}
	s.accepted(c)

	der, err := pkcs8.MarshalPrivateKey(cl.PrivateKey, []byte("open sesame"), nil)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(in("private/own.pem"), pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: der}), 0o600))
	s.refused(c, "own.pem is encrypted: add the section private-own-pem")
	c.secrets = "private-own {\nfile = own.pem\nsecret = open sesame\n}\n"

	code, says := s.tryClient(c)
	require.Zero(t, code, says)

	require.NoError(t, os.RemoveAll(in("private")))
	require.NoError(t, os.RemoveAll(in("x509")))
	p12, err := pkcs12.Modern.Encode(cl.PrivateKey, cl.Leaf, []*x509.Certificate{ca.Cert}, "open sesame")
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(in("pkcs12"), 0o755))
	require.NoError(t, os.WriteFile(in("pkcs12/own.p12"), p12, 0o600))
	c.secrets = "pkcs12-own {\nfile = own.p12\nsecret = open sesame\n}\n"
	code, says = s.tryClient(c)
	require.Zero(t, code, says)
	require.Contains(t, says, "IDi CERT", "the certificate out of the container")
	c.secrets = "pkcs12-own {\nfile = own.p12\nsecret = wrong\n}\n"
	code, says = s.tryClient(c)
	require.Equal(t, 1, code, says)
	require.Contains(t, says, "passphrase")
}
