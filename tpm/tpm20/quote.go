package tpm20

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// maxExternal is how many octets of external data a quote signs.
const maxExternal = 64

// quoteTries is how many quotes are made where the PCRs change around each.
const quoteTries = 2

// Quote signs PCRs of one bank and up to 64 octets of external data (TPM Library
// Part 3 section 18.4).
func (t *TPM) Quote(ctx context.Context, req attest.QuoteRequest) (q *attest.Quote, err error) {
	if err := checkRequest(req); err != nil {
		return nil, fmt.Errorf("TPM quote: %w", err)
	}
	err = t.do(ctx, "TPM quote", func(s *session) error {
		key, err := s.readPublic(req.AIK.Handle)
		if err != nil {
			return err
		}
		q, err = s.quoteWithValues(key, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return q, nil
}

// checkRequest says why a TPM 2.0 cannot make the quote.
func checkRequest(req attest.QuoteRequest) error {
	switch {
	case req.AIK.Handle == 0:
		return attest.ErrKeyUnset
	case req.PCRs.Len() == 0:
		return errors.New("no PCRs selected")
	case len(req.External) > maxExternal:
		return fmt.Errorf("%w: %d octets, %d at most", attest.ErrExternal, len(req.External), maxExternal)
	case req.Bank.Size() == 0:
		return fmt.Errorf("%w: %v", attest.ErrNoBank, req.Bank)
	}
	return nil
}

// quoteWithValues makes a quote and finds the values of its PCRs, which it reads
// before and after the quote. PCRs that change each time leave it without
// Values, with what the caller can find them by.
func (s *session) quoteWithValues(key *publicKey, req attest.QuoteRequest) (q *attest.Quote, err error) {
	for range quoteTries {
		before, err := s.readPCRs(req.Bank, req.PCRs)
		if err != nil {
			return nil, err
		}
		if q, err = s.quote(key, req); err != nil {
			return nil, err
		}
		if bytes.Equal(PCRDigest(q.Hash, before), q.Composite) {
			q.Values = before
			return q, nil
		}
		after, err := s.readPCRs(req.Bank, req.PCRs)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(PCRDigest(q.Hash, after), q.Composite) {
			q.Values = after
			return q, nil
		}
		q.Unsettled(before, after, func(v pcr.Values) []byte { return PCRDigest(q.Hash, v) })
	}
	return q, nil
}

// quote makes one quote and checks what it signed.
func (s *session) quote(key *publicKey, req attest.QuoteRequest) (*attest.Quote, error) {
	scheme, err := key.signingScheme()
	if err != nil {
		return nil, err
	}
	rsp, err := tpm2.Quote{
		SignHandle:     withPassword(tpm2.TPMHandle(req.AIK.Handle), key.name, nil),
		QualifyingData: tpm2.TPM2BData{Buffer: req.External},
		InScheme:       scheme,
		PCRSelect:      selection(req.Bank, req.PCRs),
	}.Execute(s)
	if err != nil {
		return nil, err
	}
	info := bytes.Clone(rsp.Quoted.Bytes())
	sig, hash, err := signature(&rsp.Signature, key.key)
	if err != nil {
		return nil, err
	}
	if err := VerifySignature(key.key, Scheme(rsp.Signature.SigAlg), hash, info, sig); err != nil && hash != pcr.SHA1 {
		return nil, command.ReplyError("TPM2_Quote", err)
	}
	a, err := checkQuote(info, req)
	if err != nil {
		return nil, err
	}
	return &attest.Quote{
		Kind: attest.QuoteTPM20, Hash: hash, Composite: a.PCRDigest, Signature: sig,
		QualifiedSigner: a.QualifiedSigner, ClockInfo: a.ClockInfo[:], FirmwareVersion: a.FirmwareVersion[:],
		PCRSelection: a.PCRSelection, Info: info,
	}, nil
}

// checkQuote decodes what a quote signed and refuses what was not asked for: another
// structure, other external data, other PCRs or those of another bank.
func checkQuote(info []byte, req attest.QuoteRequest) (Attest, error) {
	a, err := ParseAttest(info)
	if err != nil {
		return a, command.ReplyError("TPM2_Quote", err)
	}
	if !bytes.Equal(a.ExtraData, req.External) {
		return a, command.ReplyError("TPM2_Quote", errors.New("it signed other external data"))
	}
	if !bytes.Equal(a.PCRSelection, PCRSelection(req.Bank, req.PCRs)) {
		return a, fmt.Errorf("%w: the TPM quoted %x instead of PCRs %v of bank %v", attest.ErrNoBank, a.PCRSelection, req.PCRs, req.Bank)
	}
	return a, nil
}
