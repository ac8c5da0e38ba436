package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // strongSwan's key identifier
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/imc/evidence/quoter"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/privacyca"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

type aikCreate struct {
	aikOptions
	scheme, hash, name, out string
	bits                    int
	replace, takeOwnership  bool
}

func newAIKCreate() *cobra.Command {
	var o aikCreate
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make an attestation key, and the request for its certificate",
		Long: `Makes an attestation key in the TPM and writes into --out:

  aik.pub      its public key, PEM
  aik.request  for the privacy CA: ` + "`tnc aik issue`" + `. It holds a PKCS #10 certificate
               request too (TPM 2.0), which any CA can certify
  aik.blob     the key itself, which only this TPM can load (TPM 1.2)

A TPM 2.0 keeps the key at a persistent handle. A TPM 1.2 must have an owner and a
storage root key with the well-known secret; --take-ownership makes that so.`,
		Example: `  sudo tnc aik create
  sudo tnc aik create --scheme ecdsa --name laptop17 --out /etc/swanctl/aik
  sudo tnc aik create --take-ownership --owner-password-file /root/tpm-owner    # TPM 1.2`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return o.run(cmd) },
	}
	o.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.scheme, "scheme", "rsassa", "signature scheme: rsassa, ecdsa, or rsapss, which strongSwan's verifier does not know (TPM 2.0)")
	f.StringVar(&o.hash, "hash", "sha256", "hash of the scheme: sha256, sha384 or sha512 (TPM 2.0)")
	f.IntVar(&o.bits, "bits", 0, "of the RSA modulus (default 2048) or of the curve (default 256) (TPM 2.0)")
	f.StringVar(&o.handle, "handle", "", "persistent handle (default the first free one from 0x81010003) (TPM 2.0)")
	f.StringVar(&o.ek, "ek", "auto", "endorsement key: auto is the one that the TPM has a certificate of; rsa, ecc, ecc384 (TPM 2.0)")
	f.StringVar(&o.name, "name", "", "common name for the certificate (default the host's name)")
	f.StringVar(&o.out, "out", ".", "folder for the files")
	f.BoolVar(&o.replace, "replace", false, "replace files, and the key at --handle")
	f.BoolVar(&o.takeOwnership, "take-ownership", false, "make the holder of --owner-password-file the TPM's owner (TPM 1.2)")
	f.BoolVar(&o.json, "json", false, "print the outcome as JSON")
	return cmd
}

// createdAIK is the outcome; `--json` prints it, its field names are an
// interface for scripts.
type createdAIK struct {
	Generation  string   `json:"generation"`
	Handle      string   `json:"handle,omitempty"` // 0x81010003
	Key         string   `json:"key"`
	KeyID       string   `json:"key_id"` // SHA-1 of the SubjectPublicKeyInfo: strongSwan's Device ID
	Endorsement string   `json:"endorsement_key"`
	EKSHA256    string   `json:"endorsement_key_sha256"` // of its SubjectPublicKeyInfo
	Files       []string `json:"files"`
	handle      uint32   // of a TPM 2.0
	request     *privacyca.Request
	blob        []byte
	public      crypto.PublicKey
}

func (o *aikCreate) template() (tpm20.KeyTemplate, error) {
	k := tpm20.KeyTemplate{Bits: o.bits}
	switch o.scheme {
	case "rsassa":
		k.Scheme = tpm20.RSASSA
	case "rsapss":
		k.Scheme = tpm20.RSAPSS
	case "ecdsa":
		k.Scheme = tpm20.ECDSA
	default:
		return k, usage.Errorf("--scheme %s: not one of rsassa, rsapss, ecdsa", o.scheme)
	}
	switch o.hash {
	case "sha256":
		k.Hash = pcr.SHA256
	case "sha384":
		k.Hash = pcr.SHA384
	case "sha512":
		k.Hash = pcr.SHA512
	default:
		return k, usage.Errorf("--hash %s: not one of sha256, sha384, sha512", o.hash)
	}
	return k, nil
}

