package main

import (
	"context"
	"crypto"
	"crypto/sha1" //nolint:gosec // strongSwan's key identifier
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

func newAIKShow() *cobra.Command {
	var o aikOptions
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the attestation key that strongswan.conf names, and its certificate",
		Long: `Reads the attestation key from the TPM (2.0) or from its blob (1.2), compares it
with imc-attestation.aik_cert, and prints the public key last, in PEM.`,
		Example: `  sudo tnc aik show
  sudo tnc aik show --handle 0x81010003 --json | jq -r .key_id`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.show(cmd) },
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.handle, "handle", "", "persistent handle (default imc-attestation.aik_handle) (TPM 2.0)")
	f.StringVar(&o.blob, "blob", "", "file with the key (default imc-attestation.aik_blob) (TPM 1.2)")
	f.BoolVar(&o.json, "json", false, "print it as JSON")
	return cmd
}

// shownAIK is what is printed; the JSON names are an interface for scripts.
type shownAIK struct {
	Generation  string   `json:"generation"`
	Handle      string   `json:"handle,omitempty"`
	Key         string   `json:"key"`
	KeyID       string   `json:"key_id"`
	PublicKey   string   `json:"public_key"` // PEM
	Certificate string   `json:"certificate,omitempty"`
	Issuer      string   `json:"issuer,omitempty"`
	NotAfter    string   `json:"not_after,omitempty"`
	Handles     []string `json:"persistent_handles,omitempty"` // all of the TPM
}

func (o *aikOptions) show(cmd *cobra.Command) error {
	ctx := cmd.Context()
	t, err := o.open(ctx, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer t.Close()
	s := shownAIK{Generation: t.Generation().String()}
	public, err := s.key(ctx, t)
	if err != nil {
		return err
	}
	spki, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return err
	}
	sum := sha1.Sum(spki)
	s.KeyID = hex.EncodeToString(sum[:])
	s.PublicKey = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}))
	if len(t.aik.Certificate) > 0 {
		id, err := t.Identity(ctx, t.aik) // says where it is of another key
		if err != nil {
			return err
		}
		cert, err := x509.ParseCertificate(id.DER)
		if err != nil {
			return err
		}
		s.Certificate, s.Issuer, s.NotAfter = cert.Subject.String(), cert.Issuer.String(), cert.NotAfter.UTC().Format("2006-01-02T15:04:05Z")
	}
	if o.json {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(s)
	}
	certificate := "none: imc-attestation.aik_cert is not set; verifiers get the bare key"
	if s.Certificate != "" {
		certificate = fmt.Sprintf("%q, issued by %q, good until %s", s.Certificate, s.Issuer, s.NotAfter)
	}
	rows(cmd.OutOrStdout(), [2]string{"TPM", tpmName(t.info)}, [2]string{"key", s.Key}, [2]string{"handle", s.Handle},
		[2]string{"key ID", s.KeyID + " (strongSwan's device ID)"}, [2]string{"certificate", certificate})
	fmt.Fprintf(cmd.OutOrStdout(), "\n%s", s.PublicKey)
	return nil
}

// key reads the key.
func (s *shownAIK) key(ctx context.Context, t *aikTPM) (crypto.PublicKey, error) {
	if p, ok := t.TPM.(*tpm20.TPM); ok {
		handles, err := p.PersistentHandles(ctx)
		if err != nil {
			return nil, err
		}
		for _, h := range handles {
			s.Handles = append(s.Handles, fmt.Sprintf("0x%08x", h))
		}
		handle, err := t.handleOf()
		if err != nil {
			return nil, err
		}
		k, err := p.Key(ctx, handle)
		if err != nil {
			return nil, err
		}
		s.Handle, s.Key = fmt.Sprintf("0x%08x", handle), keyName(k.PublicKey)+", "+schemeName(k)
		if _, _, err := tpm20.CheckAK(k.Area); err != nil {
			s.Key += "; no attestation key: not restricted to what the TPM itself made"
		}
		return k.PublicKey, nil
	}
	blob, err := t.blobOf()
	if err != nil {
		return nil, err
	}
	k, err := tpm12.ParseKeyBlob(blob)
	if err != nil {
		return nil, err
	}
	if err := k.CheckAIK(); err != nil {
		return nil, err
	}
	public, err := k.PublicKey()
	if err != nil {
		return nil, err
	}
	s.Key = keyName(public) + ", rsassa HASH_SHA1"
	return public, nil
}
