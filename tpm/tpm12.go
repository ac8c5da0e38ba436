package tpm

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// V12 is a TPM 1.2. Its zero value is not usable: see Open.
type V12 struct {
	c    *conn
	rand func([]byte) // nil: crypto/rand; tests that replay put their own
}

// Generation returns TPM12.
func (t *V12) Generation() Generation { return TPM12 }

// Close gives the transport back.
func (t *V12) Close() error { return t.c.Close() }

// capVersionVal is TPM_CAP_VERSION_VAL (TPM Main Part 2 §21.1).
const capVersionVal = 0x1a

// Info describes the TPM.
func (t *V12) Info(ctx context.Context) (Info, error) {
	b, err := t.versionInfo(ctx)
	if err != nil {
		return Info{}, err
	}
	v, err := ParseCapVersionInfo(wire.NewReader("TPM_CAP_VERSION_INFO", b))
	if err != nil {
		return Info{}, err
	}
	r := wire.NewReader("", v.VendorID[:])
	return Info{
		Generation:   TPM12,
		Manufacturer: letters(r.U32()),
		Revision:     fmt.Sprintf("%d.%d level %d errata %d", v.Major, v.Minor, v.SpecLevel, v.ErrataRev),
		Firmware:     fmt.Sprintf("%d.%d", v.RevMajor, v.RevMinor),
	}, nil
}

// Banks returns SHA1, the only one.
func (t *V12) Banks(context.Context) ([]pcr.Hash, error) { return []pcr.Hash{pcr.SHA1}, nil }

// ReadPCRs returns PCR values by index.
func (t *V12) ReadPCRs(ctx context.Context, bank pcr.Hash, pcrs pcr.Selection) (values pcr.Values, err error) {
	if bank != pcr.SHA1 {
		return nil, fmt.Errorf("read PCRs %v: %w: a TPM 1.2 has SHA-1 only, not %v", pcrs, ErrNoBank, bank)
	}
	err = t.do(ctx, fmt.Sprintf("read PCRs %v", pcrs), func(s *session12) error {
		values, err = s.readPCRs(pcrs)
		return err
	})
	return values, err
}

func (s *session12) readPCRs(pcrs pcr.Selection) (pcr.Values, error) {
	values := make(pcr.Values, pcrs.Len())
	for _, i := range pcrs.PCRs() {
		_, out, err := s.run("TPM_PCRRead", ordPCRRead, nil, wire.AppendU32(nil, uint32(i)), 0)
		if err != nil {
			return nil, err
		}
		if len(out) != pcr.SHA1.Size() {
			return nil, replyError("TPM_PCRRead", wire.ErrLength)
		}
		values[i] = bytes.Clone(out)
	}
	return values, nil
}

// ExtendPCR extends one PCR by a SHA-1 digest.
func (t *V12) ExtendPCR(ctx context.Context, i int, digests map[pcr.Hash][]byte) error {
	d := digests[pcr.SHA1]
	if len(d) != pcr.SHA1.Size() {
		return fmt.Errorf("extend PCR %d: a TPM 1.2 needs a digest of 20 octets", i)
	}
	return t.do(ctx, fmt.Sprintf("extend PCR %d", i), func(s *session12) error {
		_, _, err := s.run("TPM_Extend", ordExtend, nil, append(wire.AppendU32(nil, uint32(i)), d...), 0)
		return err
	})
}

// Identity returns the certificate of the AIK, else the public key of the
// settings or of the blob.
func (t *V12) Identity(_ context.Context, aik AIK) (Identity, error) {
	if len(aik.Blob) == 0 {
		return identityOf(aik, nil)
	}
	k, err := ParseKeyBlob(wire.NewReader("AIK blob", aik.Blob))
	if err != nil {
		return Identity{}, fmt.Errorf("AIK blob: %w", err)
	}
	var known crypto.PublicKey
	if known, err = k.PublicKey(); err != nil {
		return Identity{}, fmt.Errorf("AIK blob: %w", err)
	}
	return identityOf(aik, known)
}

// loadKey loads a key under the SRK (TPM Main Part 3 §10.5).
func (s *session12) loadKey(blob []byte) (uint32, error) {
	const name = "TPM_LoadKey2"
	a, err := s.oiap(wellKnown[:])
	if err != nil {
		return 0, err
	}
	h, _, err := s.run(name, ordLoadKey2, wire.AppendU32(nil, handleSRK), blob, 4, a)
	if err != nil {
		s.drop(err, a)
		return 0, err
	}
	r := wire.NewReader(name+" reply", h)
	return r.U32(), nil
}

