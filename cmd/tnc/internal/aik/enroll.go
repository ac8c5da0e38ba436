package aik

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/tpm/privacyca"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Enroll makes an attestation key and gets it certified over HTTPS.
type Enroll struct {
	Create
	CA     string        // address of the privacy CA
	CAFile string        // certificates that the server's is checked with; "" = the system's
	Renew  bool          // the certificate that is there
	Before time.Duration // its end it is renewed
	Wait   time.Duration // for a person's approval
	JSON   bool          // print Certified
}

// ErrPending is returned while a person has not approved the request.
var ErrPending = errors.New("the privacy CA has not approved the request yet")

// certificateFile is where the certificate is.
func (o *Enroll) certificateFile() string { return filepath.Join(o.Out, "aik.crt") }

// Run enrolls, and says to w what came of it.
func (o *Enroll) Run(ctx context.Context, w io.Writer) error {
	client, err := o.client()
	if err != nil {
		return err
	}
	if o.Renew {
		return o.renew(ctx, client, w)
	}
	if err := Absent(o.certificateFile()); err != nil && !o.Replace {
		return fmt.Errorf("%s exists already: give --renew, or another --out", o.certificateFile())
	}
	request, err := usage.ReadFile(filepath.Join(o.Out, "aik.request"))
	if err != nil || o.Replace { // else an earlier run waits for its answer
		if _, err := o.Create.Run(ctx); err != nil {
			return err
		}
		if request, err = usage.ReadFile(filepath.Join(o.Out, "aik.request")); err != nil {
			return err
		}
	}
	answer, err := client.ask(ctx, request, o.Wait)
	if err != nil {
		return err
	}
	t, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	if err := o.find(ctx, t, request); err != nil {
		return err
	}
	return o.activate(ctx, t, answer, w)
}

// find finds the key of a request in the TPM, or its file.
func (o *Enroll) find(ctx context.Context, t *openTPM, request []byte) error {
	p, ok := t.TPM.(*tpm20.TPM)
	if !ok {
		o.Blob = filepath.Join(o.Out, "aik.blob")
		var err error
		t.aik.Blob, err = usage.ReadFile(o.Blob)
		return err
	}
	r, err := privacyca.ParseRequest(request)
	if err != nil {
		return err
	}
	handles, err := p.PersistentHandles(ctx)
	if err != nil {
		return err
	}
	for _, h := range handles {
		if k, err := p.Key(ctx, h); err == nil && bytes.Equal(k.Area, r.Area) {
			t.aik.Handle = h
			return nil
		}
	}
	return fmt.Errorf("the key of %s is not in the TPM: give --replace to make another", filepath.Join(o.Out, "aik.request"))
}

// activate opens the answer and writes the certificate.
func (o *Enroll) activate(ctx context.Context, t *openTPM, answer []byte, w io.Writer) error {
	a, err := privacyca.ParseAnswer(answer)
	if err != nil {
		return fmt.Errorf("%s: %w", o.CA, err)
	}
	act := Activate{Device: o.Device, Out: o.certificateFile(), Replace: o.Replace || o.Renew, JSON: o.JSON}
	cert, err := act.certificate(ctx, t, a)
	if err != nil {
		return err
	}
	return act.write(w, t, cert)
}

// renew gets another certificate for the key where the present one ends soon.
func (o *Enroll) renew(ctx context.Context, client *enrolClient, w io.Writer) error {
	certs, err := swanctl.LoadCertificates(o.certificateFile())
	if err != nil {
		return usage.FileError(o.certificateFile(), "--out", err)
	}
	old := certs[0]
	if left := time.Until(old.NotAfter); left > o.Before {
		if o.JSON {
			return writeCertified(w, old, nil)
		}
		_, err := fmt.Fprintf(w, "the certificate of %q is good until %s: nothing to do before %s\n", old.Subject, old.NotAfter.Format(time.DateOnly), old.NotAfter.Add(-o.Before).Format(time.DateOnly))
		return err
	}
	t, err := o.open(ctx)
	if err != nil {
		return err
	}
	defer t.Close()
	p, ok := t.TPM.(*tpm20.TPM)
	if !ok {
		return errors.New("a TPM 1.2 proves that a key is its own when it makes it: enroll again, with --replace")
	}
	handle, err := t.keyHandle()
	if err != nil {
		return err
	}
	ek, err := o.endorsement(ctx, t, p)
	if err != nil {
		return err
	}
	r, err := privacyca.NewRequest20(ctx, p, handle, ek, old.Subject.CommonName)
	if err != nil {
		return err
	}
	r.Product = product(t.view)
	request, err := r.Encode()
	if err != nil {
		return err
	}
	if kept, err := usage.ReadFile(filepath.Join(o.Out, "renew.request")); err == nil && sameKey(kept, r) {
		request = kept // for the answer of a person to that one
	}
	answer, err := client.ask(ctx, request, o.Wait)
	if errors.Is(err, ErrPending) {
		return errors.Join(err, WriteNew(filepath.Join(o.Out, "renew.request"), request, 0o644, true))
	}
	if err != nil {
		return err
	}
	if err := o.activate(ctx, t, answer, w); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(o.Out, "renew.request")); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// sameKey reports whether a request is for the key of r.
