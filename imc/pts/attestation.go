package pts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// maxQuotes bounds the quotes of one Generate Attestation Evidence: a second
// one is made where the measurements that came meanwhile extended PCRs that the
// first does not cover, or do not lead to it.
const maxQuotes = 3

// quoteWait is the time between two quotes of one request.
const quoteWait = 50 * time.Millisecond

// Version information of a TPM 2.0, strongSwan's form.
const (
	tpm20Tag         = 0x02 // the first octet; that of a TPM 1.2 is 0
	tpm20VersionSize = 16
	tpm20Locality    = 3 // offset
)

// findTPM asks once in a handshake which banks the TPM has, and cuts the
// measurement algorithms to them.
func (m *Machine) findTPM(ctx context.Context) {
	if m.tpmAsked || m.cfg.TPM == nil {
		return
	}
	m.tpmAsked = true
	banks, err := m.cfg.TPM.Algorithms(ctx)
	switch {
	case errors.Is(err, ErrNoTPM):
		log.Detailf(m.log, "%v", err)
		return
	case err != nil:
		log.Infof(m.log, "TPM cannot be used, the connection goes on without it: %v", err)
		return
	}
	m.tpm = m.cfg.TPM
	m.own |= CapTPM | CapDHNonce
	if cut := m.hashes & banks; cut != m.hashes {
		log.Detailf(m.log, "PCR banks of the TPM: %v", banks)
		m.hashes = cut
	}
	m.cutToKernel(ctx)
	m.alg = m.hashes.Strongest()
}

// cutToKernel leaves out the algorithms stronger than the kernel's own, unless
// the settings name one: kernels do not measure into every bank that a TPM has
// (Debian 12's neither SHA-384 nor SHA-512), and strongSwan's verifier refuses a
// boot aggregate that is not of the selected algorithm. SHA-1 alone is nothing to
// fall back to.
func (m *Machine) cutToKernel(ctx context.Context) {
	if m.cfg.HashUpTo != "" || m.cfg.Collector == nil {
		return
	}
	own := m.cfg.Collector.Algorithm()
	if own == SHA1 || own != own.Strongest() || m.hashes&own == 0 {
		return
	}
	// A stronger algorithm is a lower bit.
	if cut := m.hashes &^ (own - 1); cut != m.hashes {
		log.Detailf(m.log, "the kernel measures with %v: stronger algorithms are not selected", own)
		m.hashes = cut
	}
}

// forgetTPM drops what is known of the TPM, as part of Reset.
func (m *Machine) forgetTPM() {
	m.tpm, m.tpmAsked = nil, false
	m.locality = 0
	m.own = CapVerify
	m.hashes = m.cfg.algorithms()
	if m.cfg.Collector != nil {
		m.cfg.Collector.Reset()
	}
}

func (m *Machine) tpmVersion(ctx context.Context, v GetTPMVersionInformation) []patnc.Attribute {
	m.findTPM(ctx)
	if m.tpm == nil {
		m.log.Info("no TPM available")
		return one(refuse(ErrorTPMVersionUnavailable, v))
	}
	info, err := m.tpm.VersionInfo(ctx)
	if err != nil {
		log.Infof(m.log, "TPM Version Information unavailable: %v", err)
		return one(refuse(ErrorTPMVersionUnavailable, v))
	}
	info = clone(info)
	if len(info) == tpm20VersionSize && info[0] == tpm20Tag {
		// The verifier's PCR 0 starts from what this says.
		if l, ok := m.startupLocality(ctx); ok {
			info[tpm20Locality] = l
		}
		m.locality = info[tpm20Locality]
		log.Detailf(m.log, "TPM 2.0 - startup locality: %d", m.locality)
	}
	return one(patnc.Skip(TPMVersionInformation{Info: info}))
}

// startupLocality returns the locality that the event log and PCR 0 tell.
func (m *Machine) startupLocality(ctx context.Context) (uint8, bool) {
	if m.cfg.Collector == nil {
		return 0, false
	}
	values, err := m.tpm.ReadPCRs(ctx, m.alg, pcr.Select(0))
	if err != nil {
		log.Infof(m.log, "error occurred while reading PCR: 0: %v", err)
	}
	return m.cfg.Collector.Locality(ctx, m.alg, values[0])
}

