package trust

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// tlv encodes an element of class and tag around the contents.
func tlv(t testing.TB, class, tag int, compound bool, contents ...[]byte) []byte {
	t.Helper()
	var all []byte
	for _, c := range contents {
		all = append(all, c...)
	}
	b, err := asn1.Marshal(asn1.RawValue{Class: class, Tag: tag, IsCompound: compound, Bytes: all})
	require.NoError(t, err)
	return b
}

// A CRL that is not complete for a certificate does not vouch for it; one that
// revokes it counts.
func TestIncompleteCRLs(t *testing.T) {
	w := newWorld(t)
	leaf, plain := w.issue(w.root, withURIs).Leaf, w.issue(w.root, nil).Leaf
	name := func(cn string) []byte {
		b, err := asn1.Marshal(pkix.Name{CommonName: cn}.ToRDNSequence())
		require.NoError(t, err)
		return b
	}
	rdn, err := asn1.Marshal(pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{2, 5, 4, 3}, Value: "B"})
	require.NoError(t, err)
	context0 := func(b ...[]byte) []byte { return tlv(t, asn1.ClassContextSpecific, 0, true, b...) }
	seq := func(b ...[]byte) []byte { return tlv(t, asn1.ClassUniversal, asn1.TagSequence, true, b...) }
	flag := func(tag int) []byte { return tlv(t, asn1.ClassContextSpecific, tag, false, []byte{0xff}) }
	uri := func(s string) []byte { return tlv(t, asn1.ClassContextSpecific, tagURI, false, []byte(s)) }
	dir := func(b []byte) []byte { return tlv(t, asn1.ClassContextSpecific, tagDirectoryName, true, b) }
	point := func(idp ...[]byte) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: oidIssuingPoint, Critical: true, Value: seq(idp...)}}
		}
	}
	unknown := pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}
	for what, c := range map[string]struct {
		cert          *x509.Certificate
		edit          func(*x509.RevocationList)
		good, revokes bool
	}{
		"no extension":                {leaf, nil, true, true},
		"own URI":                     {leaf, point(context0(context0(uri(crlURI)))), true, true},
		"one of several names":        {leaf, point(context0(context0(uri("http://b/crl"), uri(crlURI)))), true, true},
		"another URI":                 {leaf, point(context0(context0(uri("http://b/crl")))), false, true},
		"another directory name":      {leaf, point(context0(context0(dir(name("B"))))), false, true},
		"name relative to the issuer": {leaf, point(context0(tlv(t, asn1.ClassContextSpecific, 1, true, rdn))), false, true},
		"without a name":              {leaf, point(context0(context0())), false, true},
		"certificate without points, the issuer's name": {plain, point(context0(context0(dir(plain.RawIssuer)))), true, true},
		"certificate without points, a URI":             {plain, point(context0(context0(uri(crlURI)))), false, true},
		"users only":                                    {leaf, point(flag(1)), false, true},
		"CAs only":                                      {leaf, point(flag(2)), false, true},
		"some reasons only":                             {leaf, point(tlv(t, asn1.ClassContextSpecific, 3, false, []byte{6, 0x40})), false, true},
		"indirect":                                      {leaf, point(flag(4)), false, false},
		"attributes only":                               {leaf, point(flag(5)), false, true},
		"no distribution point": {leaf, func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: oidIssuingPoint, Critical: true, Value: []byte{0x30, 1}}}
		}, false, false},
		"delta": {leaf, func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: oidDeltaCRL, Critical: true, Value: []byte{2, 1, 1}}}
		}, false, true},
		"unknown critical extension": {leaf, func(l *x509.RevocationList) { l.ExtraExtensions = []pkix.Extension{unknown} }, false, true},
		"unknown extension": {leaf, func(l *x509.RevocationList) {
			harmless := unknown
			harmless.Critical = false
			l.ExtraExtensions = []pkix.Extension{harmless}
		}, true, true},
		"unknown critical extension of an entry": {leaf, entryExtension(w, unknown), false, true},
		"entry of another issuer":                {leaf, entryExtension(w, pkix.Extension{Id: oidCertificateIssuer, Critical: true, Value: seq(dir(name("B")))}), false, false},
	} {
		t.Run(what, func(t *testing.T) {
			verify := func(policy Revocation, revoked ...*x509.Certificate) error {
				b, err := w.root.EditedCRL(3, w.now, c.edit, revoked...)
				require.NoError(t, err)
				_, err = w.store(nil).Verify(context.Background(), Presented{Certs: []*x509.Certificate{c.cert}, CRLs: [][]byte{b}}, Policy{MatchesPeer: anybody, Revocation: policy}, w.now)
				return err
			}
			if err := verify(Strict); c.good {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "revocation = strict")
			}
			if err := verify(Relaxed, c.cert); c.revokes {
				require.ErrorContains(t, err, "was revoked")
			} else {
				require.NoError(t, err)
			}
		})
	}
}

// entryExtension adds an entry with the extension to a CRL.
func entryExtension(w *world, e pkix.Extension) func(*x509.RevocationList) {
	return func(l *x509.RevocationList) {
		l.RevokedCertificateEntries = append(l.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: w.leaf.Leaf.SerialNumber, RevocationTime: w.now.Add(-time.Hour), ExtraExtensions: []pkix.Extension{e},
		})
	}
}

// A newer complete list takes back what an older incomplete one revokes.
func TestCompleteCRLIsNewer(t *testing.T) {
	w := newWorld(t)
	leaf := w.issue(w.root, withURIs).Leaf
	part, err := w.root.EditedCRL(1, w.now, func(l *x509.RevocationList) {
		l.ExtraExtensions = []pkix.Extension{{Id: oidDeltaCRL, Critical: true, Value: []byte{2, 1, 1}}}
	}, leaf)
	require.NoError(t, err)
	whole, err := w.root.CRL(2, w.now)
	require.NoError(t, err)
	_, err = w.store(nil).Verify(context.Background(), Presented{Certs: []*x509.Certificate{leaf}, CRLs: [][]byte{part, whole}}, Policy{MatchesPeer: anybody, Revocation: Strict}, w.now)
	require.NoError(t, err)
}

// Where a CA does not say when the next list comes, one counts for a time.
func TestCRLWithoutNextUpdate(t *testing.T) {
	now := time.Now()
	l := &x509.RevocationList{ThisUpdate: now.Add(-maxCRLAge + time.Minute)}
	require.True(t, fresh(l, now))
	l.ThisUpdate = now.Add(-maxCRLAge)
	require.False(t, fresh(l, now))
	require.Equal(t, now, until(l))
}
