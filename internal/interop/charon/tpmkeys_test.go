package charon

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/keyfile"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// tpmSite is a site whose client has its private keys in an emulated TPM.
type tpmSite struct {
	*site
	e  *tpmtest.Emulator
	ca *testpki.CA
}

const keyPIN = "open sesame"

// tpmKeyKinds are the keys in the TPM, each at a handle.
var tpmKeyKinds = []struct {
	name   string
	handle uint32
	req    tpm20.SigningKeyRequest
}{
	{"RSA 2048", 0x81010001, tpm20.SigningKeyRequest{Bits: 2048}},
	{"RSA 3072", 0x81010002, tpm20.SigningKeyRequest{Bits: 3072, Password: []byte(keyPIN)}},
	{"P-256", 0x81010003, tpm20.SigningKeyRequest{ECC: true, Password: []byte(keyPIN)}},
	{"P-256 for SHA-256", 0x81010006, tpm20.SigningKeyRequest{ECC: true, Password: []byte(keyPIN), Hash: pcr.SHA256}},
	{"P-384", 0x81010004, tpm20.SigningKeyRequest{ECC: true, Bits: 384}},
	{"P-521", 0x81010005, tpm20.SigningKeyRequest{ECC: true, Bits: 521}},
}

// newTPMSite makes the keys, and gives certificates to the client, of which that of
// the P-256 key is in the TPM too.
func newTPMSite(t *testing.T, o options) *tpmSite {
	t.Helper()
	o.proposals, o.esp = usualIKE, usualESP
	s := &tpmSite{site: newSite(t, o), e: tpmtest.Swtpm(t, tpm.TPM20)}
	s.e.Config.Timeout = 3 * time.Minute // RSA keys take long to make
	s.ca = newCA(t, testpki.RSA)
	gw, err := s.ca.Issue(gatewayID, testpki.RSA, nil)
	require.NoError(t, err)
	require.NoError(t, testpki.WriteFiles(gw, filepath.Join(s.dir, "gw/swanctl/x509/moon.pem"), filepath.Join(s.dir, "gw/swanctl/private/moon.pem")))
	for _, end := range []string{"gw", "cl"} {
		s.write(end+"/swanctl/x509ca/tpm.pem", "%s", s.ca.PEM())
	}
	for _, k := range tpmKeyKinds {
		s.e.Persist(t, k.req, k.handle)
		s.certify(k.name, k.handle)
	}
	s.write("cl/strongswan.conf", "charon {\n  plugins {\n    tpm {\n      tcti {\n        name = swtpm\n        opts = %s\n      }\n    }\n  }\n}\n", s.e.Config.Opts)
	return s
}

// open opens the TPM; the caller closes it.
func (s *tpmSite) open() *tpm20.TPM {
	s.t.Helper()
	p, err := device.Open(s.t.Context(), s.e.Config)
	require.NoError(s.t, err)
	return p.(*tpm20.TPM)
}

// certify gives the client a certificate for the key at a handle.
func (s *tpmSite) certify(name string, handle uint32) {
	s.t.Helper()
	p := s.open()
	k, err := p.SigningKey(s.t.Context(), s.t.Context(), tpm20.SigningKeyConfig{Handle: handle})
	require.NoError(s.t, err)
	require.NoError(s.t, p.Close())
	der := s.certificate(name, k.Public())
	switch handle {
	case 0x81010003:
		s.e.WriteNV(s.t, 0x01800001, der)
	case 0x81010006:
		s.e.WriteNV(s.t, 0x01800006, der)
	}
}

