package privacyca

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"maps"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// newIssuer is a CA that trusts the factory's CAs in that file.
func newIssuer(t testing.TB, cas string) *Issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "privacy CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(48 * time.Hour), KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	require.NoError(t, err)
	c, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	i := &Issuer{Certificate: c, Key: key}
	if cas != "" {
		b, err := os.ReadFile(cas)
		require.NoError(t, err)
		var all []*x509.Certificate
		for p, rest := pem.Decode(b); p != nil; p, rest = pem.Decode(rest) {
			c, err := x509.ParseCertificate(p.Bytes)
			require.NoError(t, err)
			all = append(all, c)
		}
		require.Len(t, all, 2, "root and intermediate")
		i.Trust = NewTrust(all)
	}
	return i
}

// travel encodes and reads again, as on the way between the two.
func travel(t testing.TB, r *Request) *Request {
	t.Helper()
	b, err := r.Encode()
	require.NoError(t, err)
	again, err := ParseRequest(b)
	require.NoError(t, err)
	require.Equal(t, r, again)
	return again
}

func (i *Issuer) issued(t testing.TB, r *Request) (*Answer, *x509.Certificate) {
	t.Helper()
	a, cert, err := i.Issue(time.Now(), travel(t, r))
	require.NoError(t, err)
	again, err := ParseAnswer(a.Encode())
	require.NoError(t, err)
	require.Equal(t, a, again)
	require.NotContains(t, string(a.Sealed), string(cert.Raw[20:60]), "it is encrypted")
	return again, cert
}

