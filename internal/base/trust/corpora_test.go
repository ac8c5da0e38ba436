package trust

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/corpora"
)

// TestCorporaCertificates hands strongSwan's fuzzing corpora to what reads a peer's
// certificates and revocation data: none is believed.
func TestCorporaCertificates(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(w.root, withURIs).Leaf
	for _, folder := range []string{"certs", "certs-crash", "crls", "ocsp_req", "ocsp_rsp", "ocsp_rsp-crash"} {
		files := corpora.Files(t, "strongswan", folder)
		tally := corpora.New(t, "strongSwan "+folder, nil)
		for _, name := range slices.Sorted(maps.Keys(files)) {
			b := files[name]
			tally.Run(name, func() {
				if block, _ := pem.Decode(b); block != nil {
					b = block.Bytes
				}
				if c, err := x509.ParseCertificate(b); err == nil {
					_, err = w.store(nil).Verify(context.Background(), Presented{Certs: []*x509.Certificate{c, leaf}}, Policy{MatchesPeer: anybody}, w.now)
					require.Error(t, err, name)
					w.web.pages = map[string][]byte{}
					_, _ = w.store(func(s *Config) { s.CAs = []*x509.Certificate{c} }).Verify(context.Background(), Presented{Certs: []*x509.Certificate{c}}, Policy{MatchesPeer: anybody}, c.NotBefore.Add(c.NotAfter.Sub(c.NotBefore)/2))
				}
				_, _ = ParseCRL(b)
				w.web.pages = map[string][]byte{crlURI: files[name], ocspURI: files[name]}
				_, err := w.verify(w.store(nil), Policy{Revocation: Strict}, leaf)
				require.Error(t, err, name)
				_, err = w.store(nil).Verify(context.Background(), Presented{Certs: []*x509.Certificate{leaf}, CRLs: [][]byte{b}, OCSP: [][]byte{b}}, Policy{MatchesPeer: anybody, Revocation: Strict}, w.now)
				require.Error(t, err, name)
			})
		}
	}
}