// certificate gives the client a certificate for a public key.
func (s *tpmSite) certificate(name string, public crypto.PublicKey) (der []byte) {
	s.t.Helper()
	c, err := s.ca.Certify("carol.gotnc.test", public, func(c *x509.Certificate) { c.EmailAddresses, c.ExtKeyUsage = []string{user}, nil })
	require.NoError(s.t, err)
	s.write("cl/swanctl/x509/"+name+".pem", "%s", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
	return c.Raw
}

// token is a section of secrets for the key at a handle.
func token(handle uint32, pin string) string {
	if pin != "" {
		pin = "pin = \"" + pin + "\"\n"
	}
	return fmt.Sprintf("token {\nhandle = 0x%08x\n%s}\n", handle, pin)
}

// tpmKeyCase is one method with one key.
type tpmKeyCase struct {
	method, key string
	auth        string // of the client in IKE
	says        string // the scheme of AUTH in the log
	tls         string // the highest version of the gateway; "" = none
}

var tpmKeyCases = []tpmKeyCase{
	{"IKE AUTH, RSA PKCS#1", "RSA 2048", "pubkey", "RSA_EMSA_PKCS1_SHA2_256", ""},
	{"IKE AUTH, RSA PKCS#1", "RSA 3072", "ike:rsa-sha384", "RSA_EMSA_PKCS1_SHA2_384", ""},
	{"IKE AUTH, RSA-PSS", "RSA 2048", "ike:rsa/pss-sha256", "RSA_EMSA_PSS_SHA2_256", ""},
	{"IKE AUTH, RSA-PSS", "RSA 3072", "ike:rsa/pss-sha512", "RSA_EMSA_PSS_SHA2_512", ""},
	{"IKE AUTH, ECDSA", "P-256", "pubkey", "ECDSA_WITH_SHA2_256_DER", ""},
	{"IKE AUTH, ECDSA", "P-384", "pubkey", "ECDSA_WITH_SHA2_384_DER", ""},
	{"IKE AUTH, ECDSA", "P-521", "pubkey", "ECDSA_WITH_SHA2_512_DER", ""},
	{"IKE AUTH, ECDSA", "P-256 for SHA-256", "pubkey", "ECDSA_WITH_SHA2_256_DER", ""},
	{"EAP-TLS", "RSA 2048", "eap-tls", "", "1.2"}, {"EAP-TLS", "RSA 3072", "eap-tls", "", "1.3"},
	{"EAP-TLS", "P-256", "eap-tls", "", "1.2"}, {"EAP-TLS", "P-256", "eap-tls", "", "1.3"}, {"EAP-TLS", "P-384", "eap-tls", "", "1.3"},
	{"EAP-TTLS, certificate", "RSA 2048", "eap-ttls", "", "1.2"}, {"EAP-TTLS, certificate", "RSA 2048", "eap-ttls", "", "1.3"},
	{"EAP-TTLS, certificate", "P-256", "eap-ttls", "", "1.2"}, {"EAP-TTLS, certificate", "P-521", "eap-ttls", "", "1.3"},
}

// conf is the configuration of both ends for a case.
func (c tpmKeyCase) conf() authCase {
	pin, handle := "", uint32(0)
	for _, k := range tpmKeyKinds {
		if k.name == c.key {
			handle, pin = k.handle, string(k.req.Password)
		}
	}
	eap := "eap {\nid = " + user + "\nsecret = " + password + "\n}\n"
	a := authCase{gwLocal: pubkey("pubkey", "moon") + gwIs, gwRemote: "auth = pubkey\n" + carolIs, clRemote: "auth = pubkey\n" + gwIs,
		clLocal: pubkey(c.auth, "\""+c.key) + carolIs, secrets: token(handle, pin) + eap}
	a.clLocal = strings.Replace(a.clLocal, ".pem\n", ".pem\"\n", 1)
	if c.tls != "" {
		a.gwRemote = "auth = " + c.auth + "\n" + carolIs
		a.gwLocal, a.clRemote = "auth = "+c.auth+"\ncerts = moon.pem\n"+gwIs, "auth = "+c.auth+"\n"+gwIs
	}
	return a
}

// Keys in the TPM prove who we are in every way that the two strongSwans know.
func TestTPMKeysWithCharon(t *testing.T) {
	for name, o := range map[string]options{"Debian": {}, "strongSwan 6": {}} {
		t.Run(name, func(t *testing.T) {
			if name != "Debian" {
				o.peer = strongSwan6(t)
			}
			s := newTPMSite(t, o)
			conf := s.read("gw/strongswan.conf")
			conf = strings.Replace(conf, "eap-ttls {\n", "eap-ttls {\n      request_peer_auth = yes\n", 1)
			for _, c := range tpmKeyCases {
				if c.tls == "1.3" && name == "Debian" {
					continue // it derives the keys of EAP over TLS 1.3 wrongly
				}
				label := c.method + ", " + c.key
				if c.tls != "" {
					label += ", TLS " + c.tls
				}
				t.Run(label, func(t *testing.T) {
					s := &tpmSite{site: &site{Pair: s.Pair, t: t, dir: s.dir, tnc: s.tnc, peer: s.peer}, e: s.e, ca: s.ca}
					tls := c.tls
					if tls == "" {
						tls = "1.2"
					}
					s.write("gw/strongswan.conf", "%s", replace(conf, "version_max", tls, 1))
					before := len(s.read("gw/charon.log"))
					code, says := s.authenticate(c.conf())
					log := s.read("gw/charon.log")[before:]
					require.Zero(t, code, "%s\n%s", says, log)
					if c.says != "" {
						require.Contains(t, says, "authentication of '"+user+"' (myself) with "+c.says)
						// charon names ECDSA's hashes and PSS's salt in other words.
						theirs := strings.TrimSuffix(strings.Replace(c.says, "ECDSA_WITH_SHA2_", "ECDSA_WITH_SHA", 1), "_DER")
						require.Contains(t, log, "authentication of '"+user+"' with "+theirs)
					} else {
						require.Contains(t, log, "received TLS peer certificate")
						require.Contains(t, log, "authentication of '"+user+"' with EAP successful")
					}
					require.Empty(t, s.e.Loaded(t), "nothing stays in the TPM")
					t.Logf("| %s | %s | %s |", c.method, c.key, name)
				})
			}
		})
	}
}

// The certificate may be in the TPM as well, the key in a file that a password or
// PCRs bind; what is wrong is said before a packet goes out.
func TestKeysInTheTPMOfEveryForm(t *testing.T) {
	kinds := tpmKeyKinds
	defer func() { tpmKeyKinds = kinds }()
	tpmKeyKinds = kinds[2:5] // the elliptic ones are made quickly
	s := newTPMSite(t, options{})
	c := authCase{gwLocal: pubkey("pubkey", "moon") + gwIs, gwRemote: "auth = pubkey\n" + carolIs, clRemote: "auth = pubkey\n" + gwIs,
		clLocal: "local {\nauth = pubkey\n" + carolIs + "cert1 {\nhandle = 0x01800001\n}\n}\n", secrets: token(0x81010003, keyPIN)}
	s.accepted(c, "with ECDSA_WITH_SHA2_256_DER successful")

	wrong := c
	wrong.secrets = token(0x81010003, "")
	s.refused(wrong, "the password is wrong; set the pin of secrets.token")
	s.e.ResetLockout(t)
	wrong.secrets = token(0x81010003, "xyzzy")
	s.refused(wrong, "the password is wrong; correct the pin of secrets.token")
	check := func(verb string) string {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		args := append(strings.Fields(verb), "--swanctl", filepath.Join(s.dir, "cl/swanctl/swanctl.conf"), "--strongswan-conf", filepath.Join(s.dir, "cl/strongswan.conf"), "--tnc-config", "/dev/null")
		out, _ := netns.Command(ctx, s.Client, append([]string{s.tnc}, args...)...).CombinedOutput()
		require.NotContains(t, string(out), "xyzzy")
		return strings.Join(strings.Fields(string(out)), " ")
	}
	s.e.ResetLockout(t) // three wrong ones lock it
	require.Contains(t, check("config check"), "the password is wrong; correct the pin of secrets.token")
	require.Contains(t, check("doctor"), "the password is wrong; correct the pin of secrets.token")
	require.Contains(t, check("config check"), "its password was not tried")
	code, says := s.tryClient(wrong)
	require.Equal(t, 1, code, says)
	code, says = s.tryClient(wrong)
	require.Equal(t, 1, code, says)
	require.Contains(t, says, "it is locked after wrong passwords; wait until it recovers")
	require.Contains(t, check("config check"), "the TPM is locked; wait until it recovers")
	s.e.ResetLockout(t)
	wrong.secrets = token(0x81010077, "")
	s.refused(wrong, "the TPM's key 0x81010077: load key: key 0x81010077: TPM2_ReadPublic")
	wrong.secrets = token(0x81010004, "")
	s.refused(wrong, "no private key fits it, that in the TPM (0x81010004) neither")
	wrong = c
	wrong.clLocal = strings.Replace(c.clLocal, "01800001", "01800002", 1)
	s.refused(wrong, "certificate at NV index 0x01800002")

	p := s.open()
	for name, req := range map[string]tpm20.SigningKeyRequest{
		"file": {ECC: true, Password: []byte(keyPIN)}, "bound": {ECC: true, Bits: 384, Bank: pcr.SHA256, PCRs: pcr.Select(16)},
	} {
		w, err := p.CreateSigningKey(t.Context(), req, tpm20.Auth{})
		require.NoError(t, err)
		b, err := keyfile.Marshal(*w)
		require.NoError(t, err)
		pub, err := w.PublicKey()
		require.NoError(t, err)
		s.write("cl/swanctl/private/"+name+".pem", "%s", b)
		s.certificate(name, pub)
	}
	require.NoError(t, p.Close())
	c.clLocal, c.secrets = pubkey("pubkey", "bound")+carolIs, ""
	s.accepted(c, "with ECDSA_WITH_SHA2_384_DER successful")
	c.clLocal, c.secrets = pubkey("pubkey", "file")+carolIs, "private-1 {\nfile = file.pem\nsecret = "+keyPIN+"\n}\n"
	s.accepted(c, "with ECDSA_WITH_SHA2_256_DER successful")
	p = s.open()
	require.NoError(t, p.ExtendPCR(t.Context(), 16, map[pcr.Hash][]byte{pcr.SHA256: make([]byte, 32)}))
	require.NoError(t, p.Close())
	c.clLocal, c.secrets = pubkey("pubkey", "bound")+carolIs, ""
	s.refused(c, "the PCRs have other values")
	require.Empty(t, s.e.Loaded(t))

	s.write("ip/ipsec.conf", "conn home\n\tkeyexchange=ikev2\n\tleft=%s\n\tright=%s\n\trightid=@%s\n\trightsubnet=10.1.0.0/24\n\tike=%s!\n\tesp=%s!\n\tleftauth=pubkey\n\trightauth=pubkey\n\tleftcert=%%smartcard:0x01800001\n\tleftid=%s\n",
		s.ClientAddr, s.GatewayAddr, gatewayID, usualIKE, usualESP, user)
	s.write("ip/ipsec.secrets", ": PIN %%smartcard:81010003 \"%s\"\n", keyPIN)
	s.write("ip/ipsec.d/cacerts/ca.pem", "%s", s.ca.PEM())
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := netns.Command(ctx, s.Client, s.tnc, "attest", "home", "--ipsec-conf", filepath.Join(s.dir, "ip/ipsec.conf"), "--strongswan-conf", filepath.Join(s.dir, "cl", "strongswan.conf"),
		"--tnc-config", "/dev/null", "-v").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "with ECDSA_WITH_SHA2_256_DER successful")
}

