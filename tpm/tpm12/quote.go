package tpm12

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// quoteTries is how many quotes are made where the PCRs change around each.
const quoteTries = 2

// Quote signs PCRs and 20 octets of external data with TPM_Quote or TPM_Quote2
// (TPM Main Part 3 sections 16.3 and 16.5). An AIK in a blob is loaded for as
// long as that takes.
func (t *TPM) Quote(ctx context.Context, req attest.QuoteRequest) (q *attest.Quote, err error) {
	if req.Kind == attest.NoQuote {
		req.Kind = attest.QuoteInfo2
	}
	authorize, err := checkRequest(req)
	if err != nil {
		return nil, fmt.Errorf("TPM quote: %w", err)
	}
	err = t.do(ctx, "TPM quote", func(s *session) error {
		handle := req.AIK.Handle
		if len(req.AIK.Blob) > 0 {
			if handle, err = s.loadKey(req.AIK.Blob, wellKnown); err != nil {
				return err
			}
			defer s.flush(handle, rtKey)
		}
		q, err = s.quoteWithValues(handle, authorize, req)
		return err
	})
	if err != nil {
		return nil, err
	}
	return q, nil
}

// checkRequest says why a TPM 1.2 cannot make the quote, and whether the use of
// the AIK needs its secret.
func checkRequest(req attest.QuoteRequest) (authorize bool, err error) {
	switch {
	case req.Kind != attest.QuoteInfo && req.Kind != attest.QuoteInfo2 && req.Kind != attest.QuoteInfo2Version:
		return false, fmt.Errorf("a TPM 1.2 has no %v", req.Kind)
	case req.Bank != pcr.SHA1:
		return false, fmt.Errorf("%w: a TPM 1.2 has SHA-1 only, not %v", attest.ErrNoBank, req.Bank)
	case req.PCRs.Len() == 0:
		return false, errors.New("no PCRs selected")
	case len(req.External) != nonceLen:
		return false, fmt.Errorf("%w: %d octets, a TPM 1.2 needs 20 (SHA-1)", attest.ErrExternal, len(req.External))
	case len(req.AIK.Blob) == 0 && req.AIK.Handle == 0:
		return false, attest.ErrKeyUnset
	case len(req.AIK.Blob) == 0:
		return true, nil // of a loaded key it is not known
	}
	key, err := ParseKeyBlob(req.AIK.Blob)
	if err == nil {
		err = key.CheckAIK()
	}
	if err != nil {
		return false, fmt.Errorf("AIK blob: %w", err)
	}
	return key.AuthDataUsage != authNever, nil
}

// loadKey loads a key under the storage root key, whose secret is srk (TPM Main
// Part 3 section 10.5).
func (s *session) loadKey(blob []byte, srk [nonceLen]byte) (handle uint32, err error) {
	const name = "TPM_LoadKey2"
	a, err := s.oiap(srk[:])
	if err != nil {
		return 0, err
	}
	h, _, err := s.run(name, ordLoadKey2, wire.AppendU32(nil, handleSRK), blob, 4, a)
	if err != nil {
		s.endSessions(err, a)
		return 0, err
	}
	r := wire.NewReader(name+" reply", h)
	return r.U32(), nil
}

// quoteWithValues makes a quote and finds the values of its PCRs, which it reads
// before and after the quote. PCRs that change each time leave it without
// Values, with what the caller can find them by.
func (s *session) quoteWithValues(handle uint32, authorize bool, req attest.QuoteRequest) (q *attest.Quote, err error) {
	for range quoteTries {
		before, err := s.readPCRs(req.PCRs)
		if err != nil {
			return nil, err
		}
		if q, err = s.quote(handle, authorize, req); err != nil {
			return nil, err
		}
		if q.Values != nil {
			return q, nil // TPM_Quote returns them
		}
		if bytes.Equal(Composite(before), q.Composite) {
			q.Values = before
			return q, nil
		}
		after, err := s.readPCRs(req.PCRs)
		if err != nil {
			return nil, err
		}
		if bytes.Equal(Composite(after), q.Composite) {
			q.Values = after
			return q, nil
		}
		q.Unsettled(before, after, Composite)
	}
	return q, nil
}

// quote makes one quote with a loaded key.
func (s *session) quote(handle uint32, authorize bool, req attest.QuoteRequest) (*attest.Quote, error) {
	name, ord := "TPM_Quote2", uint32(ordQuote2)
	params := append(bytes.Clone(req.External), selection(req.PCRs)...)
	switch req.Kind {
	case attest.QuoteInfo:
		name, ord = "TPM_Quote", ordQuote
	case attest.QuoteInfo2Version:
		params = append(params, 1)
	default:
		params = append(params, 0)
	}
	var auths []*auth
	if authorize {
		a, err := s.oiap(wellKnown[:])
		if err != nil {
			return nil, err
		}
		auths = []*auth{a}
	}
	_, out, err := s.run(name, ord, wire.AppendU32(nil, handle), params, 0, auths...)
	if err != nil {
		s.endSessions(err, auths...)
		return nil, err
	}
	q, err := parseQuote(name, out, req)
	if err != nil {
		return nil, command.ReplyError(name, err)
	}
	return q, nil
}

// parseQuote decodes the parameters of a quote's reply:
//
//	TPM_Quote:  TPM_PCR_COMPOSITE | u32 n, signature
//	TPM_Quote2: TPM_PCR_INFO_SHORT | u32 n, TPM_CAP_VERSION_INFO | u32 n, signature
func parseQuote(name string, out []byte, req attest.QuoteRequest) (*attest.Quote, error) {
	r := wire.NewReader(name+" reply", out)
	q := &attest.Quote{Kind: req.Kind, Hash: pcr.SHA1}
	at := r.Offset()
	want := selection(req.PCRs)
	if sel := r.Bytes(len(want)); r.Err() == nil && !bytes.Equal(sel, want) {
		r.Fail(at, fmt.Errorf("%w: it quoted other PCRs", wire.ErrValue))
	}
	var version []byte
	if req.Kind == attest.QuoteInfo {
		at = r.Offset()
		if n := r.U32(); r.Err() == nil && n != uint32(pcr.SHA1.Size()*req.PCRs.Len()) {
			r.Fail(at, wire.ErrLength)
		}
		q.Values = make(pcr.Values, req.PCRs.Len())
		for _, i := range req.PCRs.PCRs() {
			q.Values[i] = bytes.Clone(r.Bytes(pcr.SHA1.Size()))
		}
		if r.Err() == nil {
			q.Composite = Composite(q.Values)
		}
	} else {
		at = r.Offset()
		if l := r.U8(); r.Err() == nil && l != locality0 {
			r.Fail(at, fmt.Errorf("%w: locality 0x%02x", wire.ErrValue, l))
		}
		q.Composite = bytes.Clone(r.Bytes(pcr.SHA1.Size()))
		at = r.Offset()
		version = vec32(r)
		if r.Err() == nil && (len(version) > 0) != (req.Kind == attest.QuoteInfo2Version) {
			r.Fail(at, fmt.Errorf("%w: version information", wire.ErrLength))
		}
	}
	at = r.Offset()
	if q.Signature = vec32(r); r.Err() == nil && len(q.Signature) == 0 {
		r.Fail(at, wire.ErrLength)
	}
	if err := r.Finish(); err != nil {
		return nil, err
	}
	q.Info = QuoteInfo(req.Kind, q.Composite, req.External, req.PCRs, version)
	return q, nil
}
