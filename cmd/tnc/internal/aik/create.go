package aik

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/privacyca"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Create makes an attestation key.
type Create struct {
	Device
	Scheme        string // rsassa, rsapss or ecdsa
	Hash          string // sha256, sha384 or sha512
	Bits          int    // 0 = the default of the scheme
	Name          string // common name; "" = the host's name
	Out           string // folder for the files
	Replace       bool   // files, and the key at Handle
	Hierarchy     string // endorsement or owner (TPM 2.0)
	TakeOwnership bool   // of a TPM 1.2
	EKCert        string // file with the endorsement key's certificate; "" = the TPM's own
	Fetch         bool   // it from the manufacturer, where the TPM has none
	Service       string // of the manufacturer, as in "amd:https://…"; "" = its own
}

// Created is the outcome; `--json` prints it, its field names are an
// interface for scripts.
type Created struct {
	Generation  string   `json:"generation"`
	Handle      string   `json:"handle,omitempty"` // 0x81010003
	Key         string   `json:"key"`
	KeyID       string   `json:"key_id"` // SHA-1 of the SubjectPublicKeyInfo: strongSwan's Device ID
	Endorsement string   `json:"endorsement_key"`
	EKSHA256    string   `json:"endorsement_key_sha256"` // of its SubjectPublicKeyInfo
	Files       []string `json:"files"`
	Settings    string   `json:"strongswan_conf"` // with which a verifier knows the machine
	DeviceSQL   string   `json:"device_sql"`      // that makes strongSwan's verifier trust it

	trusted trusted
	handle  uint32 // of a TPM 2.0
	tpm     string // what the TPM is
	request *privacyca.Request
	blob    []byte
	public  crypto.PublicKey
}

func (o *Create) template() (tpm20.KeyTemplate, error) {
	k := tpm20.KeyTemplate{Bits: o.Bits}
	switch o.Scheme {
	case "rsassa":
		k.Scheme = tpm20.RSASSA
	case "rsapss":
		k.Scheme = tpm20.RSAPSS
	case "ecdsa":
		k.Scheme = tpm20.ECDSA
	default:
		return k, usage.Errorf("--scheme %s: not one of rsassa, rsapss, ecdsa", o.Scheme)
	}
	switch o.Hash {
	case "sha256":
		k.Hash = pcr.SHA256
	case "sha384":
		k.Hash = pcr.SHA384
	case "sha512":
		k.Hash = pcr.SHA512
	default:
		return k, usage.Errorf("--hash %s: not one of sha256, sha384, sha512", o.Hash)
	}
	return k, nil
}

// check refuses settings that mean nothing, and completes them.
func (o *Create) check() (template tpm20.KeyTemplate, err error) {
	if template, err = o.template(); err != nil {
		return template, err
	}
	if o.Hierarchy != "endorsement" && o.Hierarchy != "owner" {
		return template, usage.Errorf("--hierarchy %s: not one of endorsement, owner", o.Hierarchy)
	}
	if o.Name == "" {
		if o.Name, err = os.Hostname(); err != nil {
			return template, fmt.Errorf("--name: %w", err)
		}
	}
	if len(o.Name) > 64 || strings.ContainsAny(o.Name, "\r\n") {
		return template, usage.Errorf("--name: a common name has at most 64 octets, in one line")
	}
	if i, err := os.Stat(o.Out); err != nil || !i.IsDir() {
		return template, fmt.Errorf("--out %s: there is no such folder", o.Out)
	}
	return template, nil
}

// Run makes the key and writes the files.
func (o *Create) Run(ctx context.Context) (*Created, error) {
	template, err := o.check()
	if err != nil {
		return nil, err
	}
	t, err := o.open(ctx)
	if err != nil {
		return nil, err
	}
	defer t.Close()
	files := []string{"aik.pub", "aik.request"}
	if t.Generation() == tpm.TPM12 {
		files = append(files, "aik.blob")
	}
	if err := o.canWrite(files); err != nil { // before a key is made that nobody would know of
		return nil, err
	}
	var c *Created
	switch p := t.TPM.(type) {
	case *tpm20.TPM:
		c, err = o.create20(ctx, t, p, template)
	case *tpm12.TPM:
		c, err = o.create12(ctx, t, p)
	}
	if err != nil {
		return nil, err
	}
	c.Generation, c.tpm = t.Generation().String(), tpmName(t.info)
	c.request.Product = product(t.view)
	if err := o.write(c, files); err != nil {
		if p, ok := t.TPM.(*tpm20.TPM); ok { // nobody would know of it
			err = errors.Join(err, p.RemoveKey(ctx, c.handle, t.auth))
		}
		return nil, err
	}
	c.trusted = trusted{handle: c.Handle, tpm: t.tcti, keyID: c.KeyID, product: c.request.Product}
	if c.blob != nil {
		c.trusted.public, c.trusted.blob = absolute(c.Files[0]), absolute(c.Files[2])
	}
	c.Settings, c.DeviceSQL = c.trusted.settings(), c.trusted.sql()
	return c, nil
}

