package message

import (
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// CertEncoding is a certificate encoding (RFC 7296 section 3.6).
type CertEncoding uint8

// Certificate encodings.
const (
	CertPKCS7         CertEncoding = 1
	CertX509Signature CertEncoding = 4
	CertCRL           CertEncoding = 7
	CertHashURL       CertEncoding = 12
	CertHashURLBundle CertEncoding = 13
	CertOCSP          CertEncoding = 14
	CertRawPublicKey  CertEncoding = 15
)

// Cert is the Certificate payload (RFC 7296 section 3.6).
type Cert struct {
	Encoding CertEncoding
	Data     []byte
}

// Type returns TypeCert.
func (*Cert) Type() PayloadType { return TypeCert }

func parseCert(r *wire.Reader) *Cert {
	return &Cert{Encoding: CertEncoding(r.U8()), Data: clone(r.Rest())}
}

// AppendBody appends encoding and data.
func (p *Cert) AppendBody(b []byte) ([]byte, error) {
	return append(append(b, byte(p.Encoding)), p.Data...), nil
}

// CertRequest is the Certificate Request payload (RFC 7296 section 3.7).
type CertRequest struct {
	Encoding CertEncoding
	Data     []byte // for X.509: 20-octet SHA-1 hashes of CA SubjectPublicKeyInfos
}

// Type returns TypeCertRequest.
func (*CertRequest) Type() PayloadType { return TypeCertRequest }

// Authorities returns the 20-octet key hashes of an X.509 request.
func (p *CertRequest) Authorities() ([][]byte, error) {
	if len(p.Data)%20 != 0 {
		return nil, fmt.Errorf("certificate request of %d octets: %w", len(p.Data), wire.ErrLength)
	}
	var hs [][]byte
	for d := p.Data; len(d) > 0; d = d[20:] {
		hs = append(hs, d[:20:20])
	}
	return hs, nil
}

func parseCertRequest(r *wire.Reader) *CertRequest {
	return &CertRequest{Encoding: CertEncoding(r.U8()), Data: clone(r.Rest())}
}

// AppendBody appends encoding and data.
func (p *CertRequest) AppendBody(b []byte) ([]byte, error) {
	return append(append(b, byte(p.Encoding)), p.Data...), nil
}
