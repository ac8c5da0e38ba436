package profile

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
	"github.com/gotnc/gotnc/tpm/keyfile"
)

// askTries is how often a passphrase is asked for.
const askTries = 3

// AskSecrets asks for what the connection needs and no file holds: the password of
// an EAP identity, the passphrase of an encrypted private key, the password of a TPM's
// key whose file says that it has one. What is answered is
// kept in memory, as if it stood in the section secrets. What is left empty stays
// missing.
func (p *Profile) AskSecrets(ctx context.Context, ask func(ctx context.Context, prompt string) ([]byte, error)) error {
	for _, l := range p.Connection.Local {
		if err := p.askPassword(ctx, l, ask); err != nil {
			return err
		}
		if err := p.askPassphrase(ctx, l, ask); err != nil {
			return err
		}
	}
	return nil
}

// askPassword asks for the password of a round of EAP that has no other proof.
func (p *Profile) askPassword(ctx context.Context, l *swanctl.Round, ask func(context.Context, string) ([]byte, error)) error {
	name := l.EAPIdentity()
	if l.Auth.Class != "eap" || l.Auth.Method == "tls" || len(l.Certs) > 0 || name == "" {
		return nil
	}
	if _, ok := p.Swanctl.Secret("eap", name); ok {
		return nil
	}
	b, err := ask(ctx, fmt.Sprintf("Password of %s for %s", name, p.Connection.Name))
	if err == nil && len(b) > 0 {
		p.Swanctl.Secrets = append(p.Swanctl.Secrets, &swanctl.SharedSecret{Kind: "eap", Name: "asked", Pos: l.Pos, IDs: []string{name}, Secret: b})
	}
	return err
}

// askPassphrase asks for the passphrases of encrypted keys, and the passwords of a
// TPM's, as long as a round that signs has no key.
func (p *Profile) askPassphrase(ctx context.Context, l *swanctl.Round, ask func(context.Context, string) ([]byte, error)) error {
	if l.Auth.Class != "pubkey" && len(l.Certs) == 0 {
		return nil
	}
	store := credential.Open(p.Swanctl, nil, namedKeys{})
	for _, locked := range lockedFiles(store) {
		if hasKey(store, l) {
			return nil
		}
		k := locked.Secret
		if k == nil {
			k = &swanctl.PrivateKey{Kind: filepath.Base(filepath.Dir(locked.File)), Name: "asked", Pos: l.Pos, PassphrasePos: l.Pos, File: locked.File}
			p.Swanctl.Keys = append(p.Swanctl.Keys, k)
		}
		k.Asked = true
		what := "Passphrase of "
		if errors.Is(locked, errPassword) {
			what = "Password of the TPM's key "
		}
		prompt := what + locked.File
		for range askTries {
			b, err := ask(ctx, prompt)
			if err != nil {
				return err
			}
			if k.Passphrase = b; len(b) == 0 {
				break
			}
			store = credential.Open(p.Swanctl, nil, namedKeys{})
			if !slices.ContainsFunc(store.Problems, func(err error) bool {
				f := new(credential.FileError)
				return errors.As(err, &f) && f.File == locked.File && errors.Is(err, credential.ErrPassphrase)
			}) {
				break
			}
			k.Passphrase, prompt = nil, "That was not it. "+what+locked.File
		}
	}
	return nil
}

// lockedFiles are the encrypted files of a store that no passphrase is set for.
func lockedFiles(store *credential.Store) (out []*credential.FileError) {
	for _, err := range store.Problems {
		f := new(credential.FileError)
		if errors.As(err, &f) && errors.Is(err, credential.ErrPassphrase) && (f.Secret == nil || len(f.Secret.Passphrase) == 0) {
			out = append(out, f)
		}
	}
	return out
}

// namedKeys are the keys of a TPM as far as files say what they are: no TPM is asked.
type namedKeys struct{}

var (
	// errPassword is a file of a TPM's key that has a password.
	errPassword = fmt.Errorf("%w of the TPM's key", credential.ErrPassphrase)
	errNoFile   = errors.New("the TPM alone knows")
)

func (namedKeys) Key(*swanctl.Token) (crypto.Signer, error)           { return nil, errNoFile }
func (namedKeys) Certificate(index uint32) (*x509.Certificate, error) { return nil, errNoFile }
func (namedKeys) FileKey(_ string, content []byte, of *swanctl.PrivateKey) (crypto.Signer, error) {
	if keyfile.IsBlob(content) { // it does not say whether its password is the well-known one
		return nil, errNoFile
	}
	w, err := keyfile.Parse(content)
	if err != nil {
		return nil, err
	}
	if w.NeedsPassword() && (of == nil || len(of.Passphrase) == 0) {
		return nil, errPassword
	}
	public, err := w.PublicKey()
	return publicKey{public}, err
}

// publicKey is a key that does not sign.
type publicKey struct{ public crypto.PublicKey }

func (k publicKey) Public() crypto.PublicKey { return k.public }
func (publicKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errNoFile
}

// hasKey reports whether a store has the private key of a round.
func hasKey(store *credential.Store, l *swanctl.Round) bool {
	if len(l.Certs) == 0 {
		return len(store.All()) > 0
	}
	return slices.ContainsFunc(l.Certs, func(file string) bool {
		_, err := store.Of(file)
		return err == nil
	})
}
