package tpmtest

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // TPM 1.2 signs with it
	"crypto/x509"
	"fmt"
	"sync"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// Fake is a TPM in software with real keys: what it signs verifies. Its zero
// value is not usable: see NewFake.
type Fake struct {
	// Gen is what Generation returns.
	Gen tpm.Generation
	// Algorithms are the PCR banks.
	Algorithms []pcr.Hash
	// Handle is where a TPM 2.0 has its key; a TPM 1.2 takes any blob.
	Handle uint32
	// Scheme and SchemeHash are those of a TPM 2.0's key.
	Scheme     tpm.Scheme
	SchemeHash pcr.Hash
	// Err is what every operation fails with, where it is set.
	Err error
	// BeforeQuote is called in Quote before the PCRs are looked at: a log that
	// grows while it is read.
	BeforeQuote func()
	// Quotes counts quotes.
	Quotes int
	// Closed is whether Close was called.
	Closed bool

	mu   sync.Mutex
	pcrs map[pcr.Hash]*[pcr.Count][]byte
	key  crypto.Signer
}

// NewFake returns a fake with an RSA key, at handle 0x81010003 for a TPM 2.0,
// and PCRs in reset state: zeros, and ones for 17 to 22.
func NewFake(gen tpm.Generation) *Fake {
	f := &Fake{
		Gen: gen, Algorithms: []pcr.Hash{pcr.SHA1}, Handle: tpm.FirstAKHandle,
		Scheme: tpm.RSASSA, SchemeHash: pcr.SHA256, pcrs: map[pcr.Hash]*[pcr.Count][]byte{},
	}
	if gen == tpm.TPM20 {
		f.Algorithms = []pcr.Hash{pcr.SHA1, pcr.SHA256, pcr.SHA384, pcr.SHA512}
	}
	for _, h := range f.Algorithms {
		f.pcrs[h] = &[pcr.Count][]byte{}
		for i := range pcr.Count {
			f.pcrs[h][i] = make([]byte, h.Size())
			if i >= 17 && i <= 22 {
				f.pcrs[h][i] = bytes.Repeat([]byte{0xff}, h.Size())
			}
		}
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	f.key = key
	return f
}

// UseECDSA replaces the key by one on P-256.
func (f *Fake) UseECDSA() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	f.key, f.Scheme = key, tpm.ECDSA
}

// Public returns the key that quotes verify with.
func (f *Fake) Public() crypto.PublicKey { return f.key.Public() }

// Set sets a PCR, as firmware that starts in another locality does.
func (f *Fake) Set(bank pcr.Hash, pcr int, value []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pcrs[bank][pcr] = bytes.Clone(value)
}

// Extend extends a PCR of one bank.
func (f *Fake) Extend(bank pcr.Hash, pcr int, digest []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.pcrs[bank][pcr] = bank.Sum(f.pcrs[bank][pcr], digest)
}

// Generation returns f.Gen.
func (f *Fake) Generation() tpm.Generation { return f.Gen }

// Info describes the fake.
func (f *Fake) Info(context.Context) (tpm.Info, error) {
	return tpm.Info{Generation: f.Gen, Manufacturer: "FAKE", Revision: "1.38"}, f.Err
}

// VersionInfo returns version information of the generation.
func (f *Fake) VersionInfo(context.Context) ([]byte, error) {
	if f.Err != nil {
		return nil, f.Err
	}
	if f.Gen == tpm.TPM12 {
		return []byte{0, 0x30, 1, 2, 0, 0, 0, 2, 3, 'F', 'A', 'K', 'E', 0, 0}, nil
	}
	return []byte{2, 0, 0, 3, 0, 0, 0, 138, 0, 0, 0x07, 0xe2, 'F', 'A', 'K', 'E'}, nil
}

// Banks returns f.Algorithms.
func (f *Fake) Banks(context.Context) ([]pcr.Hash, error) { return f.Algorithms, f.Err }

