package aik

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tpm/privacyca"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// enrolSite is a machine, and a privacy CA that it reaches over HTTPS.
type enrolSite struct {
	*site
	web    *testpki.CA
	client *http.Client
	log    bytes.Buffer
	root   *authority // of the TPM's manufacturer
}

func newEnrolSite(t *testing.T) *enrolSite {
	s := &enrolSite{site: newSite(t, newTPM(t)), root: newAuthority(t, nil, "TPM root", elliptic.P384(), nil)}
	var err error
	s.web, err = testpki.NewCA("web CA", testpki.ECDSA)
	require.NoError(t, err)
	s.write("web.pem", string(s.web.PEM()))
	cert, err := s.web.Issue("localhost", testpki.ECDSA, nil)
	require.NoError(t, err)
	require.NoError(t, testpki.WriteFiles(cert, s.path("tls.pem"), s.path("tls.key")))
	s.write("ek-ca.pem", s.root.pem())
	s.write("ek.crt", string(s.root.endorse(t, s.endorsement(tpm20.RSA).PublicKey, nil).Raw))
	pool := x509.NewCertPool()
	pool.AddCert(s.web.Cert)
	s.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, DisableKeepAlives: true}, Timeout: 30 * time.Second}
	return s
}

// serve starts the privacy CA and returns its address.
func (s *enrolSite) serve(change func(*Serve)) string {
	s.t.Helper()
	o := &Serve{
		Issue:   Issue{CACert: s.path("ca.pem"), CAKey: s.path("ca.key"), EKCAs: []string{s.path("ek-ca.pem")}, Days: 30, Logger: slog.New(slog.NewTextHandler(&s.log, nil))},
		Address: "127.0.0.1:0", TLSCert: s.path("tls.pem"), TLSKey: s.path("tls.key"),
	}
	if change != nil {
		change(o)
	}
	at := make(chan net.Addr, 1)
	o.Listening = func(a net.Addr) { at <- a }
	ctx, end := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- o.Run(ctx) }()
	s.t.Cleanup(func() {
		end()
		require.NoError(s.t, <-done)
	})
	select {
	case a := <-at:
		_, port, _ := strings.Cut(a.String(), ":")
		return "https://localhost:" + port
	case err := <-done:
		s.t.Fatal(err)
	}
	return ""
}

func (s *enrolSite) enroll(ca string, args ...string) (string, error) {
	return s.tpm(append([]string{"enroll", "--ca", ca, "--ca-file", s.path("web.pem"), "--out", s.dir, "--name", "carol", "--ek-cert", s.path("ek.crt")}, args...)...)
}

func (s *enrolSite) post(address string, body io.Reader) (int, string) {
	s.t.Helper()
	rsp, err := s.client.Post(address+enrolPath, "x", body)
	require.NoError(s.t, err)
	defer rsp.Body.Close()
	b, err := io.ReadAll(rsp.Body)
	require.NoError(s.t, err)
	return rsp.StatusCode, string(b)
}

func (s *enrolSite) certificate() *x509.Certificate {
	s.t.Helper()
	c, err := loadCAs(s.path("aik.crt"), nil)
	require.NoError(s.t, err)
	return c[0]
}