// checkCertificate checks that cert is an AIK certificate of the CA's.
func checkCertificate(t testing.TB, i *Issuer, cert *x509.Certificate, name string) {
	t.Helper()
	require.NoError(t, cert.CheckSignatureFrom(i.Certificate))
	assert.Equal(t, name, cert.Subject.CommonName)
	assert.False(t, cert.IsCA)
	assert.Equal(t, x509.KeyUsageDigitalSignature, cert.KeyUsage)
	require.Len(t, cert.UnknownExtKeyUsage, 1)
	assert.True(t, cert.UnknownExtKeyUsage[0].Equal(oidAIKCertificate))
	assert.False(t, cert.NotAfter.After(i.Certificate.NotAfter), "not longer than the CA")
	_, err := cert.Verify(x509.VerifyOptions{Roots: pool(i.Certificate), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	require.NoError(t, err)
}

func pool(c *x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(c)
	return p
}

func endorsement(t testing.TB, p *tpm20.TPM, typ tpm20.KeyType) *tpm20.Endorsement {
	t.Helper()
	e, err := p.EndorsementKey(t.Context(), typ, tpm20.Auth{})
	require.NoError(t, err)
	return e
}

// The round trip of a TPM 2.0, against the endorsement certificates that
// swtpm_setup issues for RSA and for P-384.
func TestTPM20(t *testing.T) {
	e, cas := tpmtest.Manufacture(t, tpm.TPM20, "--ecc")
	p := e.Open(t).(*tpm20.TPM)
	i := newIssuer(t, cas)
	for _, ek := range []tpm20.KeyType{tpm20.RSA, tpm20.ECC384} {
		for _, kt := range []tpm20.KeyTemplate{{}, {Scheme: tpm20.ECDSA, Bits: 384, Hash: pcr.SHA384}, {Scheme: tpm20.RSAPSS}} {
			ak, err := p.CreateAK(t.Context(), tpm20.AKRequest{EK: ek, Template: kt}, tpm20.Auth{})
			require.NoError(t, err)
			r, err := NewRequest20(t.Context(), p, ak.Handle, endorsement(t, p, ek), "carol")
			require.NoError(t, err)
			require.NotEmpty(t, r.EKCertificate)
			a, issued := i.issued(t, r)
			checkCertificate(t, i, issued, "carol")
			cert, err := a.Activate20(t.Context(), p, ak.Handle, tpm20.Auth{})
			require.NoError(t, err)
			assert.Equal(t, issued.Raw, cert.Raw)
			id, err := p.Identity(t.Context(), tpm.AIK{Handle: ak.Handle, Certificate: cert.Raw})
			require.NoError(t, err)
			assert.False(t, id.Naked)

			other, err := p.CreateAK(t.Context(), tpm20.AKRequest{EK: ek, Template: kt}, tpm20.Auth{})
			require.NoError(t, err)
			_, err = a.Activate20(t.Context(), p, other.Handle, tpm20.Auth{})
			assert.Error(t, err, "the answer is for another key")
			require.NoError(t, p.RemoveKey(t.Context(), other.Handle, tpm20.Auth{}))
		}
	}
	_, err := NewRequest20(t.Context(), p, 0x81010001, endorsement(t, p, tpm20.RSA), "carol")
	assert.ErrorContains(t, err, "no privacy CA would certify it", "the endorsement key itself")

	// The same answer with another TPM, whose key is of the same kind.
	ak, err := p.Key(t.Context(), tpm20.FirstAKHandle)
	require.NoError(t, err)
	r, err := NewRequest20(t.Context(), p, ak.Handle, endorsement(t, p, tpm20.RSA), "carol")
	require.NoError(t, err)
	a, _ := i.issued(t, r)
	thief := tpmtest.Swtpm(t, tpm.TPM20).Open(t).(*tpm20.TPM)
	_, err = thief.CreateAK(t.Context(), tpm20.AKRequest{EK: tpm20.ECC, Handle: tpm20.FirstAKHandle}, tpm20.Auth{})
	require.NoError(t, err)
	_, err = a.Activate20(t.Context(), thief, tpm20.FirstAKHandle, tpm20.Auth{})
	require.ErrorContains(t, err, "another TPM")
	refusals(t, i, r)
}

func TestTPM12(t *testing.T) {
	e, cas := tpmtest.Manufacture(t, tpm.TPM12)
	p := e.Open(t).(*tpm12.TPM)
	require.NoError(t, p.TakeOwnership(t.Context(), tpmtest.Owner12))
	id, err := p.MakeIdentity(t.Context(), tpmtest.Owner12, tpm12.IdentityTemplate{Label: tpm12.LabelDigest("dave", nil)})
	require.NoError(t, err)
	_, err = NewRequest12(t.Context(), p, id, "mallory", tpmtest.Owner12)
	require.Error(t, err)
	r, err := NewRequest12(t.Context(), p, id, "dave", tpmtest.Owner12)
	require.NoError(t, err)
	require.NotEmpty(t, r.EKCertificate)
	i := newIssuer(t, cas)
	a, issued := i.issued(t, r)
	checkCertificate(t, i, issued, "dave")
	cert, err := a.Activate12(t.Context(), p, id.Blob, tpmtest.Owner12)
	require.NoError(t, err)
	assert.Equal(t, issued.Raw, cert.Raw)
	_, err = a.Activate12(t.Context(), p, id.Blob, tpm12.Secret([]byte("no owner")))
	require.ErrorContains(t, err, "TPM_AUTHFAIL")
	refusals(t, i, r)
}

// refusals checks what a CA must not certify, by spoiling a good request.
func refusals(t *testing.T, i *Issuer, good *Request) {
	t.Helper()
	cases := map[string]struct {
		spoil func(*Request, *Issuer)
		says  string
	}{
		"another manufacturer": {func(_ *Request, i *Issuer) { i.Trust = NewTrust([]*x509.Certificate{i.Certificate}) }, "endorsement key's certificate, issued by"},
		"nobody trusted":       {func(_ *Request, i *Issuer) { i.Trust = Trust{} }, "no CA of a manufacturer"},
		"no EK certificate":    {func(r *Request, _ *Issuer) { r.EKCertificate = nil }, "SHA-256 "},
		"broken EK certificate": {func(r *Request, _ *Issuer) {
			r.EKCertificate = bytes.Clone(r.EKCertificate)
			r.EKCertificate[len(r.EKCertificate)-3] ^= 1
		}, "endorsement key's certificate"},
		"EK of somebody else": {func(r *Request, _ *Issuer) {
			k, err := rsa.GenerateKey(rand.Reader, 2048)
			require.NoError(t, err)
			r.EK, err = x509.MarshalPKIXPublicKey(k.Public())
			require.NoError(t, err)
		}, "another key"},
		"CA's certificate as EK's": {func(r *Request, i *Issuer) {
			r.EKCertificate = i.Certificate.Raw
			var err error
			r.EK, err = x509.MarshalPKIXPublicKey(i.Certificate.PublicKey)
			require.NoError(t, err)
		}, map[tpm.Generation]string{tpm.TPM12: "not RSA", tpm.TPM20: "not one of an endorsement key"}[good.Generation]},
		"a CA that is none": {func(_ *Request, i *Issuer) {
			c := *i.Certificate
			c.IsCA = false
			i.Certificate = &c
		}, "not the certificate of a CA"},
		"an old CA": {func(_ *Request, i *Issuer) {
			c := *i.Certificate
			c.NotAfter = time.Now().Add(-time.Hour)
			i.Certificate = &c
		}, "expired"},
	}
	if good.Generation == tpm.TPM20 {
		maps.Copy(cases, map[string]struct {
			spoil func(*Request, *Issuer)
			says  string
		}{
			"a request of another key": {func(r *Request, _ *Issuer) {
				k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
				require.NoError(t, err)
				r.CSR, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, k)
				require.NoError(t, err)
			}, "of another key than the attestation key"},
			"an altered request":     {func(r *Request, _ *Issuer) { r.CSR = bytes.Clone(r.CSR); r.CSR[len(r.CSR)-9] ^= 1 }, "certificate request"},
			"a key that is exported": {func(r *Request, _ *Issuer) { r.Area = bytes.Clone(r.Area); r.Area[7] &^= 2 }, "keeps"},
			"half an area":           {func(r *Request, _ *Issuer) { r.Area = r.Area[:20] }, "public area"},
		})
	} else {
		maps.Copy(cases, map[string]struct {
			spoil func(*Request, *Issuer)
			says  string
		}{
			"another name":    {func(r *Request, _ *Issuer) { r.Label = "root" }, "identity binding"},
			"altered binding": {func(r *Request, _ *Issuer) { r.Binding = make([]byte, 256) }, "identity binding"},
			"half a key":      {func(r *Request, _ *Issuer) { r.Pubkey = r.Pubkey[:20] }, "TPM_PUBKEY"},
		})
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, j := *good, *i
			c.spoil(&r, &j)
			_, _, err := j.Issue(time.Now(), &r)
			require.ErrorContains(t, err, c.says)
		})
	}
	t.Run("an EK that is pinned", func(t *testing.T) {
		r, j := *good, *i
		r.EKCertificate = nil
		j.Trust, j.Name = Trust{Keys: [][sha256.Size]byte{sha256.Sum256(r.EK)}}, "erin"
		_, cert, err := j.Issue(time.Now(), &r)
		require.NoError(t, err)
		require.Equal(t, "CN=erin", cert.Subject.String())
	})
	t.Run("an EK certificate that has expired", func(t *testing.T) {
		_, _, err := i.Issue(time.Now().AddDate(100, 0, 0), good)
		require.Error(t, err)
	})
}