// Quote signs PCRs and 20 octets of external data with TPM_Quote or
// TPM_Quote2 (TPM Main Part 3 §16.3, §16.5), the AIK loaded from its blob for
// as long as that takes.
func (t *V12) Quote(ctx context.Context, req QuoteRequest) (q *Quote, err error) {
	if req.Kind == NoQuote {
		req.Kind = QuoteInfo2
	}
	switch {
	case req.Kind != QuoteInfo && req.Kind != QuoteInfo2 && req.Kind != QuoteInfo2Version:
		return nil, fmt.Errorf("TPM quote: a TPM 1.2 has no %v", req.Kind)
	case req.Bank != pcr.SHA1:
		return nil, fmt.Errorf("TPM quote: %w: a TPM 1.2 has SHA-1 only, not %v", ErrNoBank, req.Bank)
	case req.PCRs.Len() == 0:
		return nil, errors.New("TPM quote: no PCRs selected")
	case len(req.External) != nonceLen:
		return nil, fmt.Errorf("TPM quote: %w: %d octets, a TPM 1.2 needs 20 (SHA-1)", ErrExternal, len(req.External))
	}
	var key KeyBlob
	switch {
	case len(req.AIK.Blob) > 0:
		if key, err = ParseKeyBlob(wire.NewReader("AIK blob", req.AIK.Blob)); err != nil {
			return nil, fmt.Errorf("TPM quote: AIK blob: %w", err)
		}
		if err := key.CheckAIK(); err != nil {
			return nil, fmt.Errorf("TPM quote: AIK blob: %w", err)
		}
	case req.AIK.Handle == 0:
		return nil, fmt.Errorf("TPM quote: %w: set aik_blob; `tnc aik create` makes one", ErrNoKey)
	default:
		key.AuthDataUsage = authAlways // of a loaded key it is not known
	}
	err = t.do(ctx, "TPM quote", func(s *session12) error {
		handle := req.AIK.Handle
		if len(req.AIK.Blob) > 0 {
			if handle, err = s.loadKey(req.AIK.Blob); err != nil {
				return err
			}
			defer s.flush(handle, rtKey)
		}
		for range pcrReadTries {
			before, err := s.readPCRs(req.PCRs)
			if err != nil {
				return err
			}
			if q, err = s.quote(handle, key.AuthDataUsage != authNever, req); err != nil {
				return err
			}
			if q.Values != nil {
				return nil // TPM_Quote returns them
			}
			if bytes.Equal(Composite12(before), q.Composite) {
				q.Values = before
				return nil
			}
			after, err := s.readPCRs(req.PCRs)
			if err != nil {
				return err
			}
			if bytes.Equal(Composite12(after), q.Composite) {
				q.Values = after
				return nil
			}
		}
		return nil // PCRs that never stand still: a good quote without Values
	})
	if err != nil {
		return nil, err
	}
	return q, nil
}

// quote makes one quote with a loaded key.
func (s *session12) quote(handle uint32, authorize bool, req QuoteRequest) (*Quote, error) {
	name, ord := "TPM_Quote2", uint32(ordQuote2)
	params := append(bytes.Clone(req.External), selection12(req.PCRs)...)
	switch req.Kind {
	case QuoteInfo:
		name, ord = "TPM_Quote", ordQuote
	case QuoteInfo2Version:
		params = append(params, 1)
	default:
		params = append(params, 0)
	}
	var auths []*auth12
	if authorize {
		a, err := s.oiap(wellKnown[:])
		if err != nil {
			return nil, err
		}
		auths = []*auth12{a}
	}
	_, out, err := s.run(name, ord, wire.AppendU32(nil, handle), params, 0, auths...)
	if err != nil {
		s.drop(err, auths...)
		return nil, err
	}
	q, err := parseQuote12(name, out, req)
	if err != nil {
		return nil, replyError(name, err)
	}
	return q, nil
}

// parseQuote12 reads the parameters of a quote's reply:
//
//	TPM_Quote:  TPM_PCR_COMPOSITE | u32 n, signature
//	TPM_Quote2: TPM_PCR_INFO_SHORT | u32 n, TPM_CAP_VERSION_INFO | u32 n, signature
func parseQuote12(name string, out []byte, req QuoteRequest) (*Quote, error) {
	r := wire.NewReader(name+" reply", out)
	q := &Quote{Kind: req.Kind, Hash: pcr.SHA1}
	at := r.Offset()
	want := selection12(req.PCRs)
	if sel := r.Bytes(len(want)); r.Err() == nil && !bytes.Equal(sel, want) {
		r.Fail(at, fmt.Errorf("%w: it quoted other PCRs", wire.ErrValue))
	}
	var version []byte
	if req.Kind == QuoteInfo {
		at = r.Offset()
		if n := r.U32(); r.Err() == nil && n != uint32(pcr.SHA1.Size()*req.PCRs.Len()) {
			r.Fail(at, wire.ErrLength)
		}
		q.Values = make(pcr.Values, req.PCRs.Len())
		for _, i := range req.PCRs.PCRs() {
			q.Values[i] = bytes.Clone(r.Bytes(pcr.SHA1.Size()))
		}
		if r.Err() == nil {
			q.Composite = Composite12(q.Values)
		}
	} else {
		at = r.Offset()
		if l := r.U8(); r.Err() == nil && l != locality0 {
			r.Fail(at, fmt.Errorf("%w: locality 0x%02x", wire.ErrValue, l))
		}
		q.Composite = bytes.Clone(r.Bytes(pcr.SHA1.Size()))
		at = r.Offset()
		version = vec32(r)
		if r.Err() == nil && (len(version) > 0) != (req.Kind == QuoteInfo2Version) {
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
	q.Info = Info12(req.Kind, q.Composite, req.External, req.PCRs, version)
	return q, nil
}
