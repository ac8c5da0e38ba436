package credential

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// Own is a private key of ours, with its certificate and what leads from that
// towards a root.
type Own struct {
	Key   crypto.Signer
	Cert  *x509.Certificate // nil: the other end knows the public key
	Chain []*x509.Certificate
}

// Store holds the private keys and certificates that are beside swanctl.conf
// or named in its secrets.
type Store struct {
	keys  []crypto.Signer
	certs []*x509.Certificate // end entities, of x509 and PKCS #12
	cas   []*x509.Certificate // for chains

	trusted []*x509.Certificate
	// Problems are files that cannot be used.
	Problems []error
}

// keyFolders are the folders of private keys beside swanctl.conf.
var keyFolders = []string{"private", "rsa", "ecdsa", "pkcs8"}

const maxKeys = 256

// Open loads every private key and certificate of the configuration. Cas are
// CAs that may be links of our own chains. A key that cannot be used is a
// problem of who needs it only.
func Open(m *swanctl.Config, cas []*x509.Certificate) *Store {
	s := &Store{cas: slices.Clone(cas)}
	named := map[string]bool{}
	for _, k := range m.Keys {
		named[k.File] = true
		if k.Kind == "pkcs12" {
			s.container(k.File, k.Passphrase)
			continue
		}
		kind := k.Kind
		if kind != "rsa" && kind != "ecdsa" {
			kind = ""
		}
		s.key(k.File, kind, k.Passphrase)
	}
	for _, folder := range append(slices.Clone(keyFolders), "pkcs12") {
		files, err := m.Files(folder)
		if err != nil {
			s.Problems = append(s.Problems, err)
		}
		for _, f := range files {
			switch {
			case named[f]:
			case folder == "pkcs12":
				s.container(f, nil)
			case folder == "rsa" || folder == "ecdsa":
				s.key(f, folder, nil)
			default:
				s.key(f, "", nil)
			}
		}
	}
	files, err := m.Files("x509")
	if err != nil {
		s.Problems = append(s.Problems, err)
	}
	for _, f := range files {
		certs, err := swanctl.LoadCertificates(f)
		if err != nil {
			s.Problems = append(s.Problems, fmt.Errorf("load certificate: %w", err))
			continue
		}
		s.certs = append(s.certs, certs[0])
		s.cas = append(s.cas, certs[1:]...)
	}
	return s
}

func (s *Store) key(file, kind string, passphrase []byte) {
	if len(s.keys) >= maxKeys {
		return
	}
	k, err := LoadKey(file, kind, passphrase)
	if err != nil {
		s.Problems = append(s.Problems, fmt.Errorf("load private key %s: %w", file, err))
		return
	}
	s.keys = append(s.keys, k)
}

func (s *Store) container(file string, passphrase []byte) {
	c, err := LoadPKCS12(file, passphrase)
	if err != nil {
		s.Problems = append(s.Problems, fmt.Errorf("load PKCS #12 container %s: %w", file, err))
		return
	}
	s.keys = append(s.keys, c.Key)
	s.certs = append(s.certs, c.Cert)
	s.cas = append(s.cas, c.CAs...)
	for _, ca := range c.CAs {
		if ca.IsCA {
			s.trusted = append(s.trusted, ca)
		}
	}
}

// Certificates are the end entity certificates of the folder x509 and of
// PKCS #12 containers.
func (s *Store) Certificates() []*x509.Certificate { return s.certs }

// CAs are the CAs of PKCS #12 containers, which are trusted as those of x509ca.
func (s *Store) CAs() []*x509.Certificate { return s.trusted }

// Of returns the credential of a certificate file: its first certificate, with
// the others of the file as its chain.
func (s *Store) Of(file string) (Own, error) {
	certs, err := swanctl.LoadCertificates(file)
	if err != nil {
		return Own{}, err
	}
	own, ok := s.own(certs[0], certs[1:])
	if !ok {
		return Own{}, s.NoKey(fmt.Sprintf("%s: no private key fits it", file))
	}
	return own, nil
}

// OfKey returns the credential of a raw public key file (SubjectPublicKeyInfo or
// PKCS #1, PEM or DER).
func (s *Store) OfKey(file string) (Own, error) {
	pub, err := LoadPublicKey(file)
	if err != nil {
		return Own{}, err
	}
	for _, k := range s.keys {
		if SamePublic(pub, k.Public()) {
			return Own{Key: k}, nil
		}
	}
	return Own{}, s.NoKey(fmt.Sprintf("%s: no private key fits it", file))
}

// All returns every certificate of ours with its key.
func (s *Store) All() (all []Own) {
	for _, c := range s.certs {
		if own, ok := s.own(c, nil); ok {
			all = append(all, own)
		}
	}
	return all
}

func (s *Store) own(c *x509.Certificate, chain []*x509.Certificate) (Own, bool) {
	for _, k := range s.keys {
		if Fits(c, k) {
			return Own{Key: k, Cert: c, Chain: Chain(c, append(slices.Clone(chain), s.cas...))}, true
		}
	}
	return Own{}, false
}

// Issuer returns the CA that issued c, of those that the store knows; nil where
// it is not there.
func (s *Store) Issuer(c *x509.Certificate) *x509.Certificate {
	for _, ca := range s.cas {
		if string(ca.RawSubject) == string(c.RawIssuer) && c.CheckSignatureFrom(ca) == nil {
			return ca
		}
	}
	return nil
}

// NoKey is the error of who found no key: what is missing, what to do, and the
// files that could not be read.
func (s *Store) NoKey(what string) error {
	what += ": put the key into the folder private, or name it in secrets"
	for _, p := range s.Problems {
		what += "; " + p.Error()
	}
	return errors.New(what)
}

const maxChain = 7

// Chain returns what of cas leads from c towards its root, without the root.
func Chain(c *x509.Certificate, cas []*x509.Certificate) (out []*x509.Certificate) {
	for len(out) < maxChain {
		i := slices.IndexFunc(cas, func(ca *x509.Certificate) bool {
			return string(ca.RawSubject) == string(c.RawIssuer) && string(ca.RawSubject) != string(ca.RawIssuer) && c.CheckSignatureFrom(ca) == nil
		})
		if i < 0 {
			break
		}
		c = cas[i]
		out = append(out, c)
	}
	return out
}

// LoadPublicKey reads a public key file: SubjectPublicKeyInfo or PKCS #1, PEM or
// DER.
func LoadPublicKey(file string) (crypto.PublicKey, error) {
	b, err := ReadFile(file)
	if err != nil {
		return nil, err
	}
	if block, _ := pem.Decode(b); block != nil && strings.HasSuffix(block.Type, "PUBLIC KEY") {
		b = block.Bytes
	}
	if k, err := x509.ParsePKIXPublicKey(b); err == nil {
		return k, nil
	}
	if k, err := x509.ParsePKCS1PublicKey(b); err == nil {
		return k, nil
	}
	return nil, fmt.Errorf("%s: it holds no public key that can be read", file)
}
