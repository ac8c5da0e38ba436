package strongswan

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/testpki"
)

// standInPool keeps what was made: names occur again and again.
var standInPool = struct {
	cas   map[string]*testpki.CA
	certs map[string]tls.Certificate
}{map[string]*testpki.CA{}, map[string]tls.Certificate{}}

func standInCA(t *testing.T, name string) *testpki.CA {
	t.Helper()
	if ca := standInPool.cas[name]; ca != nil {
		return ca
	}
	ca, err := testpki.NewCA(name, testpki.ECDSA)
	require.NoError(t, err)
	standInPool.cas[name] = ca
	return ca
}

// standInCert returns a certificate for the identities.
func standInCert(t *testing.T, name string, kind testpki.Key, ids []string) tls.Certificate {
	t.Helper()
	key := strings.Join(append([]string{name, string(rune('0' + kind))}, ids...), "|")
	if c, ok := standInPool.certs[key]; ok {
		return c
	}
	c, err := standInCA(t, "strongSwan Root CA").Issue(name, kind, func(c *x509.Certificate) {
		c.DNSNames = nil
		c.Subject = pkix.Name{Country: []string{"CH"}, Organization: []string{"gotnc"}, CommonName: name}
		for _, id := range ids {
			switch ip := net.ParseIP(id); {
			case ip != nil:
				c.IPAddresses = append(c.IPAddresses, ip)
			case strings.ContainsAny(id, "=*%"):
			case strings.Contains(strings.TrimPrefix(id, "@"), "@"):
				c.EmailAddresses = append(c.EmailAddresses, id)
			default:
				c.DNSNames = append(c.DNSNames, strings.TrimPrefix(id, "@"))
			}
		}
	})
	require.NoError(t, err)
	standInPool.certs[key] = c
	return c
}

// standIns makes the files that a swanctl.conf names: certificates hold the id of
// their section, keys are in their folders, all under one CA.
func standIns(t *testing.T, dir, text string) {
	t.Helper()
	put := func(folder, name string, b []byte) {
		path := filepath.Join(dir, folder, filepath.Base(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, b, 0o600))
	}
	for _, folder := range []string{"x509", "x509ca", "x509ocsp", "x509aa", "x509ac", "x509crl", "pubkey", "private", "rsa", "ecdsa", "pkcs8", "pkcs12"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, folder), 0o755))
	}
	put(".", "swanctl.conf", []byte(text))
	put("x509ca", "strongswanCert.pem", standInCA(t, "strongSwan Root CA").PEM())
	type section struct {
		names  []string
		values map[string]string
	}
	var open, all []*section
	for _, line := range strings.Split(text, "\n") {
		line, _, _ = strings.Cut(line, "#")
		line = strings.TrimSpace(line)
		switch {
		case strings.HasSuffix(line, "{"):
			s := &section{values: map[string]string{}}
			if len(open) > 0 {
				s.names = append(s.names, open[len(open)-1].names...)
			}
			name, _, _ := strings.Cut(strings.TrimSpace(strings.TrimSuffix(line, "{")), ":")
			s.names = append(s.names, strings.TrimSpace(name))
			open, all = append(open, s), append(all, s)
		case line == "}" && len(open) > 0:
			open = open[:len(open)-1]
		case len(open) > 0:
			if k, v, ok := strings.Cut(line, "="); ok {
				open[len(open)-1].values[strings.TrimSpace(k)] = strings.Trim(strings.TrimSpace(v), `"`)
			}
		}
	}
	keyFiles := map[string]string{} // of secrets: folder
	for _, s := range all {
		if s.names[0] == "secrets" && s.values["file"] != "" {
			for _, kind := range []string{"rsa", "ecdsa", "pkcs8", "pkcs12", "private"} {
				if strings.HasPrefix(s.names[len(s.names)-1], kind) {
					keyFiles[s.values["file"]] = kind
				}
			}
		}
	}
	cert := func(file string, ids []string) {
		base := filepath.Base(file)
		key := strings.Replace(base, "Cert", "Key", 1)
		folder, named := keyFiles[key]
		if !named {
			folder = "private"
			for f, dir := range keyFiles {
				if len(keyFiles) == 1 && len(ids) > 0 {
					key, folder = f, dir
				}
			}
		}
		kind := testpki.ECDSA
		if folder == "rsa" {
			kind = testpki.RSA
		}
		c := standInCert(t, strings.TrimSuffix(base, filepath.Ext(base)), kind, ids)
		put("x509", base, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))
		der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
		require.NoError(t, err)
		if folder == "pkcs12" {
			folder, key = "private", "of-"+base
		}
		put(folder, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		pub, err := x509.MarshalPKIXPublicKey(c.Leaf.PublicKey)
		require.NoError(t, err)
		put("pubkey", base, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pub}))
	}
	split := func(list string) []string {
		return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	}
	for _, s := range all {
		last := s.names[len(s.names)-1]
		var ids []string
		if id := s.values["id"]; id != "" {
			ids = []string{id}
		}
		for _, f := range append(split(s.values["certs"]), split(s.values["pubkeys"])...) {
			cert(f, ids)
		}
		if strings.HasPrefix(last, "cacert") || s.names[0] == "authorities" && s.values["file"] != "" {
			s.values["cacerts"] = s.values["file"]
		} else if strings.HasPrefix(last, "cert") && s.values["file"] != "" {
			cert(s.values["file"], ids)
		}
		if auth := s.values["auth"]; strings.HasPrefix(last, "local") && (auth == "" || auth == "pubkey") && s.values["certs"] == "" && s.values["pubkeys"] == "" && len(ids) > 0 {
			cert("ofCert-"+strings.Trim(strings.ReplaceAll(ids[0], "/", "_"), "\"")+".pem", ids)
		}
		for _, f := range append(split(s.values["cacerts"]), split(s.values["cacert"])...) {
			if f != "strongswanCert.pem" {
				put("x509ca", f, standInCA(t, strings.TrimSuffix(filepath.Base(f), filepath.Ext(f))).PEM())
			}
		}
	}
}
