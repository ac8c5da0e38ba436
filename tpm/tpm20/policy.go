package tpm20

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/gotnc/gotnc/tpm/command"
)

// PolicyCommand is one step of the policy that authorizes the use of a key:
// PolicyPCR, PolicyAuthValue or PolicyPassword (TPM Library Part 3 section 23).
type PolicyCommand struct {
	code tpm2.TPMCC
	pcr  policyPCR
}

// policyPCR is the parameters of TPM2_PolicyPCR as key files have them.
type policyPCR struct {
	digest tpm2.TPM2BDigest
	pcrs   tpm2.TPMLPCRSelection
}

// maxPolicy is how many steps a policy may have.
const maxPolicy = 8

// ParsePolicyCommand reads a step as key files have it: the command's code and its
// parameters without the session's handle.
func ParsePolicyCommand(code uint32, parameters []byte) (PolicyCommand, error) {
	c := PolicyCommand{code: tpm2.TPMCC(code)}
	switch c.code {
	case tpm2.TPMCCPolicyAuthValue, tpm2.TPMCCPolicyPassword:
		if len(parameters) != 0 {
			return c, fmt.Errorf("TPM2_PolicyAuthValue and TPM2_PolicyPassword have no parameters, not %d octets", len(parameters))
		}
		return c, nil
	case tpm2.TPMCCPolicyPCR:
		digest, err := tpm2.Unmarshal[tpm2.TPM2BDigest](parameters)
		if err != nil {
			return c, fmt.Errorf("TPM2_PolicyPCR: digest: %w", err)
		}
		pcrs, err := tpm2.Unmarshal[tpm2.TPMLPCRSelection](parameters[2+len(digest.Buffer):])
		if err != nil {
			return c, fmt.Errorf("TPM2_PolicyPCR: selection: %w", err)
		}
		c.pcr = policyPCR{*digest, *pcrs}
		return c, nil
	}
	return c, fmt.Errorf("the policy's command 0x%03x is not TPM2_PolicyPCR, TPM2_PolicyAuthValue or TPM2_PolicyPassword", code)
}

// Command returns the code and the parameters of the step, as ParsePolicyCommand
// takes them.
func (c PolicyCommand) Command() (code uint32, parameters []byte) {
	if c.code == tpm2.TPMCCPolicyPCR {
		parameters = append(tpm2.Marshal(c.pcr.digest), tpm2.Marshal(c.pcr.pcrs)...)
	}
	return uint32(c.code), parameters
}

// takesPassword reports whether a policy asks for the key's password.
func takesPassword(steps []PolicyCommand) bool {
	return slices.ContainsFunc(steps, func(c PolicyCommand) bool {
		return c.code == tpm2.TPMCCPolicyAuthValue || c.code == tpm2.TPMCCPolicyPassword
	})
}

// policyPassword is TPM2_PolicyPassword without the session's handle, which go-tpm does
// not have (TPM Library Part 3 section 23.18).
var policyPassword = []byte{0x80, 0x01, 0, 0, 0, 14, 0, 0, 0x01, 0x8c}

// startPolicy returns a session in which all steps were run; the TPM forgets it with
// the next command that it authorizes. The caller flushes it where there is none.
func (s *session) startPolicy(nameAlg tpm2.TPMAlgID, steps []PolicyCommand, password []byte) (tpm2.Session, error) {
	var options []tpm2.AuthOption
	run := func(t transport.TPM, h tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
		for _, c := range steps {
			var err error
			switch c.code {
			case tpm2.TPMCCPolicyPCR:
				if _, err = (tpm2.PolicyPCR{PolicySession: h, PcrDigest: c.pcr.digest, Pcrs: c.pcr.pcrs}).Execute(t); valueError(err) {
					err = fmt.Errorf("%w: %w", ErrPCRs, err)
				}
			case tpm2.TPMCCPolicyAuthValue:
				_, err = tpm2.PolicyAuthValue{PolicySession: h}.Execute(t)
			case tpm2.TPMCCPolicyPassword:
				_, err = t.Send(binary.BigEndian.AppendUint32(slices.Clone(policyPassword), uint32(h)))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	for _, c := range steps {
		switch c.code {
		case tpm2.TPMCCPolicyAuthValue:
			options = append(options, tpm2.Auth(password))
		case tpm2.TPMCCPolicyPassword:
			options = append(options, tpm2.Password(password))
		}
	}
	p := tpm2.Policy(nameAlg, 16, run, options...)
	if err := p.Init(s); err != nil {
		s.flushPolicy(p)
		return nil, err
	}
	return p, nil
}

// flushPolicy removes a session that authorized nothing.
func (s *session) flushPolicy(p tpm2.Session) {
	if p == nil || p.Handle() == tpm2.TPMRHNull {
		return
	}
	forget := *s
	forget.ctx = context.WithoutCancel(s.ctx)
	_, _ = tpm2.FlushContext{FlushHandle: p.Handle()}.Execute(&forget) // where it fails the TPM has no such session
}

// valueError reports whether err is TPM_RC_VALUE of a parameter.
func valueError(err error) bool {
	re := new(command.ResponseError)
	return errors.As(err, &re) && re.Name == "TPM_RC_VALUE"
}
