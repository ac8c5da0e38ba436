package tpm20

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// akArea is the public area of an attestation key, altered.
func akArea(t testing.TB, scheme Scheme, alter func(*tpm2.TPMTPublic)) []byte {
	t.Helper()
	pub, err := KeyTemplate{Scheme: scheme}.public()
	require.NoError(t, err)
	if scheme == ECDSA {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		b, err := k.PublicKey.Bytes()
		require.NoError(t, err)
		pub.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{X: tpm2.TPM2BECCParameter{Buffer: b[1:33]}, Y: tpm2.TPM2BECCParameter{Buffer: b[33:]}})
	} else {
		n := bytes.Repeat([]byte{0xc3}, 256)
		pub.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: n})
	}
	if alter != nil {
		alter(&pub)
	}
	return tpm2.Marshal(pub)
}

func rsaParameters(change func(*tpm2.TPMSRSAParms)) func(*tpm2.TPMTPublic) {
	return func(p *tpm2.TPMTPublic) {
		d, err := p.Parameters.RSADetail()
		if err != nil {
			panic(err)
		}
		changed := *d
		change(&changed)
		p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &changed)
	}
}

// What verifiers of others let pass: keys that sign what they are given, that were
// made outside the TPM or can leave it, and names that another key can have.
func TestCheckAKRefuses(t *testing.T) {
	for _, s := range []Scheme{RSASSA, RSAPSS, ECDSA} {
		_, name, err := CheckAK(akArea(t, s, nil))
		require.NoError(t, err, "%v", s)
		require.Len(t, name, 34)
		_, _, err = CheckSigningKey(akArea(t, s, nil))
		require.ErrorContains(t, err, "not a key that signs any digest")
	}
	attributes := func(change func(*tpm2.TPMAObject)) func(*tpm2.TPMTPublic) {
		return func(p *tpm2.TPMTPublic) { change(&p.ObjectAttributes) }
	}
	for says, alter := range map[string]func(*tpm2.TPMTPublic){
		"not a restricted signing key":                attributes(func(a *tpm2.TPMAObject) { a.Restricted = false }),
		"not a restricted signing key that the TPM m": attributes(func(a *tpm2.TPMAObject) { a.SignEncrypt = false }),
		"restricted signing key":                      attributes(func(a *tpm2.TPMAObject) { a.Decrypt = true }),
		"not a key that the TPM made and keeps":       attributes(func(a *tpm2.TPMAObject) { a.FixedTPM = false }),
		"not a key that the TPM made and keep":        attributes(func(a *tpm2.TPMAObject) { a.FixedParent = false }),
		"not a key that the TPM made and kee":         attributes(func(a *tpm2.TPMAObject) { a.SensitiveDataOrigin = false }),
		"not a key that the TPM made and ke":          attributes(func(a *tpm2.TPMAObject) { a.EncryptedDuplication = true }),
		"attributes 000d0472 that no key":             attributes(func(a *tpm2.TPMAObject) { a.X509Sign = true }),
		"name is made with HASH_SHA1":                 func(p *tpm2.TPMTPublic) { p.NameAlg = tpm2.TPMAlgSHA1 },
		"name is made with":                           func(p *tpm2.TPMTPublic) { p.NameAlg = tpm2.TPMAlgNull },
		"RSA key of 1024 bits": func(p *tpm2.TPMTPublic) {
			rsaParameters(func(d *tpm2.TPMSRSAParms) { d.KeyBits = 1024 })(p)
			p.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: bytes.Repeat([]byte{0xc3}, 128)})
		},
		"exponent 3": rsaParameters(func(d *tpm2.TPMSRSAParms) { d.Exponent = 3 }),
		"HASH_SHA1, not RSASSA": rsaParameters(func(d *tpm2.TPMSRSAParms) {
			d.Scheme.Details = tpm2.NewTPMUAsymScheme(tpm2.TPMAlgRSASSA, &tpm2.TPMSSigSchemeRSASSA{HashAlg: tpm2.TPMAlgSHA1})
		}),
		"it signs with scheme": rsaParameters(func(d *tpm2.TPMSRSAParms) { d.Scheme = tpm2.TPMTRSAScheme{Scheme: tpm2.TPMAlgNull} }),
	} {
		_, _, err := CheckAK(akArea(t, RSASSA, alter))
		require.ErrorContains(t, err, says)
	}
	area := akArea(t, RSASSA, nil)
	_, _, err := CheckAK(append(bytes.Clone(area), 0))
	require.Error(t, err, "octets left over")
	reserved := bytes.Clone(area)
	reserved[4] |= 0x80 // TPMA_OBJECT follows type and hash
	_, _, err = CheckAK(reserved)
	require.ErrorContains(t, err, "that no key for signing has")
	for n := range area {
		_, _, err := CheckAK(area[:n])
		require.Error(t, err, "%d octets", n)
	}
}

