package aik

import (
	"cmp"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
	"github.com/gotnc/gotnc/internal/base/text"
	tpmattest "github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/privacyca"
)

// Issue certifies the attestation key of a request, as a privacy CA.
type Issue struct {
	CACert  string   // file with the certificate of the privacy CA
	CAKey   string   // file with its private key
	EKCAs   []string // files or folders with CA certificates of TPM manufacturers
	EKKeys  []string // SHA-256 of endorsement keys that are known otherwise, in hex
	Name    string   // common name; "" = what the request asks for
	Product string   // of the machine, for the verifier's database; "" = what the request says
	Days    int      // how long the certificate is valid
	Out     string   // file for the answer
	CertOut string   // file for a copy of the certificate; "" = none
	Replace bool     // those files
	JSON    bool     // print Certified

	Logger *slog.Logger // nil discards
}

// maxDays bounds --days: a century.
const maxDays = 36500

// issuer reads the certificates and keys.
func (o *Issue) issuer() (*privacyca.Issuer, error) {
	if o.CACert == "" || o.CAKey == "" {
		return nil, usage.Errorf("tnc aik issue needs --ca-cert and --ca-key")
	}
	if o.Days < 1 || o.Days > maxDays {
		return nil, usage.Errorf("--days %d: not from 1 to %d", o.Days, maxDays)
	}
	certs, err := swanctl.LoadCertificates(o.CACert)
	if err != nil {
		return nil, usage.FileError(o.CACert, "--ca-cert", err)
	}
	i := &privacyca.Issuer{Certificate: certs[0], Name: o.Name, Validity: time.Duration(o.Days) * 24 * time.Hour}
	if i.Key, err = credential.LoadKey(o.CAKey, "", nil); err != nil {
		if errors.Is(err, credential.ErrPassphrase) {
			err = errors.New("the key is encrypted: decrypt it with `openssl pkey`")
		}
		return nil, usage.FileError(o.CAKey, "--ca-key", err)
	}
	if !tpmattest.EqualKeys(i.Certificate.PublicKey, i.Key.Public()) {
		return nil, fmt.Errorf("--ca-key %s is not the key of --ca-cert %s", o.CAKey, o.CACert)
	}
	i.Trust, err = o.trust()
	return i, err
}

// trust reads which TPMs are trusted.
func (o *Issue) trust() (t privacyca.Trust, err error) {
	var cas []*x509.Certificate
	for _, file := range o.EKCAs {
		c, err := loadCAs(file, o.Logger)
		if err != nil {
			return t, usage.FileError(file, "--ek-ca", err)
		}
		cas = append(cas, c...)
	}
	t = privacyca.NewTrust(cas)
	for _, k := range o.EKKeys {
		b, err := hex.DecodeString(strings.ReplaceAll(k, ":", ""))
		if err != nil || len(b) != sha256.Size {
			return t, usage.Errorf("--ek-sha256 %s: not 32 octets in hex", k)
		}
		t.Keys = append(t.Keys, [sha256.Size]byte(b))
	}
	return t, nil
}

// Run answers the request in file, and says to w what was certified.
func (o *Issue) Run(w io.Writer, file string) error {
	i, err := o.issuer()
	if err != nil {
		return err
	}
	b, err := usage.ReadFile(file)
	if err != nil {
		return usage.FileError(file, "REQUEST", err)
	}
	if privacyca.IsKeyRequest(b) {
		return o.issueKey(w, i, file, b)
	}
	if len(o.EKCAs)+len(o.EKKeys) == 0 {
		return errNoTrust
	}
	if o.Out == "" {
		o.Out = "aik.answer"
	}
	r, err := privacyca.ParseRequest(b)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if !o.Replace { // before a certificate is made that nobody gets
		if err := cmp.Or(Absent(o.Out), Absent(o.CertOut)); err != nil {
			return err
		}
	}
	answer, cert, err := i.Issue(time.Now(), r)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if o.CertOut != "" {
		if err := WriteNew(o.CertOut, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o644, o.Replace); err != nil {
			return err
		}
	}
	if err := WriteNew(o.Out, answer.Encode(), 0o644, o.Replace); err != nil {
		return err
	}
	known := trusted{keyID: KeyID(cert.RawSubjectPublicKeyInfo), product: cmp.Or(o.Product, r.Product), issuer: o.CACert}
	if o.JSON {
		return writeCertified(w, cert, &trusted{keyID: known.keyID, product: known.product}, o.Out, o.CertOut)
	}
	ek := sha256.Sum256(r.EK)
	report.Rows(w, [2]string{"certified", fmt.Sprintf("%q until %s", cert.Subject, cert.NotAfter.Format("2006-01-02"))},
		[2]string{"key", KeyName(cert.PublicKey)}, [2]string{"key ID", KeyID(cert.RawSubjectPublicKeyInfo) + " (strongSwan's device ID)"},
		[2]string{"TPM", fmt.Sprintf("%v, endorsement key %v, SHA-256 %x", r.Generation, r.EKType, ek)}, [2]string{"answer", o.Out})
	known.writeVerifier(w)
	return nil
}

// errNoTrust says that no TPM is trusted.
var errNoTrust = usage.Errorf("no TPM is trusted: name the CAs of TPM manufacturers with --ek-ca, or known TPMs with --ek-sha256")

// issueKey answers the request for a key that an attestation key certified.
func (o *Issue) issueKey(w io.Writer, i *privacyca.Issuer, file string, b []byte) error {
	if o.Out == "" {
		o.Out = "key.crt"
	}
	r, err := privacyca.ParseKeyRequest(b)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if !o.Replace {
		if err := Absent(o.Out); err != nil {
			return err
		}
	}
	cert, aik, err := i.IssueKey(time.Now(), r)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := WriteNew(o.Out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o644, o.Replace); err != nil {
		return err
	}
	names := slices.Concat(cert.DNSNames, cert.EmailAddresses)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	for _, u := range cert.URIs {
		names = append(names, u.String())
	}
	if o.JSON {
		return writeCertified(w, cert, nil, o.Out)
	}
	report.Rows(w, [2]string{"certified", fmt.Sprintf("%q until %s", cert.Subject, cert.NotAfter.Format("2006-01-02"))},
		[2]string{"names", text.Printable(strings.Join(names, " "))}, [2]string{"key", KeyName(cert.PublicKey)},
		[2]string{"TPM", fmt.Sprintf("that of the attestation key %q, key ID %s", aik.Subject, KeyID(aik.RawSubjectPublicKeyInfo))}, [2]string{"certificate", o.Out})
	return nil
}
