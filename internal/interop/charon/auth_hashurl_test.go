package charon

import (
	"crypto/sha1"
	"encoding/hex"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/testpki"
)

// A gateway with cert_uri_base names its certificate by hash and URL, where
// charon.hash_and_url says that we fetch it; private addresses only where that is
// allowed.
func TestHashAndURLWithCharon(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	ca := newCA(t, testpki.ECDSA)
	gw, _ := s.certificates(ca, "own", testpki.ECDSA, nil)
	hash := sha1.Sum(gw.Certificate[0])
	l, err := netns.Listen(s.Client, s.ClientAddr+":8080")
	require.NoError(t, err)
	asked := make(chan string, 8)
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		_, _ = w.Write(gw.Certificate[0])
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	c := authCase{gwLocal: pubkey("pubkey", "own") + gwIs, gwRemote: "auth = pubkey\n" + carolIs,
		clLocal: pubkey("pubkey", "own") + carolIs, clRemote: "auth = pubkey\n" + gwIs,
		gwTop: "authorities {\n own {\n  cacert = own.pem\n  cert_uri_base = http://" + s.ClientAddr + ":8080/certs/\n }\n}\n"}
	s.accepted(c)
	require.Empty(t, asked, "by default it sends its certificate")

	s.write("cl/strongswan.conf", "charon {\n hash_and_url = yes\n}\n")
	s.refused(c, "its certificate cannot be fetched")
	require.Empty(t, asked, "a private address")
	s.write("cl/strongswan.conf", "charon {\n hash_and_url = yes\n}\ntnc {\n fetch {\n  private_addresses = yes\n }\n}\n")
	s.accepted(c, "fetching certificate from 'http://"+s.ClientAddr+":8080/certs/"+hex.EncodeToString(hash[:])+"'")
	require.Equal(t, "/certs/"+hex.EncodeToString(hash[:]), <-asked)
}

// With cert_uri_base of its CA our certificate is named by hash and URL to a gateway
// that looks certificates up, and is sent to another.
func TestOwnHashAndURLWithCharon(t *testing.T) {
	for name, fetches := range map[string]bool{"fetches": true, "does not": false} {
		t.Run(name, func(t *testing.T) { ownHashAndURL(t, fetches) })
	}
}

func ownHashAndURL(t *testing.T, fetches bool) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP, hashAndURL: fetches})
	_, own := s.certificates(newCA(t, testpki.ECDSA), "own", testpki.ECDSA, nil)
	hash := sha1.Sum(own.Certificate[0])
	l, err := netns.Listen(s.Client, s.ClientAddr+":8080")
	require.NoError(t, err)
	asked := make(chan string, 8)
	srv := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		_, _ = w.Write(own.Certificate[0])
	})}
	go func() { _ = srv.Serve(l) }()
	t.Cleanup(func() { _ = srv.Close() })
	s.accepted(authCase{gwLocal: pubkey("pubkey", "own") + gwIs, gwRemote: "auth = pubkey\n" + carolIs,
		clLocal: pubkey("pubkey", "own") + carolIs, clRemote: "auth = pubkey\n" + gwIs,
		clTop: "authorities {\n own {\n  cacert = own.pem\n  cert_uri_base = http://" + s.ClientAddr + ":8080/certs/\n }\n}\n"})
	if !fetches {
		require.Empty(t, asked)
		return
	}
	require.Equal(t, "/certs/"+hex.EncodeToString(hash[:]), <-asked)
}