// quoted is a TPMS_ATTEST of a quote.
func quoted(magic uint32, typ uint16, extra, selection, digest []byte) []byte {
	b := wire.AppendU16(wire.AppendU32(nil, magic), typ)
	b = append(b, 0, 0)
	b = append(wire.AppendU16(b, uint16(len(extra))), extra...)
	b = append(b, make([]byte, 25)...)
	b = append(b, selection...)
	return append(wire.AppendU16(b, uint16(len(digest))), digest...)
}

// A quote that does not say what was asked is refused, however well it is signed.
func TestCheckQuoteRefuses(t *testing.T) {
	nonce, digest := []byte("0123456789abcdefghij"), make([]byte, 32)
	req := attest.QuoteRequest{Bank: pcr.SHA256, PCRs: pcr.Select(0, 10), External: nonce}
	right := PCRSelection(pcr.SHA256, pcr.Select(0, 10))
	_, err := checkQuote(quoted(attestMagic, attestQuote, nonce, right, digest), req)
	require.NoError(t, err)
	two := append(wire.AppendU32(nil, 2), right[4:]...)
	two = append(two, PCRSelection(pcr.SHA1, pcr.Select(0))[4:]...)
	for what, info := range map[string][]byte{
		"magic":                   quoted(0xff544348, attestQuote, nonce, right, digest),
		"no magic":                quoted(0, attestQuote, nonce, right, digest),
		"a certification":         quoted(attestMagic, attestCertify, nonce, right, digest),
		"another nonce":           quoted(attestMagic, attestQuote, []byte("0123456789abcdefghix"), right, digest),
		"a longer nonce":          quoted(attestMagic, attestQuote, append(bytes.Clone(nonce), 0), right, digest),
		"no nonce":                quoted(attestMagic, attestQuote, nil, right, digest),
		"another bank":            quoted(attestMagic, attestQuote, nonce, PCRSelection(pcr.SHA1, pcr.Select(0, 10)), digest),
		"another PCR":             quoted(attestMagic, attestQuote, nonce, PCRSelection(pcr.SHA256, pcr.Select(0, 16)), digest),
		"one PCR less":            quoted(attestMagic, attestQuote, nonce, PCRSelection(pcr.SHA256, pcr.Select(10)), digest),
		"no PCRs":                 quoted(attestMagic, attestQuote, nonce, PCRSelection(pcr.SHA256, 0), digest),
		"no selection":            quoted(attestMagic, attestQuote, nonce, wire.AppendU32(nil, 0), digest),
		"two selections":          quoted(attestMagic, attestQuote, nonce, two, digest),
		"a wider selection":       quoted(attestMagic, attestQuote, nonce, append(append(bytes.Clone(right[:6]), 4), append(right[7:], 0)...), digest),
		"octets after the digest": append(quoted(attestMagic, attestQuote, nonce, right, digest), 0),
	} {
		_, err := checkQuote(info, req)
		require.Error(t, err, what)
	}
}

