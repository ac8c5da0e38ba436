package profile

import (
	"context"
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/tpmkey"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// keyHashes are the hashes of IKE by those of TPMs.
var keyHashes = map[pcr.Hash]signature.Hash{
	pcr.SHA1: signature.SHA1, pcr.SHA256: signature.SHA256, pcr.SHA384: signature.SHA384, pcr.SHA512: signature.SHA512,
}

// keySchemes returns how a key in a TPM signs AUTH; nil for a key in this program.
func keySchemes(key crypto.Signer) (all []signature.Scheme) {
	k, ok := key.(*tpmkey.Key)
	if !ok {
		return nil
	}
	kind, _ := signature.KeyOf(k.Public())
	for _, s := range k.Schemes() {
		all = append(all, signature.Scheme{Key: kind, PSS: s.Scheme == tpm20.RSAPSS, Hash: keyHashes[s.Hash]})
	}
	return all
}

// inTLS are the schemes of TPMs as TLS numbers them, the preferred ones first.
var inTLS = []struct {
	scheme tpm20.SignatureScheme
	tls    tls.SignatureScheme
}{
	{tpm20.SignatureScheme{Scheme: tpm20.RSAPSS, Hash: pcr.SHA256}, tls.PSSWithSHA256}, {tpm20.SignatureScheme{Scheme: tpm20.RSAPSS, Hash: pcr.SHA384}, tls.PSSWithSHA384},
	{tpm20.SignatureScheme{Scheme: tpm20.RSAPSS, Hash: pcr.SHA512}, tls.PSSWithSHA512}, {tpm20.SignatureScheme{Scheme: tpm20.RSASSA, Hash: pcr.SHA256}, tls.PKCS1WithSHA256},
	{tpm20.SignatureScheme{Scheme: tpm20.RSASSA, Hash: pcr.SHA384}, tls.PKCS1WithSHA384}, {tpm20.SignatureScheme{Scheme: tpm20.RSASSA, Hash: pcr.SHA512}, tls.PKCS1WithSHA512},
	{tpm20.SignatureScheme{Scheme: tpm20.ECDSA, Hash: pcr.SHA256}, tls.ECDSAWithP256AndSHA256}, {tpm20.SignatureScheme{Scheme: tpm20.ECDSA, Hash: pcr.SHA384}, tls.ECDSAWithP384AndSHA384},
	{tpm20.SignatureScheme{Scheme: tpm20.ECDSA, Hash: pcr.SHA512}, tls.ECDSAWithP521AndSHA512},
}

// TLSSchemes returns how a key in a TPM signs in TLS; nil for a key in this program.
func TLSSchemes(key crypto.Signer) (all []tls.SignatureScheme) {
	k, ok := key.(*tpmkey.Key)
	if !ok {
		return nil
	}
	for _, s := range inTLS {
		if slices.Contains(k.Schemes(), s.scheme) {
			all = append(all, s.tls)
		}
	}
	return all
}

// tpmKey reports a key in the TPM that cannot be used, where no connection failed for
// it.
func (c *checker) tpmKey(e *tpmkey.Error, err error) {
	if slices.ContainsFunc(c.findings, func(have Finding) bool { return strings.Contains(have.Text, e.Error()) }) {
		return
	}
	if e.Pos != (config.Pos{}) {
		err = e.Pos.Errorf("%w", err)
	}
	c.add(Warning, tpmkey.Remedy(err), "%v", err)
}

// trySignatures has the keys in the TPM sign that the connection uses: whether a
// password is right, and PCRs are as a key needs them, shows only then.
func (c *checker) trySignatures(b *Builder) {
	for _, l := range b.Connection.Local {
		pairs, err := b.tlsPairs(l)
		if l.Auth.Class == "pubkey" {
			pairs, err = b.ownPairs(l)
		}
		if err != nil || l.Auth.Class == "psk" {
			continue
		}
		for _, o := range pairs {
			if k, ok := o.Key.(*tpmkey.Key); ok {
				c.trySignature(b, l, k)
			}
		}
	}
}

func (c *checker) trySignature(b *Builder, l *swanctl.Round, k *tpmkey.Key) {
	err := k.Check(context.Background())
	if err == nil {
		return
	}
	if errors.Is(err, tpmkey.ErrUntried) {
		c.warn(l.CertsPos.Errorf("connection %q: %w", b.Connection.Name, err))
		return
	}
	if remedy := tpmkey.Remedy(err); remedy != "" {
		err = fmt.Errorf("%w; %s", err, remedy)
	}
	c.fail(l.CertsPos.Errorf("connection %q: %w", b.Connection.Name, err))
}
