package aik

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/tpm/advice"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// Endorsement keys of every template of both ranges, certified by a file: with
// critical subjectAltName, empty subject, CAs with P-384 and P-521.
func TestEndorsementCertificateOfFile(t *testing.T) {
	s := newSite(t, newTPM(t))
	root := newAuthority(t, nil, "TPM root", elliptic.P521(), nil)
	sub := newAuthority(t, root, "TPM sub", elliptic.P384(), nil)
	s.write("cas/deep/root.cer", string(root.cert.Raw)) // DER
	s.write("cas/sub.pem", sub.pem())
	s.write("cas/broken.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	s.write("cas/README", "not one")
	for _, typ := range tpm20.KeyTypes {
		if typ == tpm20.RSA4096 {
			continue // no TPM of swtpm has it
		}
		t.Run(typ.String(), func(t *testing.T) {
			e := s.endorsement(typ)
			cert := sub.endorse(t, e.PublicKey, nil)
			s.write("ek.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})))
			out, err := s.tpm("create", "--ek-cert", s.path("ek.crt"), "--out", s.dir, "--replace", "--json")
			require.NoError(t, err)
			var made Created
			require.NoError(t, json.Unmarshal([]byte(out), &made))
			require.Contains(t, made.Endorsement, typ.String()+`, certified by "CN=TPM sub"`)
			_, err = s.issue("--ek-ca", s.path("cas"))
			require.NoError(t, err)
			_, err = s.tpm("activate", s.path("aik.answer"), "--handle", made.Handle, "--out", s.path("aik.crt"), "--replace")
			require.NoError(t, err)
			s.open(func(p *tpm20.TPM) {
				require.NoError(t, p.RemoveKey(t.Context(), tpm20.FirstAKHandle, tpm20.Auth{}))
			})
		})
	}
	_, err := s.tpm("create", "--ek-cert", s.path("ek.crt"), "--ek", "ecc", "--out", s.dir, "--replace")
	require.ErrorContains(t, err, "certifies no endorsement key of this TPM")
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	s.write("ek.crt", string(root.endorse(t, other.Public(), nil).Raw))
	_, err = s.tpm("create", "--ek-cert", s.path("ek.crt"), "--out", s.dir, "--replace")
	require.ErrorContains(t, err, "certifies no endorsement key of this TPM")
	s.write("ek.crt", "nothing")
	_, err = s.tpm("create", "--ek-cert", s.path("ek.crt"), "--out", s.dir, "--replace")
	require.ErrorContains(t, err, "--ek-cert")
	s.write("empty/x.txt", "")
	_, err = s.issue("--ek-ca", s.path("empty"))
	require.ErrorContains(t, err, "no certificates")
}

// An unknown CA is named so that it can be found: by issuer, key identifier and the
// address in the certificate; an unknown critical extension by its number.
func TestUnknownIssuerIsNamed(t *testing.T) {
	s := newSite(t, newTPM(t))
	root := newAuthority(t, nil, "TPM root", elliptic.P384(), nil)
	sub := newAuthority(t, root, "TPM sub", elliptic.P384(), func(c *x509.Certificate) {
		c.IssuingCertificateURL = []string{"http://pki.example.org/root.cer"}
	})
	other := newAuthority(t, nil, "another root", elliptic.P384(), nil)
	e := s.endorsement(tpm20.RSA)
	create := func(cert *x509.Certificate) {
		s.write("ek.crt", string(cert.Raw))
		_, err := s.tpm("create", "--ek-cert", s.path("ek.crt"), "--out", s.dir, "--replace", "--handle", "0x81010003")
		require.NoError(t, err)
	}
	create(sub.endorse(t, e.PublicKey, func(c *x509.Certificate) { c.IssuingCertificateURL = []string{"http://pki.example.org/sub.cer\x1b"} }))
	s.write("other.pem", other.pem())
	s.write("sub.pem", sub.pem()+other.pem())
	s.write("root.pem", root.pem())
	_, err := s.issue("--ek-ca", s.path("other.pem"))
	require.ErrorContains(t, advice.TPM(err), fmt.Sprintf(`no trusted CA is "CN=TPM sub" with the key identifier %x; get the certificate of that CA from http://pki.example.org/sub.cer`, sub.cert.SubjectKeyId))
	require.NotContains(t, advice.TPM(err).Error(), "\x1b")
	_, err = s.issue("--ek-ca", s.path("sub.pem"))
	require.ErrorContains(t, advice.TPM(err), `no trusted CA is "CN=TPM root"`)
	require.ErrorContains(t, advice.TPM(err), "http://pki.example.org/root.cer")
	_, err = s.issue("--ek-ca", s.path("sub.pem"), "--ek-ca", s.path("root.pem"))
	require.NoError(t, err)
	create(sub.endorse(t, e.PublicKey, func(c *x509.Certificate) {
		c.ExtraExtensions = append(c.ExtraExtensions, pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 840, 113741, 1, 13, 1}, Critical: true, Value: []byte{5, 0}})
	}))
	_, err = s.issue("--ek-ca", s.path("sub.pem"), "--ek-ca", s.path("root.pem"))
	require.ErrorContains(t, err, "unhandled critical extensions: 1.2.840.113741.1.13.1")
	marked := newAuthority(t, root, "TPM marked", elliptic.P384(), func(c *x509.Certificate) {
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
	})
	create(marked.endorse(t, e.PublicKey, nil))
	s.write("marked.pem", marked.pem())
	_, err = s.issue("--ek-ca", s.path("marked.pem"), "--ek-ca", s.path("root.pem"))
	require.ErrorContains(t, err, `the certificate of "CN=TPM marked" has unhandled critical extensions: 1.2.3.4`)
}