func TestFilesThatAreNone(t *testing.T) {
	block := func(typ string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: []byte{1}, Headers: map[string]string{headerEK: "rsa"}}))
	}
	whole := block(blockEK) + block(blockArea) + block(blockCSR)
	_, err := ParseRequest([]byte(whole))
	require.NoError(t, err)
	for name, b := range map[string]string{
		"empty": "", "text": "no PEM", "one twice": whole + block(blockCSR), "no CSR": block(blockEK) + block(blockArea),
		"no EK": block(blockArea) + block(blockCSR), "no binding": block(blockEK) + block(blockPubkey),
		"unknown EK": strings.Replace(whole, ": rsa", ": dsa", 1), "long": whole + strings.Repeat("x", MaxFile),
	} {
		_, err := ParseRequest([]byte(b))
		assert.Error(t, err, name)
		_, err = ParseAnswer([]byte(b))
		assert.Error(t, err, name)
	}
	_, err = ParseAnswer([]byte(block(blockCredential20)))
	assert.ErrorIs(t, err, ErrMissing)
	a := &Answer{Generation: tpm.TPM20, Credential: []byte{1}, Sealed: []byte{2}}
	_, err = a.Open([]byte("secret"), crypto.PublicKey(nil))
	assert.ErrorContains(t, err, "altered")
	_, err = a.Activate12(t.Context(), nil, nil, [20]byte{})
	assert.Error(t, err)
	a.Generation = tpm.TPM12
	_, err = a.Activate20(t.Context(), nil, 0, tpm20.Auth{})
	assert.Error(t, err)
	_, err = (&Request{Label: "a\nb"}).Encode()
	assert.Error(t, err)
}

func FuzzParse(f *testing.F) {
	r := &Request{Generation: tpm.TPM20, EK: []byte{1}, Area: []byte{2}, CSR: []byte{3}, EKCertificate: []byte{4}}
	b, err := r.Encode()
	require.NoError(f, err)
	f.Add(b)
	r = &Request{Generation: tpm.TPM12, EK: []byte{1}, Pubkey: []byte{2}, Binding: []byte{3}, Label: "x"}
	b, err = r.Encode()
	require.NoError(f, err)
	f.Add(b)
	f.Add((&Answer{Generation: tpm.TPM20, Credential: []byte{1}, Sealed: []byte{2}}).Encode())
	i := newIssuer(f, "")
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := ParseRequest(b); err == nil {
			if out, err := r.Encode(); err == nil {
				again, err := ParseRequest(out)
				require.NoError(t, err)
				require.Equal(t, r.EK, again.EK)
			}
			if _, _, err := i.Issue(time.Now(), r); err == nil {
				t.Fatal("issued without trust")
			} else if errors.Is(err, ErrMissing) {
				t.Fatal("a request with all its blocks lacks one")
			}
		}
		if a, err := ParseAnswer(b); err == nil {
			again, err := ParseAnswer(a.Encode())
			require.NoError(t, err)
			require.Equal(t, a, again)
		}
	})
}