// ReadPCRs returns values.
func (f *Fake) ReadPCRs(_ context.Context, bank pcr.Hash, pcrs pcr.Selection) (pcr.Values, error) {
	if f.Err != nil {
		return nil, f.Err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.read(bank, pcrs)
}

func (f *Fake) read(bank pcr.Hash, pcrs pcr.Selection) (pcr.Values, error) {
	b := f.pcrs[bank]
	if b == nil {
		return nil, fmt.Errorf("fake TPM: %w: %v", tpm.ErrNoBank, bank)
	}
	values := pcr.Values{}
	for _, i := range pcrs.PCRs() {
		values[i] = bytes.Clone(b[i])
	}
	return values, nil
}

// Identity returns the certificate of the settings, else the fake's key.
func (f *Fake) Identity(_ context.Context, aik tpm.AIK) (tpm.Identity, error) {
	if f.Err != nil {
		return tpm.Identity{}, f.Err
	}
	if len(aik.Certificate) > 0 {
		cert, err := x509.ParseCertificate(aik.Certificate)
		if err != nil {
			return tpm.Identity{}, err
		}
		return tpm.Identity{DER: aik.Certificate, KeyID: sha1.Sum(cert.RawSubjectPublicKeyInfo)}, nil
	}
	der, err := x509.MarshalPKIXPublicKey(f.key.Public())
	if err != nil {
		return tpm.Identity{}, err
	}
	return tpm.Identity{DER: der, Naked: true, KeyID: sha1.Sum(der)}, nil
}

// Quote signs as a TPM of the generation does.
func (f *Fake) Quote(_ context.Context, req tpm.QuoteRequest) (*tpm.Quote, error) {
	if f.Err != nil {
		return nil, f.Err
	}
	if f.BeforeQuote != nil {
		f.BeforeQuote()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.Gen == tpm.TPM20 && req.AIK.Handle != f.Handle {
		return nil, fmt.Errorf("fake TPM: %w: 0x%08x", tpm.ErrNoKey, req.AIK.Handle)
	}
	values, err := f.read(req.Bank, req.PCRs)
	if err != nil {
		return nil, err
	}
	f.Quotes++
	q := &tpm.Quote{Values: values}
	if f.Gen == tpm.TPM12 {
		if len(req.External) != 20 {
			return nil, fmt.Errorf("fake TPM: %w", tpm.ErrExternal)
		}
		if q.Kind = req.Kind; q.Kind == tpm.NoQuote {
			q.Kind = tpm.QuoteInfo2
		}
		q.Hash, q.Composite = pcr.SHA1, tpm.Composite12(values)
		version, _ := f.VersionInfo(context.Background())
		q.Info = tpm.Info12(q.Kind, q.Composite, req.External, req.PCRs, version)
	} else {
		a := tpm.Attest{
			QualifiedSigner: append([]byte{0, 0x0b}, make([]byte, 32)...), ExtraData: req.External,
			PCRSelection: tpm.Selection20(req.Bank, req.PCRs), PCRDigest: tpm.Digest20(f.SchemeHash, values),
		}
		a.ClockInfo[16] = 1
		q.Kind, q.Hash, q.Composite = tpm.QuoteTPM20, f.SchemeHash, a.PCRDigest
		q.QualifiedSigner, q.ClockInfo, q.FirmwareVersion, q.PCRSelection = a.QualifiedSigner, a.ClockInfo[:], a.FirmwareVersion[:], a.PCRSelection
		if q.Info, err = a.AppendBinary(nil); err != nil {
			return nil, err
		}
	}
	digest := q.Hash.Sum(q.Info)
	switch k := f.key.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, digest)
		if err != nil {
			return nil, err
		}
		n := (k.Params().BitSize + 7) / 8
		q.Signature = append(r.FillBytes(make([]byte, n)), s.FillBytes(make([]byte, n))...)
	default:
		var opts crypto.SignerOpts = q.Hash.Crypto()
		if f.Gen == tpm.TPM20 && f.Scheme == tpm.RSAPSS {
			opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: q.Hash.Crypto()}
		}
		if q.Signature, err = f.key.Sign(rand.Reader, digest, opts); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// Close marks the fake closed.
func (f *Fake) Close() error {
	f.Closed = true
	return nil
}
