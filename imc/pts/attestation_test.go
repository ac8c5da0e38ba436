package pts

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// fakeQuoter is a TPM with SHA-1 and SHA-256 banks.
type fakeQuoter struct {
	banks    HashAlgorithms
	err      error // of Algorithms
	quoteErr error
	aikErr   error
	asked    int
	quotes   int
	external []byte
	pcrs     pcr.Selection
	alg      HashAlgorithms
}

func (f *fakeQuoter) Algorithms(context.Context) (HashAlgorithms, error) {
	f.asked++
	return f.banks, f.err
}
func (f *fakeQuoter) VersionInfo(context.Context) ([]byte, error) {
	return []byte{2, 0, 0, 3, 0, 0, 0, 138, 0, 0, 7, 0xE2, 'I', 'B', 'M', ' '}, nil
}
func (f *fakeQuoter) AIK(context.Context) (AIK, error) { return AIK{DER: []byte("cert")}, f.aikErr }
func (f *fakeQuoter) ReadPCRs(context.Context, HashAlgorithms, pcr.Selection) (pcr.Values, error) {
	return pcr.Values{0: {1}}, nil
}
func (f *fakeQuoter) Quote(_ context.Context, alg HashAlgorithms, pcrs pcr.Selection, external []byte) (Quote, error) {
	f.quotes++
	f.alg, f.pcrs, f.external = alg, pcrs, bytes.Clone(external)
	return Quote{Final: SimpleEvidenceFinal{Kind: QuoteTPM20, CompositeHash: SHA256, Composite: []byte{1}, Signature: []byte{2}},
		Values: pcr.Values{10: {9}}}, f.quoteErr
}

// fakeCollector knows ITA-HSR's component 3.
type fakeCollector struct {
	collected []ComponentName
	bank      Bank
	matchAt   int // number of the MatchQuote that agrees; 0 never
	matches   int
	err       error
	locality  uint8
	knows     bool
	algorithm HashAlgorithms
}

func (f *fakeCollector) Locality(context.Context, HashAlgorithms, []byte) (uint8, bool) {
	return f.locality, f.knows
}
func (f *fakeCollector) Collect(_ context.Context, c ComponentName, b Bank) error {
	if c.Name != 3 {
		return fmt.Errorf("x: %w", ErrNoCollector)
	}
	f.collected, f.bank = append(f.collected, c), b
	return f.err
}
func (f *fakeCollector) PCRs() pcr.Selection {
	if len(f.collected) == 0 {
		return 0
	}
	return 1 << 10
}
func (f *fakeCollector) MatchQuote(context.Context, Quote) (bool, error) {
	f.matches++
	return f.matches == f.matchAt, nil
}
func (f *fakeCollector) Drain() (out []patnc.Attribute) {
	for range f.collected {
		out = append(out, patnc.Skip(patnc.Raw{T: TypeSimpleComponentEvidence}))
	}
	return out
}
func (f *fakeCollector) Algorithm() HashAlgorithms { return f.algorithm }
func (f *fakeCollector) Reset()                    { f.collected = nil }

// negotiated returns a Machine after capabilities, algorithm and nonces.
func negotiated(t *testing.T, q *fakeQuoter, c *fakeCollector, offered HashAlgorithms) *Machine {
	t.Helper()
	cfg := Config{TPM: q}
	if c != nil {
		cfg.Collector = c
	}
	m := NewMachine(cfg)
	as := handle(t, m, RequestProtocolCapabilities{0x0E})
	require.Equal(t, ProtocolCapabilities{CapVerify | CapTPM | CapDHNonce}, as[0].Value)
	handle(t, m, MeasurementAlgorithm{offered})
	as = handle(t, m, DHNonceParametersRequest{Groups: ECP256})
	require.Equal(t, m.Algorithm(), as[0].Value.(DHNonceParametersResponse).Hashes)
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	require.NoError(t, err)
	require.Empty(t, handle(t, m, DHNonceFinish{Hash: m.Algorithm(), Nonce: make([]byte, 20), Public: key.PublicKey().Bytes()[1:]}))
	return m
}

func imaRequest(flags ComponentRequestFlags, depth uint32) RequestFunctionalComponentEvidence {
	return RequestFunctionalComponentEvidence{[]ComponentRequest{{Flags: flags, Depth: depth, Component: ComponentName{Vendor: patnc.VendorITA, Qualifier: 0x22, Name: 3}}}}
}

