package profile

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
)

// askTries is how often a passphrase is asked for.
const askTries = 3

// AskSecrets asks for what the connection needs and no file holds: the password of
// an EAP identity, the passphrase of an encrypted private key. What is answered is
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

// askPassphrase asks for the passphrases of encrypted keys as long as a round that
// signs has none.
func (p *Profile) askPassphrase(ctx context.Context, l *swanctl.Round, ask func(context.Context, string) ([]byte, error)) error {
	if l.Auth.Class != "pubkey" && len(l.Certs) == 0 {
		return nil
	}
	store := credential.Open(p.Swanctl, nil, nil)
	for _, locked := range lockedFiles(store) {
		if hasKey(store, l) {
			return nil
		}
		k := locked.Secret
		if k == nil {
			k = &swanctl.PrivateKey{Kind: filepath.Base(filepath.Dir(locked.File)), Name: "asked", Pos: l.Pos, PassphrasePos: l.Pos, File: locked.File}
			p.Swanctl.Keys = append(p.Swanctl.Keys, k)
		}
		prompt := "Passphrase of " + locked.File
		for range askTries {
			b, err := ask(ctx, prompt)
			if err != nil {
				return err
			}
			if k.Passphrase = b; len(b) == 0 {
				break
			}
			store = credential.Open(p.Swanctl, nil, nil)
			if !slices.ContainsFunc(store.Problems, func(err error) bool {
				f := new(credential.FileError)
				return errors.As(err, &f) && f.File == locked.File && errors.Is(err, credential.ErrPassphrase)
			}) {
				break
			}
			k.Passphrase, prompt = nil, "That was not it. Passphrase of "+locked.File
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