// canWrite says why the files cannot be written.
func (o *Create) canWrite(files []string) error {
	if err := writable(o.Out); err != nil {
		return fmt.Errorf("--out %s: %w", o.Out, err)
	}
	if o.Replace {
		return nil
	}
	for _, f := range files {
		if err := Absent(filepath.Join(o.Out, f)); err != nil {
			return err
		}
	}
	return nil
}

// WriteTable writes the outcome for people, with what to do next.
func (c *Created) WriteTable(w io.Writer) {
	report.Rows(w, [2]string{"TPM", c.tpm}, [2]string{"key", c.Key}, [2]string{"handle", c.Handle},
		[2]string{"key ID", c.KeyID + " (strongSwan's device ID)"}, [2]string{"endorsement key", c.Endorsement}, [2]string{"written", strings.Join(c.Files, " ")})
	c.trusted.writeSettings(w)
	c.trusted.writeVerifier(w)
	fmt.Fprintln(w, "\nThat is all without a certificate. For one, send aik.request to the privacy CA (`tnc aik issue`)\nand open its answer with `tnc aik activate`, which prints the settings with the certificate.")
}

func (o *Create) create20(ctx context.Context, t *openTPM, p *tpm20.TPM, template tpm20.KeyTemplate) (*Created, error) {
	if o.TakeOwnership {
		return nil, usage.Errorf("--take-ownership is for a TPM 1.2; this is a TPM 2.0")
	}
	ek, err := o.endorsement(ctx, t, p)
	if err != nil {
		return nil, err
	}
	var handle uint32 // not the one of strongswan.conf: that key is in use
	if o.Handle != "" {
		handle, _ = settings.ParseHandle(o.Handle)
	}
	key, err := p.CreateAK(ctx, tpm20.AKRequest{EK: ek.Type, Owner: o.Hierarchy == "owner", Template: template, Handle: handle, Replace: o.Replace && handle != 0}, t.auth)
	if err != nil {
		return nil, err
	}
	r, err := privacyca.NewRequest20(ctx, p, key.Handle, ek, o.Name)
	if err != nil {
		return nil, errors.Join(err, p.RemoveKey(ctx, key.Handle, t.auth))
	}
	return &Created{
		Handle: fmt.Sprintf("0x%08x", key.Handle), handle: key.Handle, request: r, public: key.PublicKey,
		Key: KeyName(key.PublicKey) + ", " + schemeName(key), Endorsement: endorsementName(r),
	}, nil
}

func (o *Create) create12(ctx context.Context, t *openTPM, p *tpm12.TPM) (*Created, error) {
	if o.TakeOwnership {
		if len(t.auth.Owner) == 0 {
			return nil, usage.Errorf("--take-ownership needs the new owner's password: --owner-password-file")
		}
		if err := p.TakeOwnership(ctx, t.owner()); err != nil {
			return nil, err
		}
	}
	id, err := p.MakeIdentity(ctx, t.owner(), tpm12.IdentityTemplate{Label: tpm12.LabelDigest(o.Name, nil)})
	if err != nil {
		return nil, err
	}
	r, err := privacyca.NewRequest12(ctx, p, id, o.Name, t.owner())
	if err != nil {
		return nil, err
	}
	public, err := tpm12.CheckIdentity(*id)
	if err != nil {
		return nil, err
	}
	return &Created{request: r, blob: id.Blob, public: public, Key: KeyName(public) + ", rsassa HASH_SHA1",
		Endorsement: endorsementName(r)}, nil
}

// write writes the files and fills in what they are.
func (o *Create) write(c *Created, files []string) error {
	spki, err := x509.MarshalPKIXPublicKey(c.public)
	if err != nil {
		return err
	}
	c.KeyID = KeyID(spki)
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
		path := filepath.Join(o.Out, f)
		if err := WriteNew(path, content[f], mode, o.Replace); err != nil {
			for _, written := range c.Files { // of a key that will not be
				err = errors.Join(err, os.Remove(written))
			}
			return err
		}
		c.Files = append(c.Files, path)
	}
	return nil
}
