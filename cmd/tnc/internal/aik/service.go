package aik

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/tpm/attest"
)

// service is a manufacturer's, which has the certificates of endorsement keys that
// its firmware TPMs have no room for.
type service struct {
	base string // address, ends with "/"
	path func(crypto.PublicKey) (string, error)

	client *http.Client
}

// Bounds of a fetch.
const (
	maxCertificate = 64 << 10
	fetchTimeout   = 30 * time.Second
	maxRedirects   = 3
)

// manufacturer is one that has a service.
type manufacturer struct {
	letters, name, base string
	path                func(crypto.PublicKey) (string, error)
}

// manufacturers has the services by the manufacturer's four letters (TCG TPM Vendor ID
// Registry), and by the name that --ek-cert-service has for each.
var manufacturers = []manufacturer{
	{"AMD", "amd", "https://ftpm.amd.com/pki/aia/", amdPath},
	{"INTC", "intel", "https://ekop.intel.com/ekcertservice/", intelPath},
}

// newService returns the service that a flag names, as in "amd:https://…"; empty is
// the manufacturer's own.
func newService(flag, letters string) (*service, error) {
	s := &service{client: &http.Client{Timeout: fetchTimeout}}
	name, base, named := strings.Cut(flag, ":")
	if name == "https" {
		name, base = "", flag
	}
	i := slices.IndexFunc(manufacturers, func(m manufacturer) bool {
		return name == m.name || name == "" && m.letters == strings.TrimSpace(letters)
	})
	if i < 0 {
		if name != "" {
			return nil, usage.Errorf("--ek-cert-service %s: not amd:https://… or intel:https://…", flag)
		}
		return nil, fmt.Errorf("no service of the manufacturer %q is known: get the certificate from there and name it with --ek-cert", letters)
	}
	s.base, s.path = manufacturers[i].base, manufacturers[i].path
	if named {
		s.base = strings.TrimSuffix(base, "/") + "/"
	}
	if u, err := url.Parse(s.base); err != nil || u.Host == "" || u.Scheme != "https" {
		return nil, usage.Errorf("--ek-cert-service %s: not an address that begins with https://", flag)
	}
	s.client.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects || r.URL.Scheme != "https" {
			return errors.New("it leads elsewhere too often, or to an address that is not https")
		}
		return nil
	}
	return s, nil
}

// point returns the coordinates of an ECC key, each as long as the curve's.
func point(k *ecdsa.PublicKey) ([]byte, error) {
	b, err := k.Bytes()
	if err != nil {
		return nil, err
	}
	return b[1:], nil
}

// intelPath returns what Intel's service has a certificate at: the SHA-256 of modulus
// and exponent, or of the coordinates, in base 64 for addresses.
func intelPath(key crypto.PublicKey) (string, error) {
	var hashed []byte
	switch k := key.(type) {
	case *rsa.PublicKey:
		hashed = append(k.N.FillBytes(make([]byte, k.Size())), 1, 0, 1)
	case *ecdsa.PublicKey:
		var err error
		if hashed, err = point(k); err != nil {
			return "", err
		}
	}
	sum := sha256.Sum256(hashed)
	return url.QueryEscape(base64.URLEncoding.EncodeToString(sum[:])), nil
}

// amdPath returns what AMD's service has a certificate at: the first half of the
// SHA-256 of a tag, and exponent and modulus or the coordinates, in hex.
func amdPath(key crypto.PublicKey) (string, error) {
	var hashed []byte
	switch k := key.(type) {
	case *rsa.PublicKey:
		hashed = append([]byte{0, 0, 0x22, 0x22, 0, 1, 0, 1}, k.N.FillBytes(make([]byte, k.Size()))...)
	case *ecdsa.PublicKey:
		p, err := point(k)
		if err != nil {
			return "", err
		}
		hashed = append([]byte{0, 0, 0x44, 0x44}, p...)
	}
	sum := sha256.Sum256(hashed)
	return fmt.Sprintf("%x", sum[:16]), nil
}

// fetch returns the certificate of an endorsement key in DER.
func (s *service) fetch(ctx context.Context, key crypto.PublicKey) ([]byte, error) {
	path, err := s.path(key)
	if err != nil {
		return nil, err
	}
	address := s.base + path
	der, err := s.get(ctx, address, key)
	if err != nil {
		return nil, fmt.Errorf("endorsement key's certificate from %s: %w", address, err)
	}
	return der, nil
}

func (s *service) get(ctx context.Context, address string, key crypto.PublicKey) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	rsp, err := s.client.Do(req)
	if wrong := (*url.Error)(nil); errors.As(err, &wrong) {
		err = wrong.Err // the address is said above
	}
	if err != nil {
		return nil, err
	}
	defer rsp.Body.Close()
	if rsp.StatusCode == http.StatusNotFound {
		return nil, errors.New("the manufacturer has none of this key")
	}
	if rsp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the service answers %s", rsp.Status)
	}
	b, err := io.ReadAll(io.LimitReader(rsp.Body, maxCertificate+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxCertificate {
		return nil, fmt.Errorf("more than %d octets", maxCertificate)
	}
	return attest.EndorsementCertificate(served(b), key)
}

// served returns the certificate of an answer: DER, PEM, or Intel's JSON with DER in
// base 64 for addresses.
func served(b []byte) []byte {
	var answer struct {
		Certificate string `json:"certificate"`
	}
	if json.Unmarshal(b, &answer) != nil || answer.Certificate == "" {
		return unPEM(b)
	}
	text, err := url.QueryUnescape(answer.Certificate)
	if err != nil {
		text = answer.Certificate
	}
	text = strings.TrimRight(strings.NewReplacer("+", "-", "/", "_", " ", "-").Replace(text), "=")
	der, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return unPEM(der)
}