// strongSwan's own client with its plugin tpm reads the same swanctl.conf.
func TestStrongSwanReadsTheSameTPMConfiguration(t *testing.T) {
	kinds := tpmKeyKinds
	defer func() { tpmKeyKinds = kinds }()
	tpmKeyKinds = kinds[3:4] // its plugin uses keys that are bound to a scheme
	p := strongSwan6(t)
	need.Program(t, filepath.Join(filepath.Dir(filepath.Dir(filepath.Dir(p.charon))), "lib/ipsec/plugins/libstrongswan-tpm.so"), "strongSwan with --enable-tpm --enable-tss-tss2")
	need.Program(t, "/usr/lib/x86_64-linux-gnu/libtss2-tcti-swtpm.so.0", "libtss2-tcti-swtpm0")
	s := newTPMSite(t, options{peer: p})
	c := authCase{gwLocal: pubkey("pubkey", "moon") + gwIs, gwRemote: "auth = pubkey\n" + carolIs, clRemote: "auth = pubkey\n" + gwIs,
		clLocal: "local {\nauth = pubkey\n" + carolIs + "cert1 {\nhandle = 0x01800006\n}\n}\n", secrets: token(0x81010006, keyPIN)}
	for name, local := range map[string]string{"certificate in NV": c.clLocal, "certificate in a file": strings.Replace(pubkey("pubkey", "\"P-256 for SHA-256"), ".pem\n", ".pem\"\n", 1) + carolIs} {
		t.Run(name, func(t *testing.T) {
			s := &tpmSite{site: &site{Pair: s.Pair, t: t, dir: s.dir, tnc: s.tnc, peer: s.peer}, e: s.e, ca: s.ca}
			c.clLocal = local
			s.accepted(c, "with ECDSA_WITH_SHA2_256_DER successful")
			said := s.initiateWithCharon()
			require.Contains(t, said, "initiate completed successfully")
			require.Contains(t, said, "authentication of '"+user+"' (myself) with ECDSA_WITH_SHA2")
		})
	}
}

