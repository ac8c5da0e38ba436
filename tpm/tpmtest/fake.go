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

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Fake is a TPM in software with real keys: its quotes verify. Its zero value is
// not usable: see NewFake.
type Fake struct {
	// Gen is what Generation returns.
	Gen tpm.Generation
	// Algorithms are the PCR banks.
	Algorithms []pcr.Hash
	// Handle is the handle of the key of a TPM 2.0; a TPM 1.2 accepts any blob.
	Handle uint32
	// Scheme and SchemeHash are those of a TPM 2.0's key.
	Scheme     tpm20.Scheme
	SchemeHash pcr.Hash
	// Err makes every operation fail with it, where it is set.
	Err error
	// BeforeQuote is called in Quote before the PCRs are read, so that a test can
	// let a log grow meanwhile.
	BeforeQuote func()
	// Quotes counts quotes.
	Quotes int
	// Closed says that Close was called.
	Closed bool

	mu   sync.Mutex
	pcrs map[pcr.Hash]*[pcr.Count][]byte
	key  crypto.Signer
}

// NewFake returns a fake with an RSA key, at handle 0x81010003 for a TPM 2.0,
// and PCRs in reset state: zeros, and ones for 17 to 22.
func NewFake(gen tpm.Generation) *Fake {
	f := &Fake{
		Gen: gen, Algorithms: []pcr.Hash{pcr.SHA1}, Handle: tpm20.FirstAKHandle,
		Scheme: tpm20.RSASSA, SchemeHash: pcr.SHA256, pcrs: map[pcr.Hash]*[pcr.Count][]byte{},
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
	f.key, f.Scheme = key, tpm20.ECDSA
}

// Public returns the key that verifies quotes.
func (f *Fake) Public() crypto.PublicKey { return f.key.Public() }

// Set sets a PCR, as firmware does that starts in another locality.
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
	q, err := f.quote(req, values)
	if err != nil {
		return nil, err
	}
	q.Values = values
	q.Signature, err = f.sign(q)
	return q, err
}

// quote returns the quote of the generation without signature.
func (f *Fake) quote(req tpm.QuoteRequest, values pcr.Values) (*tpm.Quote, error) {
	if f.Gen == tpm.TPM12 {
		if len(req.External) != 20 {
			return nil, fmt.Errorf("fake TPM: %w", tpm.ErrExternal)
		}
		q := &tpm.Quote{Kind: req.Kind, Hash: pcr.SHA1, Composite: tpm12.Composite(values)}
		if q.Kind == tpm.NoQuote {
			q.Kind = tpm.QuoteInfo2
		}
		version, _ := f.VersionInfo(context.Background())
		q.Info = tpm12.QuoteInfo(q.Kind, q.Composite, req.External, req.PCRs, version)
		return q, nil
	}
	a := tpm20.Attest{
		QualifiedSigner: append([]byte{0, 0x0b}, make([]byte, 32)...), ExtraData: req.External,
		PCRSelection: tpm20.PCRSelection(req.Bank, req.PCRs), PCRDigest: tpm20.PCRDigest(f.SchemeHash, values),
	}
	a.ClockInfo[16] = 1
	info, err := AppendAttest(nil, a)
	return &tpm.Quote{
		Kind: tpm.QuoteTPM20, Hash: f.SchemeHash, Composite: a.PCRDigest, Info: info,
		QualifiedSigner: a.QualifiedSigner, ClockInfo: a.ClockInfo[:], FirmwareVersion: a.FirmwareVersion[:], PCRSelection: a.PCRSelection,
	}, err
}

// sign signs the quote with the fake's key.
func (f *Fake) sign(q *tpm.Quote) ([]byte, error) {
	digest := q.Hash.Sum(q.Info)
	if k, ok := f.key.(*ecdsa.PrivateKey); ok {
		r, s, err := ecdsa.Sign(rand.Reader, k, digest)
		if err != nil {
			return nil, err
		}
		n := (k.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, n)), s.FillBytes(make([]byte, n))...), nil
	}
	var opts crypto.SignerOpts = q.Hash.Crypto()
	if f.Gen == tpm.TPM20 && f.Scheme == tpm20.RSAPSS {
		opts = &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: q.Hash.Crypto()}
	}
	return f.key.Sign(rand.Reader, digest, opts)
}

// Close marks the fake closed.
func (f *Fake) Close() error {
	f.Closed = true
	return nil
}

// AppendAttest appends the TPMS_ATTEST of a quote, which only TPMs make.
func AppendAttest(b []byte, a tpm20.Attest) ([]byte, error) {
	b = append(b, 0xff, 'T', 'C', 'G', 0x80, 0x18)
	b, err := wire.AppendVec16(b, a.QualifiedSigner)
	if err != nil {
		return nil, err
	}
	if b, err = wire.AppendVec16(b, a.ExtraData); err != nil {
		return nil, err
	}
	b = append(b, a.ClockInfo[:]...)
	b = append(b, a.FirmwareVersion[:]...)
	b = append(b, a.PCRSelection...)
	return wire.AppendVec16(b, a.PCRDigest)
}
