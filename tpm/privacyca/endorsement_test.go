package privacyca

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm"
)

// authority is a CA of a manufacturer.
type authority struct {
	cert *x509.Certificate
	key  *rsa.PrivateKey
}

var day = time.Unix(1_700_000_000, 0)

func newAuthority(t *testing.T, above *authority, name string, bits int, edit func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: day.Add(-time.Hour), NotAfter: day.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign, MaxPathLen: -1,
	}
	if edit != nil {
		edit(c)
	}
	parent, signer := c, key
	if above != nil {
		parent, signer = above.cert, above.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	require.NoError(t, err)
	a := &authority{key: key}
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	return a
}

// endorse issues the certificate of an endorsement key; with SHA-1 as for the first
// TPMs 1.2, which crypto/x509 does not make.
func (a *authority) endorse(t *testing.T, ek *rsa.PublicKey, withSHA1 bool, edit func(*x509.Certificate)) []byte {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: day.Add(-time.Hour), NotAfter: day.Add(time.Hour),
		UnknownExtKeyUsage: []asn1.ObjectIdentifier{oidEKCertificate},
	}
	if edit != nil {
		edit(c)
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, ek, a.key)
	require.NoError(t, err)
	if !withSHA1 {
		return der
	}
	// sha256WithRSAEncryption is 1.2.840.113549.1.1.11, sha1WithRSAEncryption ends in 5,
	// at both places.
	var whole struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	_, err = asn1.Unmarshal(der, &whole)
	require.NoError(t, err)
	oid := []byte{0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01}
	tbs := whole.TBS.FullBytes
	for i := range tbs {
		if i+len(oid) < len(tbs) && string(tbs[i:i+len(oid)]) == string(oid) && tbs[i+len(oid)] == 11 {
			tbs[i+len(oid)] = 5
			break
		}
	}
	sum := sha1.Sum(tbs)
	sig, err := rsa.SignPKCS1v15(nil, a.key, crypto.SHA1, sum[:])
	require.NoError(t, err)
	whole.Algorithm.Algorithm = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 5}
	whole.Signature = asn1.BitString{Bytes: sig, BitLength: 8 * len(sig)}
	der, err = asn1.Marshal(whole)
	require.NoError(t, err)
	return der
}

// Paths of endorsement keys' certificates, of both generations.
func TestEndorsementPaths(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	ek := &key.PublicKey
	root := newAuthority(t, nil, "root", 2048, nil)
	short := newAuthority(t, nil, "short", 2048, func(c *x509.Certificate) { c.MaxPathLen, c.MaxPathLenZero = 0, true })
	weak := newAuthority(t, nil, "weak", 1024, nil)
	sub := newAuthority(t, root, "sub", 2048, nil)
	belowShort := newAuthority(t, short, "below", 2048, nil)
	weakSub := newAuthority(t, root, "weak sub", 1024, nil)
	noSign := newAuthority(t, root, "no sign", 2048, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCRLSign })
	server := newAuthority(t, root, "server", 2048, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	forEK := newAuthority(t, root, "for endorsement keys", 2048, func(c *x509.Certificate) {
		c.UnknownExtKeyUsage = []asn1.ObjectIdentifier{oidEKCertificate}
	})
	noCA := newAuthority(t, root, "no CA", 2048, func(c *x509.Certificate) { c.IsCA, c.KeyUsage = false, 0 })
	var all []*x509.Certificate
	for _, a := range []*authority{root, short, weak, sub, belowShort, weakSub, noSign, server, forEK, noCA} {
		all = append(all, a.cert)
	}
	trust := NewTrust(all)
	critical := func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
	}
	for _, c := range []struct {
		by   *authority
		edit func(*x509.Certificate)
		says string // "" = trusted
	}{
		{root, nil, ""},
		{sub, nil, ""},
		{short, nil, ""},
		{forEK, nil, ""},
		{belowShort, nil, "too many intermediates"},
		{weak, nil, "1024 bits"},
		{weakSub, nil, "1024 bits"},
		{noSign, nil, "sign"},
		{server, nil, "not for certificates of endorsement keys"},
		{noCA, nil, "sign"},
		{sub, critical, "unhandled critical extension"},
		{sub, func(c *x509.Certificate) { c.NotAfter = day.Add(-time.Minute) }, "expired"},
		{sub, func(c *x509.Certificate) {
			c.UnknownExtKeyUsage, c.ExtKeyUsage = nil, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}, "not one of an endorsement key"},
	} {
		for _, gen := range []tpm.Generation{tpm.TPM20, tpm.TPM12} {
			der := c.by.endorse(t, ek, gen == tpm.TPM12, c.edit)
			err := trust.verify(day, &Request{Generation: gen, EKCertificate: der}, ek)
			if c.says == "" {
				require.NoError(t, err, "%s, TPM %v", c.by.cert.Subject, gen)
				continue
			}
			require.ErrorContains(t, err, c.says, "%s, TPM %v", c.by.cert.Subject, gen)
		}
	}
	require.Error(t, trust.verify(day, &Request{Generation: tpm.TPM20, EKCertificate: sub.endorse(t, ek, true, nil)}, ek), "SHA-1 of a TPM 2.0")
}