// From nothing to the certificate in one command, and its renewal when it is time.
func TestEnroll(t *testing.T) {
	s := newEnrolSite(t)
	ca := s.serve(nil)
	out, err := s.enroll(ca)
	require.NoError(t, err)
	require.Contains(t, out, `certificate of "CN=carol", issued by "CN=privacy CA"`)
	require.Contains(t, out, "device_cert = "+s.path("aik.crt"))
	first := s.certificate()
	_, err = s.enroll(ca)
	require.ErrorContains(t, err, "--renew")

	_, err = s.enroll(ca, "--renew", "--before", "900h")
	require.ErrorContains(t, err, "no key is named")
	s.write("strongswan.conf", "libimcv {\n plugins {\n imc-attestation {\n aik_handle = 0x81010003\n}\n}\n}\n")
	out, err = s.enroll(ca, "--renew", "--before", "24h")
	require.NoError(t, err)
	require.Contains(t, out, "nothing to do before")
	require.Equal(t, first.Raw, s.certificate().Raw)
	out, err = s.enroll(ca, "--renew", "--before", "900h")
	require.NoError(t, err)
	require.Contains(t, out, `certificate of "CN=carol"`)
	second := s.certificate()
	require.NotEqual(t, first.Raw, second.Raw)
	require.Equal(t, first.RawSubjectPublicKeyInfo, second.RawSubjectPublicKeyInfo)

	// A CA that does not answer, or that nobody vouches for, leaves what is there.
	for says, args := range map[string][]string{
		"certificate":        {ca, "--ca-file", s.path("ca.pem")},
		"connection refused": {"https://127.0.0.1:1"},
		"--ca":               {"http://localhost"},
	} {
		_, err = s.enroll(args[0], append(args[1:], "--renew", "--before", "900h")...)
		require.ErrorContains(t, err, says)
		require.Equal(t, second.Raw, s.certificate().Raw)
	}
}

// Only listed TPMs get a certificate, with the name of the list; a line that is added
// counts at once.
func TestEnrollByList(t *testing.T) {
	s := newEnrolSite(t)
	s.write("list", "# nobody\n")
	ca := s.serve(func(o *Serve) { o.Approved = s.path("list") })
	_, err := s.enroll(ca)
	require.ErrorContains(t, err, "refuses (403): this TPM is not on the list")
	spki, err := x509.MarshalPKIXPublicKey(s.endorsement(tpm20.RSA).PublicKey)
	require.NoError(t, err)
	s.write("list", fmt.Sprintf("%x laptop17 # Carol's\n", sha256.Sum256(spki)))
	_, err = s.enroll(ca)
	require.NoError(t, err)
	require.Equal(t, "laptop17", s.certificate().Subject.CommonName)
	s.write("list", "nonsense")
	code, said := s.post(ca, strings.NewReader(s.read("aik.request")))
	require.Equal(t, 500, code)
	require.NotContains(t, said, s.dir, "strangers learn nothing of files")
}

// A request waits for a person, who answers it with the usual command.
func TestEnrollByHand(t *testing.T) {
	s := newEnrolSite(t)
	require.NoError(t, os.Mkdir(s.path("pending"), 0o755))
	ca := s.serve(func(o *Serve) { o.Pending = s.path("pending") })
	_, err := s.enroll(ca)
	require.ErrorIs(t, err, ErrPending)
	id := regexp.MustCompile(`[0-9a-f]{32}`).FindString(err.Error())
	_, err = s.enroll(ca) // goes on where it was
	require.ErrorIs(t, err, ErrPending)
	files, err := filepath.Glob(s.path("pending/*"))
	require.NoError(t, err)
	require.Equal(t, []string{s.path("pending/" + id + ".request")}, files)
	_, err = s.run("issue", files[0], "--ca-cert", s.path("ca.pem"), "--ca-key", s.path("ca.key"), "--ek-ca", s.path("ek-ca.pem"), "--out", s.path("pending/"+id+".answer"))
	require.NoError(t, err)
	_, err = s.enroll(ca)
	require.NoError(t, err)
	require.Equal(t, "carol", s.certificate().Subject.CommonName)

	// What no TPM made fills no disk.
	r, err := privacyca.ParseRequest([]byte(s.read("aik.request")))
	require.NoError(t, err)
	r.EKCertificate = newAuthority(t, nil, "TPM root", elliptic.P384(), nil).endorse(t, s.endorsement(tpm20.RSA).PublicKey, nil).Raw
	b, err := r.Encode()
	require.NoError(t, err)
	code, _ := s.post(ca, bytes.NewReader(b))
	require.Equal(t, 403, code)
	files, err = filepath.Glob(s.path("pending/*.request"))
	require.NoError(t, err)
	require.Len(t, files, 1)
}

