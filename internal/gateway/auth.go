package gateway

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" // AUTH method 1 is RSA with SHA-1 (RFC 7296 §3.8)
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"fmt"
	"math/big"

	ikecrypto "github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

// tlsConfig is the configuration of the EAP-TTLS server.
func (g *Gateway) tlsConfig() *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{g.certificate()},
		MinVersion:   g.cfg.MinTLS, MaxVersion: g.cfg.MaxTLS,
		SessionTicketsDisabled: true,
	}
}

// AlgorithmIdentifiers of RFC 7427 signatures with SHA-256.
var (
	algRSASHA256, _   = hex.DecodeString("300d06092a864886f70d01010b0500")
	algECDSASHA256, _ = hex.DecodeString("300a06082a8648ce3d040302")
)

// signature returns CERT and AUTH payloads that prove the gateway's identity
// with its certificate, with SHA-256 where the client can verify that (RFC
// 7427), else as RFC 7296 and RFC 4754 have it.
func (c *client) signature() ([]message.Payload, error) {
	cert := c.g.certificate()
	octets := ikecrypto.SignedOctets(c.prf, c.keys.Pr, c.initResponse, c.ni, c.idr.Body(), c.intermediate.octets)
	signer, ok := cert.PrivateKey.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("sign AUTH: %T cannot sign", cert.PrivateKey)
	}
	auth := &message.Auth{Method: message.AuthDigitalSignature}
	sum256, sum1 := sha256.Sum256(octets), sha1.Sum(octets)
	var err error
	switch key := signer.Public().(type) {
	case *rsa.PublicKey:
		if c.sha256 {
			auth.Data, err = prefixed(algRSASHA256)(signer.Sign(rand.Reader, sum256[:], crypto.SHA256))
		} else {
			auth.Method = message.AuthRSA
			auth.Data, err = signer.Sign(rand.Reader, sum1[:], crypto.SHA1)
		}
	case *ecdsa.PublicKey:
		if c.sha256 {
			auth.Data, err = prefixed(algECDSASHA256)(signer.Sign(rand.Reader, sum256[:], crypto.SHA256))
			break
		}
		private, ok := signer.(*ecdsa.PrivateKey)
		if !ok || key.Curve != elliptic.P256() {
			return nil, fmt.Errorf("sign AUTH: without RFC 7427 only ECDSA keys on P-256 can sign")
		}
		auth.Method = message.AuthECDSA256
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, private, sum256[:]); err == nil {
			auth.Data = make([]byte, 64)
			r.FillBytes(auth.Data[:32])
			s.FillBytes(auth.Data[32:])
		}
	default:
		return nil, fmt.Errorf("sign AUTH: keys of type %T are not supported", key)
	}
	if err != nil {
		return nil, fmt.Errorf("sign AUTH: %w", err)
	}
	if c.g.cfg.Faults.BadAuth {
		auth.Data[len(auth.Data)-1] ^= 1
	}
	var ps []message.Payload
	for _, der := range cert.Certificate {
		ps = append(ps, &message.Cert{Encoding: message.CertX509Signature, Data: der})
	}
	return append(ps, auth), nil
}

// prefixed puts the AlgorithmIdentifier and its length ahead of a signature.
func prefixed(alg []byte) func([]byte, error) ([]byte, error) {
	return func(signature []byte, err error) ([]byte, error) {
		return append(append([]byte{byte(len(alg))}, alg...), signature...), err
	}
}
