package aik

import (
	"context"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// endorsement returns the endorsement key of a TPM 2.0 with its certificate: the one
// of --ek-cert, else the TPM's own, else the manufacturer's where it may be asked.
func (o *Create) endorsement(ctx context.Context, t *openTPM, p *tpm20.TPM) (*tpm20.Endorsement, error) {
	if o.EKCert != "" {
		return o.endorsementOfFile(ctx, t, p)
	}
	typ, err := parseEK(o.EK, func() (tpm20.KeyType, error) { return p.CertifiedKeyType(ctx) })
	if err != nil {
		return nil, err
	}
	e, err := p.EndorsementKey(ctx, typ, t.auth)
	if err != nil || e.Certificate != nil || !o.Fetch {
		return e, err
	}
	s, err := newService(o.Service, t.info.Manufacturer)
	if err != nil {
		return nil, err
	}
	e.Certificate, err = s.fetch(ctx, e.PublicKey)
	return e, err
}

// endorsementOfFile finds the endorsement key of a certificate.
func (o *Create) endorsementOfFile(ctx context.Context, t *openTPM, p *tpm20.TPM) (*tpm20.Endorsement, error) {
	cert, err := loadEKCertificate(o.EKCert)
	if err != nil {
		return nil, err
	}
	for _, typ := range tpm20.TypesOf(cert.key) {
		if o.EK != "auto" && o.EK != typ.String() {
			continue
		}
		e, err := p.EndorsementKey(ctx, typ, t.auth)
		if err != nil && !errors.Is(err, attest.ErrOtherKey) { // the TPM's own certificate may be of another
			return nil, err
		}
		if e != nil && attest.EqualKeys(cert.key, e.PublicKey) {
			e.Certificate = cert.der
			return e, nil
		}
	}
	return nil, fmt.Errorf("--ek-cert %s: it certifies no endorsement key of this TPM", o.EKCert)
}

// ekCertificate is an endorsement key's certificate with the key in it.
type ekCertificate struct {
	der []byte
	key any // crypto.PublicKey
}

// loadEKCertificate reads a file in PEM or DER.
func loadEKCertificate(file string) (ekCertificate, error) {
	b, err := usage.ReadFile(file)
	if err != nil {
		return ekCertificate{}, usage.FileError(file, "--ek-cert", err)
	}
	cert, err := attest.ParseEndorsementCertificate(unPEM(b))
	if err != nil {
		return ekCertificate{}, usage.FileError(file, "--ek-cert", err)
	}
	return ekCertificate{cert.Raw, cert.PublicKey}, nil
}