// initiateWithCharon connects with strongSwan's client, which reads the client's
// swanctl.conf, and returns what swanctl and the log say.
func (s *tpmSite) initiateWithCharon() string {
	s.t.Helper()
	vici, log := filepath.Join(s.dir, "cl/vici"), filepath.Join(s.dir, "cl/charon.log")
	os.Remove(vici)
	os.Remove(log)
	s.write("cl/charon.conf", `charon {
  load = random nonce openssl tpm ml aes ctr ccm xcbc cmac curve25519 pem pkcs1 pkcs8 x509 pubkey revocation constraints hmac sha1 sha2 kdf gmp vici kernel-libipsec kernel-netlink socket-default
  filelog {
    log {
      path = %s
      default = 1
      flush_line = yes
    }
  }
  plugins {
    vici {
      socket = unix://%s
    }
    tpm {
      tcti {
        name = device
        opts = %s
      }
    }
  }
}
`, log, vici, s.e.Config.Opts)
	// strongSwan knows three names of TCTI libraries: the emulator's has another's.
	require.NoError(s.t, os.MkdirAll(filepath.Join(s.dir, "tcti"), 0o755))
	_ = os.Symlink("/usr/lib/x86_64-linux-gnu/libtss2-tcti-swtpm.so.0", filepath.Join(s.dir, "tcti/libtss2-tcti-device.so.0"))
	env := append(os.Environ(), "LD_LIBRARY_PATH="+filepath.Join(s.dir, "tcti"), "STRONGSWAN_CONF="+filepath.Join(s.dir, "cl/charon.conf"), "SWANCTL_DIR="+filepath.Join(s.dir, "cl/swanctl"))
	cmd := netns.Command(context.Background(), s.Client, "unshare", "-m", "sh", "-c", "mount -t tmpfs tmpfs /run && exec "+s.charon)
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(s.t, cmd.Start())
	defer func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}()
	swanctl := func(args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		c := netns.Command(ctx, s.Client, append([]string{s.swanctlProgram()}, append(args, "--uri", "unix://"+vici)...)...)
		c.Env = env
		b, err := c.CombinedOutput()
		return string(b), err
	}
	require.Eventually(s.t, func() bool { _, err := os.Stat(vici); return err == nil }, patience, 50*time.Millisecond, "%s", &out)
	loaded, err := swanctl("--load-all", "--noprompt")
	require.NoError(s.t, err, loaded)
	said, err := swanctl("--initiate", "--child", "home")
	b, _ := os.ReadFile(log)
	if err != nil {
		require.NoError(s.t, err, "%s\n%s\n%s", loaded, said, b)
	}
	return loaded + said + string(b)
}

func (s *tpmSite) swanctlProgram() string { return s.peer.swanctl }
