package privacyca

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Types of PEM blocks in a request.
const (
	blockEKCertificate = "CERTIFICATE"
	blockChain         = "EK CERTIFICATE CHAIN"
	blockEK            = "PUBLIC KEY"
	blockArea          = "TPMT_PUBLIC"
	blockCSR           = "CERTIFICATE REQUEST"
	blockPubkey        = "TPM_PUBKEY"
	blockBinding       = "TPM IDENTITY BINDING"
	headerLabel        = "Label"
	headerEK           = "Endorsement-Key"
	headerProduct      = "Product"
)

// Request asks a privacy CA for the certificate of an attestation key.
type Request struct {
	Generation tpm.Generation
	EKType     tpm20.KeyType
	// EK is the endorsement key, SubjectPublicKeyInfo in DER.
	EK []byte
	// EKCertificate is the manufacturer's certificate of EK, X.509 in DER; nil
	// where the TPM holds none.
	EKCertificate []byte
	// Chain has certificates of CAs that the TPM holds, X.509 in DER, one after the
	// other; nil for none.
	Chain []byte
	// Product names the operating system of the holder as its IMC reports it,
	// "Debian 13 x86_64"; empty where that is not known. Nothing vouches for it.
	Product string

	// Area and CSR are set for a TPM 2.0: TPMT_PUBLIC of the attestation key, and
	// a PKCS #10 certificate request that it signed.
	Area, CSR []byte

	// Pubkey, Binding and Label are set for a TPM 1.2, whose identity keys cannot
	// sign certificate requests: TPM_PUBKEY, the key's signature over
	// TPM_IDENTITY_CONTENTS, and the label that this covers, which is the name
	// that the holder wants.
	Pubkey, Binding []byte
	Label           string
}

// Encode returns the request as text.
func (r *Request) Encode() ([]byte, error) {
	if strings.ContainsAny(r.Label+r.Product, "\r\n") {
		return nil, errors.New("encode request: the name holds a line break")
	}
	var out []byte
	add := func(typ string, b []byte, headers map[string]string) {
		if len(b) > 0 {
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: typ, Headers: headers, Bytes: b})...)
		}
	}
	add(blockCSR, r.CSR, nil) // first, where `openssl req` looks
	add(blockArea, r.Area, nil)
	add(blockPubkey, r.Pubkey, nil)
	add(blockBinding, r.Binding, map[string]string{headerLabel: r.Label})
	about := map[string]string{headerEK: r.EKType.String()}
	if r.Product != "" {
		about[headerProduct] = r.Product
	}
	add(blockEK, r.EK, about)
	add(blockEKCertificate, r.EKCertificate, nil)
	add(blockChain, r.Chain, nil)
	if len(out) > MaxFile {
		return nil, fmt.Errorf("encode request: longer than %d octets", MaxFile)
	}
	return out, nil
}

// ParseRequest decodes a request. It does not check what the request claims: see
// Issuer.Issue.
func ParseRequest(b []byte) (*Request, error) {
	r, err := parseRequest(b)
	if err != nil {
		return nil, fmt.Errorf("read request: %w", err)
	}
	return r, nil
}

func parseRequest(b []byte) (*Request, error) {
	all, err := blocks(b)
	if err != nil {
		return nil, err
	}
	r := &Request{}
	if r.EK, err = need(all, blockEK); err != nil {
		return nil, err
	}
	if r.EKType, err = tpm20.ParseKeyType(all[blockEK].Headers[headerEK]); err != nil {
		return nil, err
	}
	r.Product = all[blockEK].Headers[headerProduct]
	if p := all[blockEKCertificate]; p != nil {
		r.EKCertificate = p.Bytes
	}
	if p := all[blockChain]; p != nil && len(p.Bytes) > 0 {
		r.Chain = p.Bytes
	}
	if all[blockPubkey] == nil {
		r.Generation = tpm.TPM20
		if r.Area, err = need(all, blockArea); err == nil {
			r.CSR, err = need(all, blockCSR)
		}
		return r, err
	}
	r.Generation = tpm.TPM12
	if r.Pubkey, err = need(all, blockPubkey); err == nil {
		r.Binding, err = need(all, blockBinding)
	}
	if err == nil {
		r.Label = all[blockBinding].Headers[headerLabel]
	}
	return r, err
}

// attested is the content of a checked request.
type attested struct {
	key     crypto.PublicKey // to be certified
	ek      crypto.PublicKey
	name    string // that the holder wants
	akName  []byte // TPM2B_NAME, of a TPM 2.0
	subject []byte // RDNSequence that the holder wants, of a TPM 2.0
}

// check verifies that the attestation key is one, and that it signed the request.
func (r *Request) check() (*attested, error) {
	ek, err := x509.ParsePKIXPublicKey(r.EK)
	if err != nil {
		return nil, fmt.Errorf("endorsement key: %w", err)
	}
	a := &attested{ek: ek}
	if r.Generation == tpm.TPM12 {
		a.key, err = tpm12.CheckIdentity(tpm12.Identity{Pubkey: r.Pubkey, Binding: r.Binding, Label: tpm12.LabelDigest(r.Label, nil)})
		if err != nil {
			return nil, err
		}
		if _, ok := ek.(*rsa.PublicKey); !ok {
			return nil, errors.New("the endorsement key of a TPM 1.2 is not RSA")
		}
		a.name = r.Label
		return a, nil
	}
	if a.key, a.akName, err = tpm20.CheckAK(r.Area); err != nil {
		return nil, err
	}
	csr, err := x509.ParseCertificateRequest(r.CSR)
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if err := tpm20.CheckRequestSignature(csr); err != nil {
		return nil, fmt.Errorf("certificate request: %w", err)
	}
	if !attest.EqualKeys(a.key, csr.PublicKey) {
		return nil, errors.New("the certificate request is of another key than the attestation key")
	}
	a.name, a.subject = csr.Subject.CommonName, csr.RawSubject
	return a, nil
}