func sameKey(request []byte, r *privacyca.Request) bool {
	old, err := privacyca.ParseRequest(request)
	return err == nil && bytes.Equal(old.Area, r.Area) && bytes.Equal(old.EK, r.EK)
}

// enrolClient speaks to a privacy CA.
type enrolClient struct {
	address string
	http    *http.Client
	poll    time.Duration // least time between two requests
}

// Bounds of the client.
const (
	askTimeout = time.Minute
	maxPoll    = 5 * time.Minute
	leastPoll  = 5 * time.Second
)

func (o *Enroll) client() (*enrolClient, error) {
	u, err := url.Parse(o.CA)
	if o.CA == "" || err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, usage.Errorf("--ca: the address of the privacy CA, as in https://ca.example.org:8443")
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		certs, err := swanctl.LoadCertificates(o.CAFile)
		if err != nil {
			return nil, usage.FileError(o.CAFile, "--ca-file", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		for _, c := range certs {
			cfg.RootCAs.AddCert(c)
		}
	}
	return &enrolClient{
		address: strings.TrimSuffix(o.CA, "/") + enrolPath, poll: leastPoll,
		http: &http.Client{
			Timeout: askTimeout, Transport: &http.Transport{TLSClientConfig: cfg, Proxy: http.ProxyFromEnvironment},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// ask sends a request until it is answered, while a person has to approve it for at
// most the time wait.
func (c *enrolClient) ask(ctx context.Context, request []byte, wait time.Duration) ([]byte, error) {
	end := time.Now().Add(wait)
	for {
		answer, again, err := c.send(ctx, request)
		if !errors.Is(err, ErrPending) || time.Now().Add(again).After(end) {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(again):
		}
	}
}

// send sends a request once; again says when to ask again where the error is
// ErrPending.
func (c *enrolClient) send(ctx context.Context, request []byte) (answer []byte, again time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.address, bytes.NewReader(request))
	if err != nil {
		return nil, 0, err
	}
	req.Header.Set("Content-Type", "application/x-pem-file")
	rsp, err := c.http.Do(req)
	if wrong := (*url.Error)(nil); errors.As(err, &wrong) {
		err = fmt.Errorf("%s: %w", c.address, wrong.Err)
	}
	if err != nil {
		return nil, 0, err
	}
	defer rsp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(rsp.Body, privacyca.MaxFile+1))
	if err == nil && len(b) > privacyca.MaxFile {
		err = fmt.Errorf("the answer has more than %d octets", privacyca.MaxFile)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", c.address, err)
	}
	said := text.Clip(text.Printable(strings.TrimSpace(string(b))), 500)
	switch rsp.StatusCode {
	case http.StatusOK:
		return b, 0, nil
	case http.StatusAccepted:
		seconds, _ := strconv.Atoi(rsp.Header.Get("Retry-After"))
		return nil, min(max(time.Duration(seconds)*time.Second, c.poll), maxPoll), fmt.Errorf("%w: %s", ErrPending, said)
	}
	return nil, 0, fmt.Errorf("%s: the privacy CA refuses (%d): %s", c.address, rsp.StatusCode, said)
}

// write writes the certificate and says what it is and needs.
func (o *Activate) write(w io.Writer, t *openTPM, cert *x509.Certificate) error {
	if err := WriteNew(o.Out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), 0o644, o.Replace); err != nil {
		return err
	}
	k := t.trusted(cert)
	k.certificate = absolute(o.Out)
	if o.Blob != "" {
		k.blob, k.public = absolute(o.Blob), absolute(filepath.Join(filepath.Dir(o.Blob), "aik.pub"))
	}
	if o.JSON {
		return writeCertified(w, cert, &k, o.Out)
	}
	fmt.Fprintf(w, "certificate of %q, issued by %q, good until %s\n", cert.Subject, cert.Issuer, cert.NotAfter.Format("2006-01-02"))
	k.writeSettings(w)
	k.writeVerifier(w)
	return nil
}
