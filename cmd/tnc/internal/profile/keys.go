package profile

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/tpmkey"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
)

// keyError words the error of a local section whose private key cannot be had, with
// what to do. A file with a wrong passphrase counts most: it is probably the key.
func (b *Builder) keyError(l *swanctl.Round, what string, err error) error {
	missing := new(credential.NoKeyError)
	if !errors.As(err, &missing) {
		if remedy := tpmkey.Remedy(err); remedy != "" {
			err = fmt.Errorf("%w; %s", err, remedy)
		}
		return l.CertsPos.Errorf("%s %q: %w", what, b.Connection.Name, err)
	}
	said, locked := "", ""
	for _, p := range missing.Problems {
		switch remedy := b.passphraseRemedy(p); {
		case remedy != "":
			locked += "; " + remedy
		case errors.As(p, new(*tpmkey.Error)):
			locked += "; " + p.Error()
			if remedy := tpmkey.Remedy(p); remedy != "" {
				locked += "; " + remedy
			}
		default:
			said += "; " + p.Error()
		}
	}
	switch {
	case locked != "":
		said = locked
	case len(b.Swanctl.Tokens) > 0:
		var names []string
		for _, t := range b.Swanctl.Tokens {
			names = append(names, fmt.Sprintf("0x%08x", t.Handle))
		}
		said = fmt.Sprintf(", that in the TPM (%s) neither: correct its handle, have the TPM's key certified (`tnc key csr`), or put the key's file into the folder private", strings.Join(names, ", ")) + said
	case b.Swanctl.Folders != nil: // of ipsec.conf
		said = `: name its file in ipsec.secrets: ": RSA FILE" or ": ECDSA FILE"` + said
	default:
		said = ": put the key into the folder private, or name it in secrets" + said
	}
	return l.CertsPos.Errorf("%s %q: %s%s", what, b.Connection.Name, missing.What, said)
}

// passphraseRemedy says what to do about a file that is encrypted, and where; ""
// where that is not what is wrong.
func (p *Profile) passphraseRemedy(err error) string {
	f := new(credential.FileError)
	if !errors.As(err, &f) || !errors.Is(err, credential.ErrPassphrase) {
		return ""
	}
	ofIPsec := p.Swanctl.Folders != nil
	switch {
	case f.Secret != nil && len(f.Secret.Passphrase) > 0 && ofIPsec:
		return fmt.Sprintf("%s: %s is encrypted, and the passphrase after its name is not the right one: correct it", f.Secret.PassphrasePos, f.File)
	case f.Secret != nil && len(f.Secret.Passphrase) > 0:
		return fmt.Sprintf("%s: %s is encrypted, and the secret of secrets.%s is not its passphrase: correct it", f.Secret.PassphrasePos, f.File, f.Secret.Name)
	case f.Secret != nil && ofIPsec:
		return fmt.Sprintf("%s: %s is encrypted: write its passphrase after its name", f.Secret.Pos, f.File)
	case f.Secret != nil:
		return fmt.Sprintf("%s: %s is encrypted: add secret = \"PASSPHRASE\" to secrets.%s", f.Secret.Pos, f.File, f.Secret.Name)
	}
	folder, file := filepath.Split(f.File)
	kind := filepath.Base(folder)
	return fmt.Sprintf("%s is encrypted: add the section %s-%s with file = %s and secret = \"PASSPHRASE\" to secrets of %s",
		f.File, kind, strings.NewReplacer(".", "-", " ", "-").Replace(file), file, p.Swanctl.File)
}

// keys warns of files with keys and certificates that cannot be used, where no
// connection failed for them.
func (c *checker) keys() {
	tokens := tpmkey.New(tpmkey.FromSettings(c.Strongswan, nil))
	defer tokens.Close()
	for _, p := range credential.Open(c.Swanctl, nil, tokens).Problems {
		f, inTPM := new(credential.FileError), new(tpmkey.Error)
		if errors.As(p, &inTPM) {
			c.tpmKey(inTPM, p)
			continue
		}
		if !errors.As(p, &f) {
			c.warn(p)
			continue
		}
		said := c.passphraseRemedy(f)
		switch {
		case slices.ContainsFunc(c.findings, func(have Finding) bool { return strings.Contains(have.Text, f.File) }):
		case said != "":
			c.add(Warning, "", "%s", said)
		case f.Secret != nil:
			c.warn(f.Secret.Pos.Errorf("%w", f))
		default:
			c.warn(f)
		}
	}
}
