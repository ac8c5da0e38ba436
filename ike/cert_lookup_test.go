package ike

import (
	"context"
	"crypto/sha1"
	"encoding/asn1"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/message"
)

// byURL is a CERT payload of a hash and a URL.
func byURL(t *testing.T, e message.CertEncoding, content, url string) *message.Cert {
	b, err := message.HashURL{Hash: sha1.Sum([]byte(content)), URL: url}.AppendBinary(nil)
	require.NoError(t, err)
	return &message.Cert{Encoding: e, Data: b}
}

// bundle is the DER of a bundle of certificates.
func bundle(t *testing.T, certs ...string) string {
	var entries []asn1.RawValue
	for _, c := range certs {
		inner, err := asn1.Marshal([]byte(c))
		require.NoError(t, err)
		entries = append(entries, asn1.RawValue{Class: asn1.ClassContextSpecific, IsCompound: true, Bytes: inner})
	}
	b, err := asn1.Marshal(entries)
	require.NoError(t, err)
	return string(b)
}

// lookedUp connects to a gateway with those CERT payloads, where web says what there
// is to fetch, and returns the certificates that are verified.
func lookedUp(t *testing.T, web map[string]string, certs ...message.Payload) (n *network, got []string, fetched []string) {
	own, theirs := newSigner(t, "p256"), newSigner(t, "p256")
	var v *fakeVerifier
	n = newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
		v = signed(c, r, own, theirs)
		r.own[0].certs = nil
		r.editAuth = func(ps []message.Payload) []message.Payload {
			if _, ok := message.First[*message.Auth](ps); ok {
				ps = append(ps, certs...)
			}
			return ps
		}
		c.Authentication.SendCertReq, c.Authentication.CertReqKeys = true, [][]byte{authority('a')}
		if web != nil {
			c.Authentication.FetchCert = func(_ context.Context, url string) ([]byte, error) {
				fetched = append(fetched, url)
				if b, ok := web[url]; ok {
					return []byte(b), nil
				}
				return nil, errors.New("not found")
			}
		}
	})
	n.start()
	n.established()
	for _, c := range v.got.Certs {
		got = append(got, string(c))
	}
	return n, got, fetched
}

// A gateway may name its certificates by hash and URL where it is told that we fetch
// them (RFC 7296 section 3.6); they keep their order.
func TestCertificatesByURL(t *testing.T) {
	whole := &message.Cert{Encoding: message.CertX509Signature, Data: []byte("intermediate")}
	twoCerts := bundle(t, "leaf", "root")
	web := map[string]string{"http://ca/leaf": "leaf", "HTTP://ca/other": "other", "http://ca/bundle": twoCerts, "http://ca/long": strings.Repeat("x", maxLookedUp+1)}
	n, got, _ := lookedUp(t, web, byURL(t, message.CertHashURL, "leaf", "http://ca/leaf"), whole, byURL(t, message.CertHashURL, "other", "HTTP://ca/other"))
	require.Equal(t, []string{"leaf", "intermediate", "other"}, got)
	require.Contains(t, n.r.seen[1], "CERTREQ N(HTTP_CERT_LOOK)")

	_, got, _ = lookedUp(t, web, byURL(t, message.CertHashURLBundle, twoCerts, "http://ca/bundle"))
	require.Len(t, got, 2)
	require.Contains(t, got[0], "leaf")

	for name, c := range map[string]struct {
		cert *message.Cert
		why  string
	}{
		"another hash":  {byURL(t, message.CertHashURL, "leave", "http://ca/leaf"), "another hash"},
		"nothing there": {byURL(t, message.CertHashURL, "x", "http://ca/x"), "not found"},
		"too long":      {byURL(t, message.CertHashURL, web["http://ca/long"], "http://ca/long"), "at most"},
		"no bundle":     {byURL(t, message.CertHashURLBundle, "leaf", "http://ca/leaf"), "CertBundle"},
		"cut off":       {&message.Cert{Encoding: message.CertHashURL, Data: make([]byte, 19)}, "HashURL"},
	} {
		t.Run(name, func(t *testing.T) {
			n, got, _ := lookedUp(t, web, c.cert, whole)
			require.Equal(t, []string{"intermediate"}, got, "the rest counts")
			require.Contains(t, n.log.String(), "fetching a certificate of the gateway failed")
			require.Contains(t, n.log.String(), c.why)
		})
	}
	for _, url := range []string{"https://ca/leaf", "file:///etc/passwd", "ftp://ca/leaf", "/etc/passwd"} {
		n, _, fetched := lookedUp(t, web, byURL(t, message.CertHashURL, "leaf", url), whole)
		require.Empty(t, fetched)
		require.Contains(t, n.log.String(), "is no http URL")
	}
}

