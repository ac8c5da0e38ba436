package credential

import (
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// KeyPair is a private key with its certificate and the intermediate CAs of that.
type KeyPair struct {
	Key   crypto.Signer
	Cert  *x509.Certificate   // nil where the peer knows the public key
	Chain []*x509.Certificate // from the issuer of Cert upwards, without the root
}

// Store holds the private keys and certificates from the folders next to
// swanctl.conf and from its section secrets.
type Store struct {
	keys  []crypto.Signer
	certs []*x509.Certificate // end entities, from x509 and PKCS #12
	cas   []*x509.Certificate // for chains

	trusted []*x509.Certificate

	tokens Tokens
	// Problems has an error for each file that cannot be used, a *FileError where
	// it is about one.
	Problems []error
}

// FileError is the error of a file that cannot be used.
type FileError struct {
	What   string // "private key", "PKCS #12 container", "certificate"
	File   string
	Secret *swanctl.PrivateKey // of secrets, which names the file; nil where none does
	Err    error               // ErrPassphrase, …
}

func (e *FileError) Error() string { return fmt.Sprintf("load %s %s: %v", e.What, e.File, e.Err) }
func (e *FileError) Unwrap() error { return e.Err }

// NoKeyError is the error where there is no private key for what has to be signed.
type NoKeyError struct {
	What     string  // sentence
	Problems []error // of the Store: one of the files may hold it
}

func (e *NoKeyError) Error() string {
	what := e.What
	for _, p := range e.Problems {
		what += "; " + p.Error()
	}
	return what
}

// keyFolders are the folders of private keys next to swanctl.conf.
var keyFolders = []string{"private", "rsa", "ecdsa", "pkcs8"}

// maxKeys bounds the private keys of a store.
const maxKeys = 256

// Open loads every private key and certificate of the configuration. Cas are
// further CAs for the chains of KeyPairs; tokens has the keys in a TPM, nil where they
// are not to be used. A file or key that cannot be used is recorded in Problems.
func Open(m *swanctl.Config, cas []*x509.Certificate, tokens Tokens) *Store {
	if tokens == nil {
		tokens = noTokens{}
	}
	s := &Store{cas: slices.Clone(cas), tokens: tokens}
	named := map[string]bool{}
	for _, k := range m.Keys {
		named[k.File] = true
		if k.Kind == "pkcs12" {
			s.addContainer(k.File, k)
			continue
		}
		kind := k.Kind
		if kind != "rsa" && kind != "ecdsa" {
			kind = ""
		}
		s.addKey(k.File, kind, k)
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
				s.addContainer(f, nil)
			case folder == "rsa" || folder == "ecdsa":
				s.addKey(f, folder, nil)
			default:
				s.addKey(f, "", nil)
			}
		}
	}
	for _, t := range m.Tokens {
		k, err := tokens.Key(t)
		if err != nil {
			s.Problems = append(s.Problems, err)
			continue
		}
		s.keys = append(s.keys, k)
	}
	files, err := m.Files("x509")
	if err != nil {
		s.Problems = append(s.Problems, err)
	}
	for _, f := range files {
		certs, err := swanctl.LoadCertificates(f)
		if err != nil {
			s.Problems = append(s.Problems, &FileError{What: "certificate", File: f, Err: err})
			continue
		}
		s.certs = append(s.certs, certs[0])
		s.cas = append(s.cas, certs[1:]...)
	}
	return s
}

// addKey loads a private key file; of is its section of secrets, nil where it has
// none.
func (s *Store) addKey(file, kind string, of *swanctl.PrivateKey) {
	if len(s.keys) >= maxKeys {
		return
	}
	k, err := s.loadKey(file, kind, of)
	if err != nil {
		s.Problems = append(s.Problems, &FileError{"private key", file, of, err})
		return
	}
	s.keys = append(s.keys, k)
}