func (o *aikCreate) run(cmd *cobra.Command) error {
	template, err := o.template()
	if err != nil {
		return err
	}
	if o.name == "" {
		if o.name, err = os.Hostname(); err != nil {
			return fmt.Errorf("--name: %w", err)
		}
	}
	if len(o.name) > 64 || strings.ContainsAny(o.name, "\r\n") {
		return usage.Errorf("--name: a common name has at most 64 octets, in one line")
	}
	if i, err := os.Stat(o.out); err != nil || !i.IsDir() {
		return fmt.Errorf("--out %s: there is no such folder", o.out)
	}
	ctx := cmd.Context()
	t, err := o.open(ctx, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer t.Close()
	files := []string{"aik.pub", "aik.request"}
	if t.Generation() == tpm.TPM12 {
		files = append(files, "aik.blob")
	}
	if err := writable(o.out); err != nil { // before a key is made, as below
		return fmt.Errorf("--out %s: %w", o.out, err)
	}
	if !o.replace { // before a key is made that nobody would know of
		for _, f := range files {
			if err := absent(filepath.Join(o.out, f)); err != nil {
				return err
			}
		}
	}
	var c *createdAIK
	switch p := t.TPM.(type) {
	case *tpm20.TPM:
		c, err = o.create20(ctx, t, p, template)
	case *tpm12.TPM:
		c, err = o.create12(ctx, t, p)
	}
	if err != nil {
		return err
	}
	c.Generation = t.Generation().String()
	if err := o.write(c, files); err != nil {
		if p, ok := t.TPM.(*tpm20.TPM); ok { // nobody would know of it
			err = errors.Join(err, p.RemoveKey(ctx, c.handle, t.auth))
		}
		return err
	}
	if o.json {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(c)
	}
	rows(cmd.OutOrStdout(), [2]string{"TPM", tpmName(t.info)}, [2]string{"key", c.Key}, [2]string{"handle", c.Handle},
		[2]string{"key ID", c.KeyID + " (strongSwan's device ID)"}, [2]string{"endorsement key", c.Endorsement}, [2]string{"written", strings.Join(c.Files, " ")})
	if c.blob != nil {
		sayInConf(cmd.OutOrStdout(), "aik_blob", absolute(filepath.Join(o.out, "aik.blob")))
	} else {
		sayInConf(cmd.OutOrStdout(), "aik_handle", c.Handle)
	}
	fmt.Fprintln(cmd.OutOrStdout(), "\nThen send aik.request to the privacy CA, and open its answer with `tnc aik activate`.")
	return nil
}

func (o *aikCreate) create20(ctx context.Context, t *aikTPM, p *tpm20.TPM, template tpm20.KeyTemplate) (*createdAIK, error) {
	if o.takeOwnership {
		return nil, usage.Errorf("--take-ownership is for a TPM 1.2; this is a TPM 2.0")
	}
	ek, err := parseEK(o.ek, func() (tpm20.KeyType, error) { return p.CertifiedKeyType(ctx) })
	if err != nil {
		return nil, err
	}
	var handle uint32 // not the one of strongswan.conf: that key is in use
	if o.handle != "" {
		handle, _ = quoter.ParseHandle(o.handle)
	}
	if o.replace && handle != 0 { // the old key goes only where the new one can be certified
		if _, err := p.EndorsementKey(ctx, ek, t.auth); err != nil {
			return nil, err
		}
	}
	key, err := p.CreateAK(ctx, tpm20.AKRequest{EK: ek, Template: template, Handle: handle, Replace: o.replace && handle != 0}, t.auth)
	if err != nil {
		return nil, err
	}
	r, err := privacyca.NewRequest20(ctx, p, key.Handle, ek, o.name, t.auth)
	if err != nil {
		return nil, errors.Join(err, p.RemoveKey(ctx, key.Handle, t.auth))
	}
	return &createdAIK{
		Handle: fmt.Sprintf("0x%08x", key.Handle), handle: key.Handle, request: r, public: key.PublicKey,
		Key: keyName(key.PublicKey) + ", " + schemeName(key), Endorsement: endorsementName(r),
	}, nil
}

func (o *aikCreate) create12(ctx context.Context, t *aikTPM, p *tpm12.TPM) (*createdAIK, error) {
	if o.takeOwnership {
		if len(t.auth.Owner) == 0 {
			return nil, usage.Errorf("--take-ownership needs the new owner's password: --owner-password-file")
		}
		if err := p.TakeOwnership(ctx, t.owner()); err != nil {
			return nil, err
		}
	}
	id, err := p.MakeIdentity(ctx, t.owner(), tpm12.IdentityTemplate{Label: tpm12.LabelDigest(o.name, nil)})
	if err != nil {
		return nil, err
	}
	r, err := privacyca.NewRequest12(ctx, p, id, o.name, t.owner())
	if err != nil {
		return nil, err
	}
	public, err := tpm12.CheckIdentity(*id)
	if err != nil {
		return nil, err
	}
	return &createdAIK{request: r, blob: id.Blob, public: public, Key: keyName(public) + ", rsassa HASH_SHA1",
		Endorsement: endorsementName(r)}, nil
}

// write writes the files and fills in what they are.
func (o *aikCreate) write(c *createdAIK, files []string) error {
	spki, err := x509.MarshalPKIXPublicKey(c.public)
	if err != nil {
		return err
	}
	sum := sha1.Sum(spki)
	c.KeyID = hex.EncodeToString(sum[:])
	ek := sha256.Sum256(c.request.EK)
	c.EKSHA256 = hex.EncodeToString(ek[:])
	request, err := c.request.Encode()
	if err != nil {
		return err
	}
	content := map[string][]byte{
		"aik.pub": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki}), "aik.request": request, "aik.blob": c.blob,
	}
	for _, f := range files {
		mode := os.FileMode(0o644)
		if f == "aik.blob" {
			mode = 0o600
		}
		path := filepath.Join(o.out, f)
		if err := writeNew(path, content[f], mode, o.replace); err != nil {
			for _, written := range c.Files { // of a key that will not be
				err = errors.Join(err, os.Remove(written))
			}
			return err
		}
		c.Files = append(c.Files, path)
	}
	return nil
}

func absolute(path string) string {
	if a, err := filepath.Abs(path); err == nil {
		return a
	}
	return path
}

func tpmName(i tpm.Info) string {
	return fmt.Sprintf("%s %s %s, revision %s, firmware %s", i.Generation, i.Manufacturer, i.Vendor, i.Revision, i.Firmware)
}

func keyName(k crypto.PublicKey) string {
	switch k := k.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", k.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECC " + k.Params().Name
	}
	return fmt.Sprintf("%T", k)
}

// schemeName names how a key signs.
func schemeName(k *tpm20.Key) string {
	if k.Scheme == 0 {
		return "any scheme"
	}
	return fmt.Sprintf("%v %v", k.Scheme, k.Hash)
}

// endorsementName says who vouches for the TPM.
func endorsementName(r *privacyca.Request) string {
	c, err := x509.ParseCertificate(r.EKCertificate)
	if err != nil {
		return fmt.Sprintf("%v, without certificate: the privacy CA has to know this TPM, by --ek-sha256 %x", r.EKType, sha256.Sum256(r.EK))
	}
	return fmt.Sprintf("%v, certified by %q until %s", r.EKType, c.Issuer, c.NotAfter.Format("2006-01-02"))
}
