package trust

import (
	"context"
	"crypto/x509"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/testpki"
)

// The fetches of one verification are counted over all certificates of a path.
func TestFetchesAreBounded(t *testing.T) {
	w := newWorld(t)
	many := func(c *x509.Certificate) {
		for i := range 20 {
			c.CRLDistributionPoints = append(c.CRLDistributionPoints, fmt.Sprintf("http://ca.example.org/%s/%d", c.Subject.CommonName, i))
			c.OCSPServer = append(c.OCSPServer, fmt.Sprintf("http://ocsp.example.org/%s/%d", c.Subject.CommonName, i))
		}
	}
	certs, ca := []*x509.Certificate{}, w.root
	for i := range 3 {
		sub, err := ca.SubCA(fmt.Sprintf("Sub CA %d", i), testpki.ECDSA, many)
		require.NoError(t, err)
		certs, ca = append(certs, sub.Cert), sub
	}
	leaf := w.issue(ca, many).Leaf
	_, err := w.verify(w.store(nil), Policy{}, append([]*x509.Certificate{leaf}, certs...)...)
	require.NoError(t, err)
	require.Len(t, w.web.asked, maxFetches)
	require.Contains(t, w.log.String(), errBudget.Error())
}

// The octets of one verification are counted over all answers.
func TestFetchedOctetsAreBounded(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(w.root, func(c *x509.Certificate) {
		for i := range maxURIs {
			uri := fmt.Sprintf("http://ca.example.org/%d", i)
			c.CRLDistributionPoints, w.web.pages[uri] = append(c.CRLDistributionPoints, uri), make([]byte, MaxFetch)
		}
	}).Leaf
	_, err := w.verify(w.store(nil), Policy{}, leaf)
	require.NoError(t, err)
	require.Len(t, w.web.asked, maxFetched/MaxFetch)
}

// waiting is a Fetcher that answers as the context ends, never before.
type waiting struct{ asked chan Request }

func (w waiting) Fetch(ctx context.Context, r Request) ([]byte, error) {
	w.asked <- r
	<-ctx.Done()
	return nil, ctx.Err()
}

// The end of the connection ends what is being fetched, and the certificate is not
// accepted for that.
func TestVerifyEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(w.root, withURIs).Leaf
	f := waiting{make(chan Request, 8)}
	s := w.store(func(c *Config) { c.Fetcher = f })
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		<-f.asked
		cancel()
	}()
	_, err := s.Verify(ctx, Presented{Certs: []*x509.Certificate{leaf}}, Policy{MatchesPeer: anybody}, w.now)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, f.asked, "nothing is fetched after the end")
}

// Who names a URI goes with it.
func TestOrigins(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(w.root, withURIs).Leaf
	f := origins{}
	s := w.store(func(c *Config) {
		c.Fetcher = f
		c.Authorities = []Authority{{CA: w.root.Cert, CRLURIs: []string{"file:///crl"}, OCSPURIs: []string{"http://own/ocsp"}}}
	})
	_, err := w.verify(s, Policy{}, leaf)
	require.NoError(t, err)
	require.Equal(t, origins{crlURI: FromPeer, ocspURI: FromPeer, "file:///crl": FromConfig, "http://own/ocsp": FromConfig}, f)
	clear(f)
	require.Nil(t, s.Response(context.Background(), leaf, w.root.Cert, w.now))
	require.Equal(t, origins{ocspURI: FromOwn, "http://own/ocsp": FromConfig}, f)
}

// origins is a Fetcher that notes the origin of each URI.
type origins map[string]Origin

func (o origins) Fetch(_ context.Context, r Request) ([]byte, error) {
	o[r.URI] = r.Origin
	return nil, context.DeadlineExceeded
}
