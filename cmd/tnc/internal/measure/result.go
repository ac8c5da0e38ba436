package measure

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/gotnc/gotnc/imc/evidence"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tpm"
)

// Result says in a word what came of the comparison of logs and TPM. The words are
// an interface for scripts.
type Result string

// Results.
const (
	Matches     Result = "matches"          // every PCR that a log extends has the TPM's value
	Differs     Result = "differs"          // one has not, or an entry contradicts itself
	Nothing     Result = "nothing_compared" // no log has an entry
	NoLog       Result = "no_log"           // the kernel offers no log
	NoTPM       Result = "no_tpm"           // the machine has none
	TPMLeftOut  Result = "tpm_left_out"     // it is not wanted
	TPMFails    Result = "tpm_unreadable"   // it is there or was named, and cannot be read
	BankMissing Result = "bank_missing"     // it has no such PCR bank
	BankLocked  Result = "bank_locked"      // it has the bank, and does not let it be read
	BankUnused  Result = "bank_unused"      // it has the bank, but nothing ever extended it
)

// ExitNothing is the exit code where a TPM is there and nothing could be compared
// with it: no log, no such bank, a bank that is locked or unused.
const ExitNothing = 3

// Uncompared is the error of an outcome in which nothing was compared, although it
// was to be.
type Uncompared struct{ Sentence string }

// Error says why nothing was compared.
func (e *Uncompared) Error() string { return "nothing was compared: " + e.Sentence }

// CommandExit returns ExitNothing.
func (e *Uncompared) CommandExit() int { return ExitNothing }

// conclude sets the result and the sentence that explains it.
func (m *Outcome) conclude() {
	say := func(r Result, format string, v ...any) { m.Result, m.Sentence = r, fmt.Sprintf(format, v...) }
	missing, left := m.without(evidence.LogMissing), m.without(evidence.LogLeftOut)
	logs := missing + left + m.without(evidence.LogEmpty)
	switch {
	case m.Result != "": // the bank
	case m.Difference != nil && m.unused():
		say(BankUnused, "nothing ever extended the TPM's bank %s: the firmware leaves it out; choose another bank with --hash", m.Bank)
	case m.Difference != nil:
		say(Differs, "%v", m.Difference)
	case m.failed != nil:
		say(TPMFails, "the TPM cannot be read: %s", m.TPMError)
	case m.TPM == nil && m.TPMError == notAsked:
		say(TPMLeftOut, "the TPM was left out")
	case m.TPM == nil:
		say(NoTPM, "there is no TPM to compare with: %s", m.TPMError)
	case len(m.PCRs) > 0:
		say(Matches, "no difference")
	case left == 2:
		say(Nothing, "both logs were left out")
	case missing > 0 && logs == 2:
		say(NoLog, "the kernel offers no log: %s", strings.Join(m.missing(), ", "))
	default:
		say(Nothing, "no log has an entry that extends a PCR of the bank %s", m.Bank)
	}
}

// without counts the logs with a code.
func (m *Outcome) without(code evidence.LogCode) (n int) {
	for _, c := range m.Components {
		if c.Code == code {
			n++
		}
	}
	return n
}

func (m *Outcome) missing() (names []string) {
	for _, c := range m.Components {
		if c.Code == evidence.LogMissing && c.Log != os.DevNull {
			names = append(names, c.Log)
		}
	}
	return names
}

// unused reports whether the TPM's PCRs of the logs are all as after a start.
func (m *Outcome) unused() bool {
	for _, p := range m.PCRs {
		value := p.TPM
		if p.PCR == 0 {
			value = strings.TrimRight(value, "34") // locality
		}
		if p.TPM == "" || strings.Trim(value, "0") != "" {
			return false
		}
	}
	return len(m.PCRs) > 0
}

// bankError returns the result for an error of reading the bank, "" where the error
// is of the TPM as a whole.
func bankError(err error) Result {
	var refused *tpm.ResponseError
	switch {
	case errors.Is(err, tpm.ErrNoBank):
		return BankMissing
	case errors.As(err, &refused):
		return BankLocked
	}
	return ""
}

// noBank notes that the bank cannot be compared.
func (m *Outcome) noBank(r Result, alg pts.HashAlgorithms, err error) {
	m.Result = r
	switch {
	case r == BankLocked:
		m.Sentence = fmt.Sprintf("the TPM does not let its bank %v be read: %v", alg, err)
	default:
		m.Sentence = err.Error()
	}
}

// uncompared returns the error for results that are no success; nil for the others.
func (m *Outcome) uncompared() error {
	switch m.Result {
	case NoLog, BankMissing, BankLocked, BankUnused:
		return &Uncompared{m.Sentence}
	case Nothing:
		if m.without(evidence.LogLeftOut) < 2 {
			return &Uncompared{m.Sentence}
		}
	}
	return nil
}