// A certification is of this key, this request and this attestation key, or of none.
func TestCertificationRefuses(t *testing.T) {
	ak, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	name, qualifying := append([]byte{0, 0x0b}, make([]byte, 32)...), []byte("of the request")
	build := func(magic uint32, typ uint16, extra, name []byte) *Certification {
		b := wire.AppendU16(wire.AppendU32(nil, magic), typ)
		b = append(b, 0, 0)
		b = append(wire.AppendU16(b, uint16(len(extra))), extra...)
		b = append(b, make([]byte, 25)...)
		b = append(wire.AppendU16(b, uint16(len(name))), name...)
		b = append(b, 0, 0)
		sum := sha256.Sum256(b)
		r, s, err := ecdsa.Sign(rand.Reader, ak, sum[:])
		require.NoError(t, err)
		return &Certification{Info: b, Scheme: ECDSA, Hash: pcr.SHA256, Signature: append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)}
	}
	good := build(attestMagic, attestCertify, qualifying, name)
	require.NoError(t, good.Check(ak.Public(), name, qualifying))
	require.ErrorIs(t, good.Check(other.Public(), name, qualifying), ErrSignature)
	for what, c := range map[string]*Certification{
		"magic":           build(0xff544348, attestCertify, qualifying, name),
		"a quote":         build(attestMagic, attestQuote, qualifying, name),
		"another name":    build(attestMagic, attestCertify, qualifying, append([]byte{0, 0x0b}, bytes.Repeat([]byte{1}, 32)...)),
		"another hash":    build(attestMagic, attestCertify, qualifying, append([]byte{0, 0x04}, make([]byte, 32)...)),
		"no name":         build(attestMagic, attestCertify, qualifying, nil),
		"another request": build(attestMagic, attestCertify, []byte("of a request"), name),
	} {
		require.Error(t, c.Check(ak.Public(), name, qualifying), what)
	}
	for what, alter := range map[string]func(*Certification){
		"info":      func(c *Certification) { c.Info[len(c.Info)-1] ^= 1 },
		"signature": func(c *Certification) { c.Signature[5] ^= 1 },
		"empty":     func(c *Certification) { c.Signature = nil },
		"odd":       func(c *Certification) { c.Signature = c.Signature[1:] },
		"scheme":    func(c *Certification) { c.Scheme = RSASSA },
		"hash":      func(c *Certification) { c.Hash = pcr.SHA1 },
		"no hash":   func(c *Certification) { c.Hash = 0 },
	} {
		c := &Certification{Info: bytes.Clone(good.Info), Scheme: ECDSA, Hash: pcr.SHA256, Signature: bytes.Clone(good.Signature)}
		alter(c)
		require.Error(t, c.Check(ak.Public(), name, qualifying), what)
	}
	for n := range good.Info {
		_, err := parseCertified(good.Info[:n])
		require.Error(t, err, "%d octets", n)
	}
}

func TestVerifySignature(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	sum := sha256.Sum256([]byte("m"))
	pkcs, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	require.NoError(t, err)
	pss, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], nil)
	require.NoError(t, err)
	require.NoError(t, VerifySignature(key.Public(), RSASSA, pcr.SHA256, []byte("m"), pkcs))
	require.NoError(t, VerifySignature(key.Public(), RSAPSS, pcr.SHA256, []byte("m"), pss))
	require.Error(t, VerifySignature(key.Public(), RSAPSS, pcr.SHA256, []byte("m"), pkcs))
	require.Error(t, VerifySignature(key.Public(), RSASSA, pcr.SHA256, []byte("n"), pkcs))
	require.Error(t, VerifySignature(nil, RSASSA, pcr.SHA256, []byte("m"), pkcs))
}

func FuzzParseCertified(f *testing.F) {
	f.Add(quoted(attestMagic, attestCertify, []byte("x"), nil, nil))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseCertified(b) })
}

func FuzzCheckAK(f *testing.F) {
	f.Add(akArea(f, RSASSA, nil))
	f.Add(akArea(f, ECDSA, nil))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _, _ = CheckAK(b)
		_, _, _ = CheckSigningKey(b)
	})
}
