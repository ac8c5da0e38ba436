// Package keyfile reads and writes files of TPM keys: "TSS2 PRIVATE KEY" in PEM, as
// tpm2-tools, tpm2-openssl, openssl_tpm2_engine and gnutls write it for a TPM 2.0
// (draft-woodhouse-cert-best-practice, ASN.1 Specification for TPM 2.0 Key Files), and
// "TSS KEY BLOB", as openssl_tpm_engine writes it for a TPM 1.2. Such a file holds the
// public and the wrapped private part of a key: it is of use with the TPM that made it
// alone.
package keyfile

import (
	"bytes"
	"encoding/pem"
	"fmt"

	upstream "github.com/foxboron/go-tpm-keyfiles"
	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// PEMType is the type of the PEM block of a TPM 2.0's key.
const PEMType = "TSS2 PRIVATE KEY"

// MaxSize is the most octets of a file that Parse reads.
const MaxSize = 64 << 10

// Is reports whether b, of any size, has a PEM block of a TPM 2.0's key.
func Is(b []byte) bool { return bytes.Contains(b, []byte("-----BEGIN "+PEMType+"-----")) }

// Parse reads the first key of a PEM file. It takes loadable keys; keys that are
// still to be imported and sealed data are refused, as are policies other than
// PolicyPCR, PolicyAuthValue and PolicyPassword. The error is a *gotnc.DecodeError.
func Parse(b []byte) (key tpm20.WrappedKey, err error) {
	bad := func(format string, args ...any) (tpm20.WrappedKey, error) {
		return tpm20.WrappedKey{}, &gotnc.DecodeError{Element: PEMType, Err: fmt.Errorf(format, args...)}
	}
	if len(b) > MaxSize {
		return bad("%d octets, more than %d", len(b), MaxSize)
	}
	block, _ := pem.Decode(b)
	for rest := b; block != nil && block.Type != PEMType; {
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return bad("no PEM block of that type")
	}
	defer func() { // the decoder of go-tpm
		if p := recover(); p != nil {
			key, err = bad("%v", p)
		}
	}()
	k, err := upstream.Parse(block.Bytes)
	if err != nil {
		return bad("%v", err)
	}
	switch {
	case k.Keytype.Equal(upstream.OIDImportableKey):
		return bad("the key is still to be imported into a TPM (tpm2_import)")
	case k.Keytype.Equal(upstream.OIDSealedKey):
		return bad("it holds sealed data, not a key")
	case len(k.AuthPolicy) > 0 && len(k.Policy) == 0:
		return bad("it has alternative policies (authPolicy) only")
	}
	key = tpm20.WrappedKey{Public: tpm2.Marshal(k.Pubkey), Private: tpm2.Marshal(k.Privkey), Parent: uint32(k.Parent), EmptyAuth: k.EmptyAuth}
	for _, p := range k.Policy {
		c, err := tpm20.ParsePolicyCommand(uint32(p.CommandCode), p.CommandPolicy)
		if err != nil {
			return bad("%v", err)
		}
		key.Policy = append(key.Policy, c)
	}
	return key, nil
}

// Marshal returns the PEM file of a key.
func Marshal(key tpm20.WrappedKey) ([]byte, error) {
	public, err := tpm2.Unmarshal[tpm2.TPM2BPublic](key.Public)
	if err != nil {
		return nil, fmt.Errorf("write key file: public part: %w", err)
	}
	private, err := tpm2.Unmarshal[tpm2.TPM2BPrivate](key.Private)
	if err != nil {
		return nil, fmt.Errorf("write key file: private part: %w", err)
	}
	k := &upstream.TPMKey{
		Keytype: upstream.OIDLoadableKey, EmptyAuth: key.EmptyAuth, Parent: tpm2.TPMHandle(key.Parent), Pubkey: *public, Privkey: *private,
	}
	for _, c := range key.Policy {
		code, parameters := c.Command()
		k.Policy = append(k.Policy, &upstream.TPMPolicy{CommandCode: int(code), CommandPolicy: parameters})
	}
	var out bytes.Buffer
	if err := upstream.Encode(&out, k); err != nil {
		return nil, fmt.Errorf("write key file: %w", err)
	}
	return out.Bytes(), nil
}