func TestQuoteFollowsTheEvidence(t *testing.T) {
	q, c := &fakeQuoter{banks: SHA1 | SHA256}, &fakeCollector{matchAt: 1, locality: 4, knows: true}
	m := negotiated(t, q, c, 0xF000)
	require.Equal(t, SHA256, m.Algorithm(), "cut to the banks of the TPM")
	info := handle(t, m, GetTPMVersionInformation{})[0].Value.(TPMVersionInformation).Info
	require.EqualValues(t, 4, info[3], "the locality that the event log tells")
	require.Equal(t, AIK{DER: []byte("cert")}, handle(t, m, GetAIK{})[0].Value)
	require.Empty(t, handle(t, m, imaRequest(RequestPCR, 0)))
	require.Equal(t, Bank{Algorithm: SHA256, Locality: 4, TPM: q}, c.bank)
	as := handle(t, m, GenerateAttestationEvidence{})
	require.Len(t, as, 2)
	require.Equal(t, TypeSimpleComponentEvidence, as[0].Value.Type())
	require.Equal(t, QuoteTPM20, as[1].Value.(SimpleEvidenceFinal).Kind)
	require.EqualValues(t, 1<<10, q.pcrs)
	require.Equal(t, SHA256, q.alg)
	require.Equal(t, m.secret, q.external)
	require.Len(t, q.external, 32)
	require.Equal(t, 1, q.asked)
}

func TestQuoteIsRepeatedWithinBounds(t *testing.T) {
	for settleAt, want := range map[int]int{2: 2, 3: 3, 0: maxQuotes} {
		q, c := &fakeQuoter{banks: SHA256}, &fakeCollector{matchAt: settleAt}
		m := negotiated(t, q, c, SHA256)
		waits := 0
		m.cfg.Wait = func(_ context.Context, d time.Duration) error { waits++; return nil }
		handle(t, m, imaRequest(RequestPCR, 0))
		as := handle(t, m, GenerateAttestationEvidence{})
		require.Equal(t, want, q.quotes)
		require.Equal(t, want-1, waits)
		require.Equal(t, QuoteTPM20, as[len(as)-1].Value.(SimpleEvidenceFinal).Kind, "the verifier judges")
	}
}

// A TPM that fails costs the quote, not the connection.
func TestFailingTPM(t *testing.T) {
	q, c := &fakeQuoter{banks: SHA256, quoteErr: errors.New("TPM is locked")}, &fakeCollector{}
	m := negotiated(t, q, c, SHA256)
	handle(t, m, imaRequest(RequestPCR, 0))
	as := handle(t, m, GenerateAttestationEvidence{})
	require.Len(t, as, 2)
	require.Equal(t, SimpleEvidenceFinal{Kind: QuoteNone}, as[1].Value)

	q = &fakeQuoter{err: errors.New("does not answer")}
	m = NewMachine(Config{TPM: q, Collector: c})
	require.Equal(t, ProtocolCapabilities{CapVerify}, handle(t, m, RequestProtocolCapabilities{0x0E})[0].Value)
	require.Equal(t, refuse(ErrorTPMVersionUnavailable, GetTPMVersionInformation{}), handle(t, m, GetTPMVersionInformation{})[0])
	require.Empty(t, handle(t, m, GetAIK{}))
	require.Equal(t, 1, q.asked, "a TPM that hangs is asked once in a handshake")
	require.Equal(t, refuse(ErrorPCR, imaRequest(RequestPCR, 0)), handle(t, m, imaRequest(RequestPCR, 0))[0])
	require.Empty(t, handle(t, m, imaRequest(0, 0)))
	require.Equal(t, SimpleEvidenceFinal{Kind: QuoteNone}, handle(t, m, GenerateAttestationEvidence{})[0].Value)
	m.Reset()
	handle(t, m, RequestProtocolCapabilities{0x0E})
	require.Equal(t, 2, q.asked)
}