// Intel's firmware TPMs hold the CAs between: in several indices, cut anywhere.
func TestEndorsementChainInTheTPM(t *testing.T) {
	s := newSite(t, newTPM(t))
	root := newAuthority(t, nil, "OnDie CA Root", elliptic.P384(), nil)
	mid := newAuthority(t, root, "OnDie CA CSME", elliptic.P384(), nil)
	sub := newAuthority(t, mid, "ODCA PTT", elliptic.P384(), nil)
	e := s.endorsement(tpm20.ECC)
	s.nv("0x01c0000a", append(sub.endorse(t, e.PublicKey, nil).Raw, make([]byte, 20)...))
	chain := append(append([]byte{}, sub.cert.Raw...), mid.cert.Raw...)
	s.nv("0x01c00100", chain[:300])
	s.nv("0x01c00101", append(append([]byte{}, chain[300:]...), 0xff, 0xff))
	_, err := s.tpm("create", "--out", s.dir)
	require.NoError(t, err)
	s.write("root.pem", root.pem())
	_, err = s.issue("--ek-ca", s.path("root.pem"))
	require.NoError(t, err)
	_, err = s.tpm("activate", s.path("aik.answer"), "--handle", "0x81010003", "--out", s.path("aik.crt"))
	require.NoError(t, err)
	// What a TPM holds is no root.
	fake := newAuthority(t, nil, "OnDie CA Root", elliptic.P384(), nil)
	s.write("fake.pem", fake.pem())
	_, err = s.issue("--ek-ca", s.path("fake.pem"))
	require.Error(t, err)
}

// Intel's addresses are those that tpm2-tools ask for.
func TestServiceAddresses(t *testing.T) {
	s := newSite(t, newTPM(t))
	program := need.Program(t, "tpm2_getekcertificate", "tpm2-tools")
	asked := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = strings.TrimPrefix(r.RequestURI, "/pki/")
		http.NotFound(w, r)
	}))
	defer server.Close()
	for _, typ := range []tpm20.KeyType{tpm20.RSA, tpm20.ECC} {
		e := s.endorsement(typ)
		s.write("ek.pub", string(append([]byte{byte(len(e.Area) >> 8), byte(len(e.Area))}, e.Area...)))
		cmd := exec.Command(program, "-x", "-X", "-u", s.path("ek.pub"), "-o", s.path("out"), server.URL+"/pki/")
		cmd.Env = append(os.Environ(), "TPM2TOOLS_TCTI=swtpm:"+s.e.Config.Opts)
		out, _ := cmd.CombinedOutput()
		want, err := intelPath(e.PublicKey)
		require.NoError(t, err)
		require.Equal(t, asked, want, "%s", out)
	}
}

