package pts

import (
	"context"
	"errors"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// Causes that a Quoter and a Collector report.
var (
	ErrNoTPM       = errors.New("no TPM available")
	ErrNoAIK       = errors.New("no AIK certificate or public key available")
	ErrNoCollector = errors.New("not registered: no evidence provided")
)

// Quote is a quote in the form in which it leaves, with what it covers.
type Quote struct {
	Final SimpleEvidenceFinal
	// Values are the PCRs that the quote covers, as they were when it was made; nil
	// where they changed around it.
	Values pcr.Values
	// Where Values is nil, Stable are the PCRs that did not change, and Covers reports
	// whether values of all PCRs are those of the quote.
	Stable pcr.Values
	Covers func(pcr.Values) bool
}

// Quoter is the TPM as a Machine uses it. It may be called by several Machines
// at once, bounds the time of each call, and reaches the TPM when it is first
// needed.
type Quoter interface {
	// Algorithms returns those that the TPM has a PCR bank of. An error means
	// that there is no TPM to use; it wraps ErrNoTPM where the machine has none.
	Algorithms(ctx context.Context) (HashAlgorithms, error)
	// VersionInfo returns the value of TPM Version Information.
	VersionInfo(ctx context.Context) ([]byte, error)
	// AIK returns the Attestation Identity Key; the error wraps ErrNoAIK where
	// none is configured.
	AIK(ctx context.Context) (AIK, error)
	// ReadPCRs returns the values of a bank's PCRs.
	ReadPCRs(ctx context.Context, alg HashAlgorithms, pcrs pcr.Selection) (pcr.Values, error)
	// Quote signs PCRs of a bank and the external data with the AIK.
	Quote(ctx context.Context, alg HashAlgorithms, pcrs pcr.Selection, external []byte) (Quote, error)
}

// Bank is what a Collector measures for.
type Bank struct {
	Algorithm HashAlgorithms
	Locality  uint8 // from which the TPM was started; 0 with TPM 1.2
	TPM       Quoter
}

// Collector gathers the evidence of functional components for one Machine.
type Collector interface {
	// Algorithm returns that in which the kernel measures and of which its boot
	// aggregate is: verifiers want both to be of one bank. 0 where there is none.
	Algorithm() HashAlgorithms
	// Locality returns the start-up locality that the machine's event log tells,
	// or with which it leads to the value of PCR 0; false where neither does.
	Locality(ctx context.Context, alg HashAlgorithms, pcr0 []byte) (locality uint8, ok bool)
	// Collect measures a component and keeps its evidence. The error wraps
	// ErrNoCollector for a component that is not known. What was collected
	// before an error is kept, as strongSwan does.
	Collect(ctx context.Context, c ComponentName, b Bank) error
	// PCRs returns those that the evidence extends: what a quote has to cover.
	PCRs() pcr.Selection
	// MatchQuote makes the evidence that of the PCR values in the quote: measurements
	// that the quote does not cover are left out, and those that came meanwhile are
	// added. It reports false where evidence and quote do not agree, or the
	// quote lacks a PCR of the evidence.
	MatchQuote(ctx context.Context, q Quote) (bool, error)
	// Drain returns the evidence in order and drops it.
	Drain() []patnc.Attribute
	// Reset drops all evidence.
	Reset()
}
