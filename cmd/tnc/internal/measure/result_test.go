package measure

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/evidence"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tpm"
)

// Each outcome has its result, its sentence and its error.
func TestConclude(t *testing.T) {
	logs := func(codes ...evidence.LogCode) *evidence.Report {
		r := &evidence.Report{Bank: "HASH_SHA2_256"}
		for _, c := range codes {
			r.Components = append(r.Components, evidence.Component{Log: "/sys/" + string(c), Code: c})
		}
		return r
	}
	full := logs("", "")
	full.PCRs = []evidence.PCRRow{{PCR: 10, Entries: 1, TPM: "0a"}}
	broken := logs("", "")
	broken.PCRs, broken.Difference = full.PCRs, &evidence.Difference{PCR: 10, Reason: "r"}
	blank := logs("", "")
	blank.PCRs, blank.Difference = []evidence.PCRRow{{PCR: 0, TPM: "0003"}}, broken.Difference
	for _, c := range []struct {
		m      Outcome
		result Result
		says   string
		exit   int // 0: no error; 1: another error than Uncompared
	}{
		{Outcome{TPM: &TPM{}, Report: full}, Matches, "no difference", 0},
		{Outcome{TPM: &TPM{}, Report: broken}, Differs, "PCR 10", 1},
		{Outcome{TPM: &TPM{}, Report: blank}, BankUnused, "never", ExitNothing},
		{Outcome{TPM: &TPM{}, Report: logs(evidence.LogMissing, evidence.LogMissing)}, NoLog, "/sys/log_missing", ExitNothing},
		{Outcome{TPM: &TPM{}, Report: logs(evidence.LogMissing, evidence.LogEmpty)}, NoLog, "offers no log", ExitNothing},
		{Outcome{TPM: &TPM{}, Report: logs(evidence.LogEmpty, evidence.LogLeftOut)}, Nothing, "HASH_SHA2_256", ExitNothing},
		{Outcome{TPM: &TPM{}, Report: logs(evidence.LogLeftOut, evidence.LogLeftOut)}, Nothing, "left out", 0},
		{Outcome{TPMError: "no such device", Report: full}, NoTPM, "no such device", 0},
		{Outcome{TPMError: notAsked, Report: full}, TPMLeftOut, "left out", 0},
		{Outcome{TPMError: "busy", failed: errors.New("busy"), Report: full}, TPMFails, "busy", 1},
	} {
		m := c.m
		m.conclude()
		require.Equal(t, c.result, m.Result)
		if c.result == BankUnused {
			c.says = "nothing ever extended"
		}
		require.Contains(t, m.Sentence, c.says)
		var none *Uncompared
		switch err := m.Err(); c.exit {
		case 0:
			require.NoError(t, err)
		case ExitNothing:
			require.ErrorAs(t, err, &none)
			require.Equal(t, ExitNothing, none.CommandExit())
			require.Contains(t, err.Error(), m.Sentence)
		default:
			require.Error(t, err)
			require.False(t, errors.As(err, &none))
		}
	}
}

// A bank that the TPM does not have, or does not let be read, is not a TPM that fails.
func TestBankErrors(t *testing.T) {
	require.Equal(t, BankMissing, bankError(fmt.Errorf("read: %w", tpm.ErrNoBank)))
	require.Equal(t, BankLocked, bankError(fmt.Errorf("read: %w", &tpm.ResponseError{Command: "TPM2_PCR_Read"})))
	require.Empty(t, bankError(tpm.ErrTimeout))
	m := Outcome{TPM: &TPM{}, Report: &evidence.Report{}}
	m.noBank(BankLocked, pts.SHA256, errors.New("TPM_RC_PCR"))
	m.conclude()
	require.Equal(t, BankLocked, m.Result)
	require.ErrorContains(t, m.Err(), "does not let its bank HASH_SHA2_256 be read: TPM_RC_PCR")
}