func TestNothingToQuote(t *testing.T) {
	q, c := &fakeQuoter{banks: SHA256}, &fakeCollector{}
	m := negotiated(t, q, c, SHA256)
	handle(t, m, RequestFunctionalComponentEvidence{[]ComponentRequest{{Component: ComponentName{Vendor: patnc.VendorTCG, Name: 2}}}})
	require.Equal(t, SimpleEvidenceFinal{Kind: QuoteNone}, handle(t, m, GenerateAttestationEvidence{})[0].Value)
	require.Zero(t, q.quotes)
	m = negotiated(t, q, nil, SHA256)
	require.Len(t, handle(t, m, GenerateAttestationEvidence{}), 1)
}

// Without nonces a quote could be one of yesterday.
func TestNoQuoteWithoutNonces(t *testing.T) {
	q, c := &fakeQuoter{banks: SHA256}, &fakeCollector{matchAt: 1}
	m := NewMachine(Config{TPM: q, Collector: c})
	handle(t, m, RequestProtocolCapabilities{0x0E})
	handle(t, m, imaRequest(RequestPCR, 0))
	as := handle(t, m, GenerateAttestationEvidence{})
	require.Equal(t, QuoteNone, as[1].Value.(SimpleEvidenceFinal).Kind)
	require.Zero(t, q.quotes)
}

// The checks have the order of strongSwan's module.
func TestRequestFlags(t *testing.T) {
	q, c := &fakeQuoter{banks: SHA256}, &fakeCollector{}
	for _, x := range []struct {
		flags ComponentRequestFlags
		caps  Capabilities
		want  ErrorCode
	}{
		{0xF0, 0x1F, ErrorTransitiveTrust},
		{RequestVerify | RequestCurrent | RequestPCR, 0, ErrorLocalValidation},
		{RequestVerify | RequestCurrent, 0x1F, ErrorCurrentEvidence},
		{RequestCurrent | RequestPCR, 0, ErrorCurrentEvidence},
		{RequestPCR, CapVerify, ErrorPCR},
	} {
		m := NewMachine(Config{TPM: q, Collector: c})
		handle(t, m, RequestProtocolCapabilities{x.caps})
		request := imaRequest(x.flags, 1)
		// Processing stops at the first entry that fails.
		request.Components = append(request.Components, imaRequest(0, 0).Components...)
		require.Equal(t, []patnc.Attribute{refuse(x.want, request)}, handle(t, m, request), "%02x %v", x.flags, x.caps)
		require.Empty(t, c.collected)
	}
	m := NewMachine(Config{TPM: q, Collector: c})
	handle(t, m, RequestProtocolCapabilities{0x0E})
	_, err := m.Handle(context.Background(), imaRequest(RequestPCR|RequestVerify, 1))
	require.ErrorIs(t, err, ErrComponent)
}

// Of the banks only those that the kernel measures itself are selected, unless
// the settings name another.
func TestAlgorithmOfTheKernel(t *testing.T) {
	const all = SHA1 | SHA256 | SHA384 | SHA512
	for _, x := range []struct {
		kernel, want HashAlgorithms
		setting      string
	}{
		{SHA256, SHA256, ""}, {SHA256, SHA384, "sha384"}, {SHA384, SHA384, ""}, {SHA1, SHA384, ""},
		{0, SHA384, ""}, {SHA512, SHA384, ""}, {SHA256, SHA512, "sha512"}, {SHA512, SHA512, "sha512"},
	} {
		m := NewMachine(Config{TPM: &fakeQuoter{banks: all}, Collector: &fakeCollector{algorithm: x.kernel}, HashUpTo: x.setting})
		handle(t, m, MeasurementAlgorithm{all})
		require.Equal(t, x.want, m.Algorithm(), "%+v", x)
	}
}

func TestMissingAIK(t *testing.T) {
	for _, err := range []error{ErrNoAIK, errors.New("TPM_RC_HANDLE")} {
		m := negotiated(t, &fakeQuoter{banks: SHA256, aikErr: err}, nil, SHA256)
		require.Empty(t, handle(t, m, GetAIK{}))
	}
}

func TestComponentNames(t *testing.T) {
	require.Equal(t, "ITA-HSR functional component 'Linux IMA' [K.] 'Operating System'", imaRequest(0, 0).Components[0].Component.String())
	require.Equal(t, "TCG functional component 'BIOS' [..] 'Unknown'", ComponentName{Vendor: patnc.VendorTCG, Name: 2}.String())
	require.Equal(t, "0x000001 functional component 0x00000009 qualifier 0x3f", ComponentName{Vendor: 1, Name: 9, Qualifier: 0x3F}.String())
}
