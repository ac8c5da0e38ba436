package ike

import (
	"bytes"
	gocrypto "crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha1"
	_ "crypto/sha256" // hashes of signatures
	_ "crypto/sha512"
	"crypto/x509"
	"encoding/asn1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike/message"
)

// verifyCertificate checks the chain of the gateway's certificate, the first
// of certs, and that it holds the identity id.
func verifyCertificate(certs [][]byte, roots *x509.CertPool, id Identity, now time.Time) (*x509.Certificate, error) {
	if len(certs) == 0 {
		return nil, errors.New("it sent no certificate: let the gateway send it (send_cert = always), or set send_certreq")
	}
	leaf, err := x509.ParseCertificate(certs[0])
	if err != nil {
		return nil, fmt.Errorf("parse certificate: %w", err)
	}
	pool := x509.NewCertPool()
	for _, c := range certs[1:] {
		if ca, err := x509.ParseCertificate(c); err == nil {
			pool.AddCert(ca)
		}
	}
	if _, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err != nil {
		return nil, fmt.Errorf("verify certificate of %q: %w", leaf.Subject, err)
	}
	if !certificateHolds(leaf, id) {
		return nil, fmt.Errorf("its certificate %q does not hold the identity '%s'", leaf.Subject, id)
	}
	return leaf, nil
}

// CertReqKey returns what a CERTREQ payload names a CA by: the SHA-1 hash of
// its SubjectPublicKeyInfo (RFC 7296 §3.7).
func CertReqKey(ca *x509.Certificate) []byte {
	sum := sha1.Sum(ca.RawSubjectPublicKeyInfo)
	return sum[:]
}

func certificateHolds(c *x509.Certificate, id Identity) bool {
	switch id.IDType {
	case message.IDFQDN:
		for _, n := range c.DNSNames {
			if MatchIdentity(id, Identity{IDType: message.IDFQDN, Data: []byte(n)}) {
				return true
			}
		}
	case message.IDRFC822:
		for _, n := range c.EmailAddresses {
			if MatchIdentity(id, Identity{IDType: message.IDRFC822, Data: []byte(n)}) {
				return true
			}
		}
	case message.IDIPv4, message.IDIPv6:
		want, ok := netip.AddrFromSlice(id.Data)
		for _, ip := range c.IPAddresses {
			if a, k := netip.AddrFromSlice(ip); ok && k && a.Unmap() == want {
				return true
			}
		}
	case message.IDDERDN:
		return bytes.Equal(id.Data, c.RawSubject)
	}
	return false
}

// algorithms are the AlgorithmIdentifiers of RFC 7427 appendix A. SHA-1 is
// left out: we announce SHA-2 only.
var algorithms = map[string]struct {
	hash gocrypto.Hash
	kind string
}{
	"300d06092a864886f70d01010b0500": {gocrypto.SHA256, "rsa"},
	"300d06092a864886f70d01010c0500": {gocrypto.SHA384, "rsa"},
	"300d06092a864886f70d01010d0500": {gocrypto.SHA512, "rsa"},
	"300a06082a8648ce3d040302":       {gocrypto.SHA256, "ecdsa"},
	"300a06082a8648ce3d040303":       {gocrypto.SHA384, "ecdsa"},
	"300a06082a8648ce3d040304":       {gocrypto.SHA512, "ecdsa"},
	"300506032b6570":                 {0, "ed25519"},
	"304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120":           {gocrypto.SHA256, "pss"},
	"304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130":           {gocrypto.SHA384, "pss"},
	"304106092a864886f70d01010a3034a00f300d06096086480165030402030500a11c301a06092a864886f70d010108300d06096086480165030402030500a203020140":           {gocrypto.SHA512, "pss"},
	"304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120a303020101": {gocrypto.SHA256, "pss"},
	"304606092a864886f70d01010a3039a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130a303020101": {gocrypto.SHA384, "pss"},
	"304606092a864886f70d01010a3039a00f300d06096086480165030402030500a11c301a06092a864886f70d010108300d06096086480165030402030500a203020140a303020101": {gocrypto.SHA512, "pss"},
}

const minRSABits = 2048

// verifySignature checks an AUTH payload with a public key (RFC 7296 §3.8,
// RFC 4754, RFC 7427).
func verifySignature(pub gocrypto.PublicKey, auth *message.Auth, octets []byte) error {
	if k, ok := pub.(*rsa.PublicKey); ok && k.N.BitLen() < minRSABits {
		return fmt.Errorf("its RSA key has %d bits, at least %d are needed", k.N.BitLen(), minRSABits)
	}
	bad := fmt.Errorf("its %s does not verify", auth.Method)
	switch auth.Method {
	case message.AuthRSA:
		k, ok := pub.(*rsa.PublicKey)
		sum := sha1.Sum(octets)
		if !ok || rsa.VerifyPKCS1v15(k, gocrypto.SHA1, sum[:], auth.Data) != nil {
			return bad
		}
		return nil
	case message.AuthECDSA256, message.AuthECDSA384, message.AuthECDSA521:
		want := map[message.AuthMethod]struct {
			bits int
			hash gocrypto.Hash
		}{message.AuthECDSA256: {256, gocrypto.SHA256}, message.AuthECDSA384: {384, gocrypto.SHA384}, message.AuthECDSA521: {521, gocrypto.SHA512}}[auth.Method]
		k, ok := pub.(*ecdsa.PublicKey)
		n := (want.bits + 7) / 8
		if !ok || k.Curve.Params().BitSize != want.bits || len(auth.Data) != 2*n {
			return bad
		}
		r, s := new(big.Int).SetBytes(auth.Data[:n]), new(big.Int).SetBytes(auth.Data[n:])
		sig, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		if err != nil || !ecdsa.VerifyASN1(k, digest(want.hash, octets), sig) {
			return bad
		}
		return nil
	case message.AuthDigitalSignature:
		if len(auth.Data) < 1 || len(auth.Data) < 1+int(auth.Data[0]) {
			return bad
		}
		id, sig := auth.Data[1:1+int(auth.Data[0])], auth.Data[1+int(auth.Data[0]):]
		alg, ok := algorithms[hex.EncodeToString(id)]
		if !ok {
			return fmt.Errorf("its signature algorithm %x is not supported", id)
		}
		ok = false
		switch k := pub.(type) {
		case *rsa.PublicKey:
			switch alg.kind {
			case "rsa":
				ok = rsa.VerifyPKCS1v15(k, alg.hash, digest(alg.hash, octets), sig) == nil
			case "pss":
				ok = rsa.VerifyPSS(k, alg.hash, digest(alg.hash, octets), sig, &rsa.PSSOptions{SaltLength: alg.hash.Size()}) == nil
			}
		case *ecdsa.PublicKey:
			ok = alg.kind == "ecdsa" && ecdsa.VerifyASN1(k, digest(alg.hash, octets), sig)
		case ed25519.PublicKey:
			ok = alg.kind == "ed25519" && ed25519.Verify(k, octets, sig)
		}
		if !ok {
			return bad
		}
		return nil
	}
	return fmt.Errorf("its authentication method %s is not supported", auth.Method)
}

func digest(h gocrypto.Hash, b []byte) []byte {
	d := h.New()
	d.Write(b)
	return d.Sum(nil)
}