func (m *Machine) aik(ctx context.Context) []patnc.Attribute {
	m.findTPM(ctx)
	if m.tpm == nil {
		log.Infof(m.imc, "%v", ErrNoAIK)
		return nil
	}
	aik, err := m.tpm.AIK(ctx)
	switch {
	case errors.Is(err, ErrNoAIK):
		log.Infof(m.imc, "%v", ErrNoAIK)
		return nil
	case err != nil:
		log.Infof(m.imc, "%v: %v", ErrNoAIK, err)
		return nil
	}
	return one(patnc.Skip(aik))
}

// components measures the requested components, or answers the first entry
// whose flags ask for what was not negotiated; the checks have strongSwan's
// order.
func (m *Machine) components(ctx context.Context, v RequestFunctionalComponentEvidence) ([]patnc.Attribute, error) {
	log.Infof(m.imc, "evidence requested for %d functional components", len(v.Components))
	for _, c := range v.Components {
		log.Detailf(m.log, "* %v", c.Component)
		for _, check := range [...]struct {
			flag  ComponentRequestFlags
			needs Capabilities
			code  ErrorCode
		}{
			{RequestTransitiveTrust, 0, ErrorTransitiveTrust},
			{RequestVerify, CapVerify, ErrorLocalValidation},
			{RequestCurrent, CapCurrent, ErrorCurrentEvidence},
			{RequestPCR, CapTPM, ErrorPCR},
		} {
			if c.Flags&check.flag != 0 && m.caps&check.needs == 0 {
				return one(refuse(check.code, v)), nil
			}
		}
		if c.Depth > 0 {
			return nil, fmt.Errorf("sub-component depth %d: %w", c.Depth, ErrComponent)
		}
		if m.cfg.Collector == nil || m.tpm == nil {
			log.Detailf(m.log, "    %v", ErrNoCollector)
			continue
		}
		err := m.cfg.Collector.Collect(ctx, c.Component, Bank{Algorithm: m.alg, Locality: m.locality, TPM: m.tpm})
		switch {
		case errors.Is(err, ErrNoCollector):
			log.Detailf(m.log, "    %v", ErrNoCollector)
		case ctx.Err() != nil:
			return nil, fmt.Errorf("collect evidence of %v: %w", c.Component, err)
		case err != nil:
			log.Infof(m.log, "evidence of %v: %v", c.Component, err)
		}
	}
	return nil, nil
}

// generate answers with the evidence and a quote over the PCRs that it extends.
// A TPM that fails costs the quote, not the connection.
func (m *Machine) generate(ctx context.Context) ([]patnc.Attribute, error) {
	final := SimpleEvidenceFinal{Kind: QuoteNone}
	c := m.cfg.Collector
	if c == nil {
		return one(patnc.Skip(final)), nil
	}
	switch {
	case m.tpm == nil || c.PCRs() == 0:
		// Nothing was measured, so there is nothing to quote.
	case len(m.secret) == 0:
		m.log.Info("no D-H nonces were exchanged: a quote would not be fresh, none is made")
	default:
		for n := 1; ; n++ {
			if !m.quotes.allow(m.now()) {
				m.log.Info("more quotes than a verifier may ask for: the evidence leaves without quote")
				break
			}
			q, err := m.tpm.Quote(ctx, m.alg, c.PCRs(), m.secret)
			if err != nil {
				log.Infof(m.log, "error occurred during TPM quote operation, the evidence leaves without quote: %v", err)
				break
			}
			final = q.Final
			matched, err := c.MatchQuote(ctx, q)
			if err != nil {
				log.Infof(m.log, "evidence and quote: %v", err)
			}
			if matched || err != nil || n == maxQuotes {
				if !matched {
					m.log.Info("the evidence does not lead to the quoted PCR values")
				}
				break
			}
			if err := m.cfg.wait(ctx, quoteWait); err != nil {
				return nil, err
			}
		}
	}
	return append(c.Drain(), patnc.Skip(final)), nil
}
