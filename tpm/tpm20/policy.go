package tpm20

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// PolicyCommand is one step of the policy that authorizes the use of a key:
// PolicyPCR or PolicyAuthValue (TPM Library Part 3 section 23).
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
	case tpm2.TPMCCPolicyAuthValue:
		if len(parameters) != 0 {
			return c, fmt.Errorf("TPM2_PolicyAuthValue has no parameters, not %d octets", len(parameters))
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
	return c, fmt.Errorf("the policy's command 0x%03x is neither TPM2_PolicyPCR nor TPM2_PolicyAuthValue", code)
}

// Command returns the code and the parameters of the step, as ParsePolicyCommand
// takes them.
func (c PolicyCommand) Command() (code uint32, parameters []byte) {
	if c.code == tpm2.TPMCCPolicyPCR {
		parameters = append(tpm2.Marshal(c.pcr.digest), tpm2.Marshal(c.pcr.pcrs)...)
	}
	return uint32(c.code), parameters
}

// policySession is a session in which all steps were run.
func policySession(nameAlg tpm2.TPMAlgID, steps []PolicyCommand, password []byte) tpm2.Session {
	run := func(t transport.TPM, h tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
		for _, c := range steps {
			var err error
			switch c.code {
			case tpm2.TPMCCPolicyPCR:
				_, err = tpm2.PolicyPCR{PolicySession: h, PcrDigest: c.pcr.digest, Pcrs: c.pcr.pcrs}.Execute(t)
			case tpm2.TPMCCPolicyAuthValue:
				_, err = tpm2.PolicyAuthValue{PolicySession: h}.Execute(t)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return tpm2.Policy(nameAlg, 16, run, tpm2.Auth(password))
}
