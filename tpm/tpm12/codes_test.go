package tpm12

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gotnc/gotnc/tpm/command"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		code uint32
		is   error
		says string
	}{
		{0x803, command.ErrLocked, "TPM_DEFEND_LOCK_RUNNING"},
		{7, command.ErrLocked, "it is disabled"},
		{0x12, ErrNoOwner, "TPM_NOSRK"},
		{0x21, nil, "another TPM"},
		{0xabc, nil, "0xabc"},
	} {
		err := &command.ResponseError{Command: "TPM_X", Code: c.code, Meaning: explain(c.code)}
		assert.ErrorContains(t, err, c.says)
		assert.Equal(t, c.is, err.Unwrap())
	}
}