// Clients that mean no good get a sentence and hold nothing up.
func TestServeWithHostileClients(t *testing.T) {
	s := newEnrolSite(t)
	ca := s.serve(nil)
	for _, c := range []struct {
		body string
		code int
	}{
		{"", 400}, {"x", 400}, {strings.Repeat("x", privacyca.MaxFile+1), 413}, {strings.Repeat("x", 4<<20), 413},
		{"-----BEGIN TPMT_PUBLIC-----\nAAAA\n-----END TPMT_PUBLIC-----\n", 400},
		{"-----BEGIN PUBLIC KEY-----\nEndorsement-Key: \x1b[31m\n\nAAAA\n-----END PUBLIC KEY-----\n", 400},
	} {
		code, said := s.post(ca, strings.NewReader(c.body))
		require.Equal(t, c.code, code, said)
		require.NotContains(t, said, "\x1b")
	}
	rsp, err := s.client.Get(ca + enrolPath)
	require.NoError(t, err)
	rsp.Body.Close()
	require.Equal(t, 405, rsp.StatusCode)
	rsp, err = s.client.Post(ca+"/../etc/passwd", "x", nil)
	require.NoError(t, err)
	rsp.Body.Close()
	require.Equal(t, 404, rsp.StatusCode)
	// Connections that say nothing, or little, hold up nobody else.
	host := strings.TrimPrefix(ca, "https://")
	for range 40 {
		c, err := net.Dial("tcp", strings.Replace(host, "localhost", "127.0.0.1", 1))
		require.NoError(t, err)
		defer c.Close()
	}
	_, err = s.enroll(ca)
	require.NoError(t, err)
	require.NotContains(t, s.log.String(), "\x1b")
	for says, change := range map[string]func(*Serve){
		"--tls-cert": func(o *Serve) { o.TLSCert = "" }, "no TPM is trusted": func(o *Serve) { o.EKCAs = nil },
		"--approved": func(o *Serve) { o.Approved = s.path("none") }, "--pending": func(o *Serve) { o.Pending = s.path("none") }, "--serve": func(o *Serve) { o.Address = "x" },
	} {
		o := &Serve{Issue: Issue{CACert: s.path("ca.pem"), CAKey: s.path("ca.key"), EKCAs: []string{s.path("ek-ca.pem")}, Days: 30}, Address: "127.0.0.1:0", TLSCert: s.path("tls.pem"), TLSKey: s.path("tls.key")}
		change(o)
		require.ErrorContains(t, o.Run(t.Context()), says)
	}
}

// A server that means no good gets no certificate written, and is not waited for.
func TestEnrollWithAHostileServer(t *testing.T) {
	s := newEnrolSite(t)
	var answer http.HandlerFunc
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer server.Close()
	s.write("web.pem", string((&authority{cert: server.Certificate()}).pem()))
	for says, a := range map[string]http.HandlerFunc{
		"more than 65536 octets": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) },
		"a block is missing":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("hello")) },
		"refuses (302)":          func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://127.0.0.1:1/", 302) },
		"refuses (500): a b":     func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "a\x1bb", 500) },
		"has not approved":       func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "-5"); w.WriteHeader(202) },
		"the credential is for anot": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write((&privacyca.Answer{Generation: 2, Credential: []byte{0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1, 0, 2, 1, 2, 0, 2, 1, 2}, Sealed: []byte{1}}).Encode())
		},
	} {
		answer = a
		_, err := s.enroll(server.URL)
		require.ErrorContains(t, err, says)
		require.NoFileExists(t, s.path("aik.crt"))
	}
	handles := []uint32{}
	s.open(func(p *tpm20.TPM) {
		var err error
		handles, err = p.PersistentHandles(t.Context())
		require.NoError(t, err)
	})
	require.Len(t, handles, 1, "one key, however often it was tried")
}

func FuzzParseList(f *testing.F) {
	f.Add([]byte(strings.Repeat("ab", 32) + " name # x\n\n#\n"))
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		list, err := parseList(b)
		for _, name := range list {
			require.NoError(t, err)
			require.LessOrEqual(t, len(name), 64)
		}
	})
}