func TestServiceOfTheManufacturer(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	root := newAuthority(t, nil, "TPM root", elliptic.P384(), nil)
	cert := root.endorse(t, key.Public(), nil).Raw
	var answer func(w http.ResponseWriter, r *http.Request)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer(w, r) }))
	defer server.Close()
	fetch := func() ([]byte, error) {
		sv, err := newService("amd:"+server.URL+"/pki", "")
		require.NoError(t, err)
		require.Equal(t, server.URL+"/pki/", sv.base)
		sv.client.Transport = server.Client().Transport
		return sv.fetch(t.Context(), key.Public())
	}
	text := base64.URLEncoding.EncodeToString(cert)
	for what, body := range map[string][]byte{
		"DER": cert, "PEM": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		"JSON":           []byte(`{"pubhash":"x","certificate":"` + text + `"}`),
		"JSON escaped":   []byte(`{"certificate":"` + url.QueryEscape(text) + `"}`),
		"JSON no =":      []byte(`{"certificate":"` + strings.TrimRight(text, "=") + `"}`),
		"DER and zeroes": append(cert, 0, 0, 0),
	} {
		answer = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
		got, err := fetch()
		require.NoError(t, err, what)
		require.Equal(t, cert, got, what)
	}
	for says, a := range map[string]func(http.ResponseWriter, *http.Request){
		"has none of this key":       http.NotFound,
		"answers 503":                func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) },
		"more than 65536 octets":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) },
		"of another key":             func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(root.endorse(t, other.Public(), nil).Raw) },
		"endorsement key's cert":     func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) },
		"endorsement key's certi":    func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{"certificate":"!"}`)) },
		"not https":                  func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://127.0.0.1:1/", 302) },
		"leads elsewhere too often,": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", 302) },
	} {
		answer = a
		_, err := fetch()
		require.ErrorContains(t, err, says)
		require.ErrorContains(t, err, server.URL)
	}
	sv, err := newService("", "AMD ")
	require.NoError(t, err)
	require.Equal(t, "https://ftpm.amd.com/pki/aia/", sv.base)
	sv, err = newService("", "INTC")
	require.NoError(t, err)
	require.Equal(t, "https://ekop.intel.com/ekcertservice/", sv.base)
	_, err = newService("", "IBM ")
	require.ErrorContains(t, err, "no service of the manufacturer")
	for _, flag := range []string{"stm:https://x/", "amd:http://x/", "amd:", "http://x/"} {
		_, err = newService(flag, "AMD")
		require.Error(t, err, flag)
	}
}

// A platform's key, made of the template in NV as on GCE, and at a handle as on Azure.
func TestImport(t *testing.T) {
	s := newSite(t, newTPM(t))
	_, err := s.tpm("import", "--out", s.path("aik.crt"))
	require.ErrorContains(t, err, "no attestation key that a known platform certified")
	cloud := newAuthority(t, nil, "EK/AK CA", elliptic.P384(), nil)
	var key *tpm20.Key
	s.open(func(p *tpm20.TPM) {
		key, err = p.CreateAK(t.Context(), tpm20.AKRequest{Handle: 0x81000003}, tpm20.Auth{})
		require.NoError(t, err)
	})
	s.nv("0x01c101d0", cloud.endorse(t, key.PublicKey, nil).Raw)
	out, err := s.tpm("import", "--out", s.path("aik.crt"), "--json")
	require.NoError(t, err)
	var got Imported
	require.NoError(t, json.Unmarshal([]byte(out), &got))
	require.Equal(t, "Azure", got.Platform)
	require.Equal(t, "0x81000003", got.Handle)
	require.Contains(t, got.Settings, "aik_handle = 0x81000003")
	require.Contains(t, got.Settings, "device_cert = "+s.path("aik.crt"))
	_, err = s.tpm("import", "--out", s.path("aik.crt"))
	require.ErrorContains(t, err, "exists already")

	// The template of a primary key: that of an attestation key with an empty unique field.
	template := append([]byte{}, key.Area[:len(key.Area)-258]...)
	template = append(template, 1, 0)
	template = append(template, make([]byte, 256)...)
	s.open(func(p *tpm20.TPM) {
		key, err = p.MakePersistent(t.Context(), template, 0x81010009, tpm20.Auth{})
		require.NoError(t, err)
		require.NoError(t, p.RemoveKey(t.Context(), 0x81010009, tpm20.Auth{}))
	})
	s.nv("0x01c10000", cloud.endorse(t, key.PublicKey, nil).Raw)
	s.nv("0x01c10001", template)
	out, err = s.tpm("import", "--out", s.path("gce.crt"))
	require.NoError(t, err)
	require.Contains(t, out, "GCE, RSA")
	require.Contains(t, out, "0x81010003")
	require.Contains(t, out, `issued by "CN=EK/AK CA"`)

	// A certificate of another key, a key that signs anything: neither is used.
	s.nv("0x01800010", cloud.endorse(t, s.endorsement(tpm20.ECC).PublicKey, nil).Raw)
	_, err = s.tpm("import", "--nv-cert", "0x01800010", "--handle", "0x81000003", "--out", s.path("x.crt"))
	require.ErrorContains(t, err, "of another key")
	free := append([]byte{}, template...)
	free[5] &^= 1 // restricted
	s.open(func(p *tpm20.TPM) {
		key, err = p.MakePersistent(t.Context(), free, 0x81010009, tpm20.Auth{})
		require.NoError(t, err)
	})
	s.nv("0x01800011", cloud.endorse(t, key.PublicKey, nil).Raw)
	_, err = s.tpm("import", "--nv-cert", "0x01800011", "--handle", "0x81010009", "--out", s.path("x.crt"))
	require.ErrorContains(t, err, "not a restricted signing key")
	require.NoFileExists(t, s.path("x.crt"))
	for _, args := range [][]string{{"--nv-cert", "x"}, {"--nv-cert", "0x01800011"}} {
		_, err = s.tpm(append([]string{"import", "--out", s.path("x.crt")}, args...)...)
		require.ErrorContains(t, err, "--nv-cert")
	}
}
