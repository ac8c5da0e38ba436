package tpm

import (
	"context"

	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// TPM is one TPM of either generation, a *tpm12.TPM or a *tpm20.TPM. Its methods
// may be called from several goroutines; they run one after the other, each
// bounded by its context and by the transport's own time limit.
type TPM interface {
	// Generation returns which commands the TPM understands.
	Generation() Generation
	// Info describes the TPM.
	Info(ctx context.Context) (Info, error)
	// VersionInfo returns the octets of the TPM Version Information attribute:
	// TPM_CAP_VERSION_INFO of a TPM 1.2, strongSwan's 16-octet form of a 2.0.
	VersionInfo(ctx context.Context) ([]byte, error)
	// Banks returns the hash algorithms that have a PCR bank with all of PCR 0
	// to 23, weakest first. A TPM 1.2 has SHA1.
	Banks(ctx context.Context) ([]pcr.Hash, error)
	// ReadPCRs returns values of one bank. The error wraps ErrNoBank where the
	// TPM has no such bank.
	ReadPCRs(ctx context.Context, bank pcr.Hash, pcrs pcr.Selection) (pcr.Values, error)
	// Identity returns what the AIK attribute carries: the certificate where
	// there is one, else the public key.
	Identity(ctx context.Context, aik AIK) (Identity, error)
	// Quote signs PCRs and external data with the AIK.
	Quote(ctx context.Context, req QuoteRequest) (*Quote, error)
	// Close closes the transport. Closing again does nothing.
	Close() error
}

var (
	_ TPM = (*tpm12.TPM)(nil)
	_ TPM = (*tpm20.TPM)(nil)
)

// Types of package attest, which both generations share.
type (
	AIK          = attest.AIK
	Generation   = attest.Generation
	Identity     = attest.Identity
	Info         = attest.Info
	Quote        = attest.Quote
	QuoteKind    = attest.QuoteKind
	QuoteRequest = attest.QuoteRequest
)

// Constants of package attest.
const (
	TPM12 = attest.TPM12
	TPM20 = attest.TPM20

	NoQuote           = attest.NoQuote
	QuoteInfo         = attest.QuoteInfo
	QuoteInfo2        = attest.QuoteInfo2
	QuoteInfo2Version = attest.QuoteInfo2Version
	QuoteTPM20        = attest.QuoteTPM20
)

// Types of package command.
type (
	ResponseError = command.ResponseError
	Retry         = command.Retry
	Transport     = command.Transport
)

// Causes; errors of this package and of those below wrap one of them where it
// applies.
var (
	ErrNoTPM    = command.ErrNoTPM
	ErrInUse    = command.ErrInUse
	ErrGone     = command.ErrGone
	ErrTimeout  = command.ErrTimeout
	ErrBusy     = command.ErrBusy
	ErrLocked   = command.ErrLocked
	ErrReply    = command.ErrReply
	ErrNoBank   = attest.ErrNoBank
	ErrExternal = attest.ErrExternal
	ErrNoKey    = attest.ErrNoKey
	ErrKeyUnset = attest.ErrKeyUnset
	ErrNoOwner  = tpm12.ErrNoOwner
)