// loadKey reads a private key file, of this program or of a TPM.
func (s *Store) loadKey(file, kind string, of *swanctl.PrivateKey) (crypto.Signer, error) {
	b, err := ReadFile(file)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	if !IsTPMFile(b) {
		return ParseKey(b, kind, passphrase(of))
	}
	k, err := s.tokens.FileKey(file, b, of)
	if err != nil {
		return nil, err
	}
	_, isRSA := k.Public().(*rsa.PublicKey)
	if kind == "rsa" && !isRSA || kind == "ecdsa" && isRSA {
		return nil, fmt.Errorf("it holds a key of another kind than %s", kind)
	}
	return k, nil
}

// LoadCertificates returns the certificates of a file, or the one in the TPM that an
// entry of swanctl.Round.Certs names.
func (s *Store) LoadCertificates(name string) ([]*x509.Certificate, error) {
	index, ok := swanctl.TokenIndex(name)
	if !ok {
		return swanctl.LoadCertificates(name)
	}
	c, err := s.tokens.Certificate(index)
	if err != nil {
		return nil, err
	}
	return []*x509.Certificate{c}, nil
}

func passphrase(of *swanctl.PrivateKey) []byte {
	if of == nil {
		return nil
	}
	return of.Passphrase
}

// addContainer loads a PKCS #12 file.
func (s *Store) addContainer(file string, of *swanctl.PrivateKey) {
	c, err := LoadPKCS12(file, passphrase(of))
	if err != nil {
		s.Problems = append(s.Problems, &FileError{"PKCS #12 container", file, of, err})
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

// Certificates returns the end entity certificates of the folder x509 and of
// PKCS #12 containers.
func (s *Store) Certificates() []*x509.Certificate { return s.certs }

// CAs returns the CAs of PKCS #12 containers, which are trusted as those of x509ca.
func (s *Store) CAs() []*x509.Certificate { return s.trusted }

// Of returns the KeyPair of a certificate file: of its first certificate, with the
// others of the file for the chain.
func (s *Store) Of(file string) (KeyPair, error) {
	certs, err := s.LoadCertificates(file)
	if err != nil {
		return KeyPair{}, err
	}
	pair, ok := s.pair(certs[0], certs[1:])
	if !ok {
		return KeyPair{}, s.NoKey(file + ": no private key fits it")
	}
	return pair, nil
}

// OfKey returns the KeyPair of a raw public key file (SubjectPublicKeyInfo or
// PKCS #1, PEM or DER), which has no certificate.
func (s *Store) OfKey(file string) (KeyPair, error) {
	pub, err := LoadPublicKey(file)
	if err != nil {
		return KeyPair{}, err
	}
	for _, k := range s.keys {
		if SamePublic(pub, k.Public()) {
			return KeyPair{Key: k}, nil
		}
	}
	return KeyPair{}, s.NoKey(file + ": no private key fits it")
}

// All returns the KeyPair of every certificate that has a private key.
func (s *Store) All() (all []KeyPair) {
	for _, c := range s.certs {
		if pair, ok := s.pair(c, nil); ok {
			all = append(all, pair)
		}
	}
	return all
}

// pair returns the KeyPair of a certificate; false where no key fits it.
func (s *Store) pair(c *x509.Certificate, chain []*x509.Certificate) (KeyPair, bool) {
	for _, k := range s.keys {
		if Fits(c, k) {
			return KeyPair{Key: k, Cert: c, Chain: Chain(c, append(slices.Clone(chain), s.cas...))}, true
		}
	}
	return KeyPair{}, false
}

// Issuer returns the CA that issued c; nil where the store does not hold it.
func (s *Store) Issuer(c *x509.Certificate) *x509.Certificate {
	for _, ca := range s.cas {
		if string(ca.RawSubject) == string(c.RawIssuer) && c.CheckSignatureFrom(ca) == nil {
			return ca
		}
	}
	return nil
}

// NoKey returns the error for a key that is missing, as what says.
func (s *Store) NoKey(what string) error { return &NoKeyError{what, s.Problems} }

// maxChain bounds the length of a chain.
const maxChain = 7

// Chain returns the CAs from the issuer of c upwards, without the root.
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

// LoadPublicKey reads a public key file: SubjectPublicKeyInfo or PKCS #1, in PEM or
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