// Where the rest is not enough the error is that of the fetch.
func TestCertificateCannotBeFetched(t *testing.T) {
	own, theirs := newSigner(t, "p256"), newSigner(t, "p256")
	n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
		v := signed(c, r, own, theirs)
		v.id = "somebody else"
		r.own[0].certs = nil
		r.editAuth = func(ps []message.Payload) []message.Payload {
			return append(ps, byURL(t, message.CertHashURL, "leaf", "http://ca/leaf"))
		}
		c.Authentication.FetchCert = func(context.Context, string) ([]byte, error) { return nil, errors.New("not found") }
	})
	n.start()
	require.ErrorIs(t, n.failure(), ErrGatewayAuth)
	require.ErrorContains(t, n.failure(), "its certificate cannot be fetched: not found")
}

// The number of fetches is bounded.
func TestManyCertificatesByURL(t *testing.T) {
	var certs []message.Payload
	web := map[string]string{}
	for i := range maxLookups + 2 {
		url := fmt.Sprintf("http://ca/%d", i)
		web[url] = url
		certs = append(certs, byURL(t, message.CertHashURL, url, url))
	}
	_, got, fetched := lookedUp(t, web, certs...)
	require.Len(t, fetched, maxLookups)
	require.Len(t, got, maxLookups)
}

// Where nothing can be fetched it is not announced, and what a gateway names all the
// same is ignored.
func TestNoCertificatesByURL(t *testing.T) {
	n, got, _ := lookedUp(t, nil, byURL(t, message.CertHashURL, "leaf", "http://ca/leaf"))
	require.Empty(t, got)
	require.NotContains(t, n.r.seen[1], "HTTP_CERT_LOOK")
}

// Our certificates are named by hash and URL where the gateway fetches them, and it is
// known where they are.
func TestOwnCertificateByURL(t *testing.T) {
	own, theirs := newSigner(t, "p256"), newSigner(t, "p256")
	for _, announced := range []bool{false, true} {
		n := newNetwork(t, func(c *Config, r *responder, _ *fakeEAP) {
			signed(c, r, own, theirs)
			c.Authentication.SendCert = SendCertAlways
			c.LocalRounds[0].Credentials[0].Certs = [][]byte{[]byte("leaf"), []byte("intermediate"), []byte("odd")}
			c.LocalRounds[0].Credentials[0].URLs = []string{"http://ca/leaf", "", "http://ca/" + strings.Repeat("x", message.MaxURL)}
			if announced {
				r.editInit = func(m *message.Message) {
					m.Payloads = append(m.Payloads, &message.Notify{NotifyType: message.HTTPCertLookupSupported})
				}
			}
		})
		n.start()
		n.established()
		var sent []string
		for _, p := range n.m.auth.certificates(&n.m.cfg.LocalRounds[0].Credentials[0], nil) {
			c := p.(*message.Cert)
			sent = append(sent, fmt.Sprint(c.Encoding, " ", string(c.Data)))
		}
		first := &message.Cert{Encoding: message.CertX509Signature, Data: []byte("leaf")}
		if announced {
			first = byURL(t, message.CertHashURL, "leaf", "http://ca/leaf")
		}
		require.Equal(t, []string{fmt.Sprint(first.Encoding, " ", string(first.Data)),
			fmt.Sprint(message.CertX509Signature, " intermediate"), fmt.Sprint(message.CertX509Signature, " odd")}, sent)
	}
}
