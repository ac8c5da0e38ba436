package tpm20

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
)

func TestExplain(t *testing.T) {
	for _, c := range []struct {
		code uint32
		is   error
		says string
	}{
		{0x921, command.ErrLocked, "TPM_RC_LOCKOUT"},
		{0x922, command.ErrBusy, "TPM_RC_RETRY"},
		{0x98e, ErrPassword, "the password is wrong"},
		{0x18b, attest.ErrNoKey, "there is no key at that handle"},
		{0x910, attest.ErrNoKey, "no object at that handle"},
		{0xabc, nil, "0xabc"},
	} {
		err := &command.ResponseError{Command: "TPM2_X", Code: c.code, Meaning: explain(c.code)}
		assert.ErrorContains(t, err, c.says)
		assert.Equal(t, c.is, err.Unwrap())
	}
}

func TestSchemeNames(t *testing.T) { assert.Equal(t, "rsapss", RSAPSS.String()) }
