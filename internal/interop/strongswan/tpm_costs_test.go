package strongswan

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/testpki"
)

// costRounds is how often each kind of connection is made in turn, costConnections how
// often at a time.
const costRounds, costConnections = 2, 8

// What a TPM costs a connection: the client's certificate of EAP-TTLS with its key in
// swtpm and a quote over 50 entries of IMA and a boot log, beside the same with the key
// in a file and the measurement of 50 files. `make bench` runs it.
func TestCostsOfTheTPM(t *testing.T) {
	if os.Getenv("GOTNC_BENCH") == "" {
		t.Skip("SKIP: make bench runs it (GOTNC_BENCH=1)")
	}
	r := newTPMRig(t)
	r.must("tpm", "50")
	r.must("client", r.lib)
	in := func(name string) string { return filepath.Join(r.dir, name) }
	r.must("run", "bash", "-ec", `cd "$1"; export TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=2321
		tpm2_flushcontext -t
		tpm2_createprimary -Q -C o -G ecc -c srk.ctx
		tpm2_create -Q -C srk.ctx -G ecc256 -u k.pub -r k.priv -a "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign|noda"
		tpm2_flushcontext -t
		tpm2_load -Q -C srk.ctx -u k.pub -r k.priv -c k.ctx
		tpm2_flushcontext -t
		tpm2_evictcontrol -Q -C o -c k.ctx 0x81010010
		tpm2_readpublic -Q -c 0x81010010 -f pem -o k.pem
		tpm2_flushcontext -t`, "_", r.dir)
	block, _ := pem.Decode([]byte(readFile(t, in("k.pem"))))
	require.NotNil(t, block)
	public, err := x509.ParsePKIXPublicKey(block.Bytes)
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ca, err := tls.LoadX509KeyPair(in("pki/ca.pem"), in("pki/ca.key"))
	require.NoError(t, err)
	leaf := r.clientCertificate(ca, public)
	r.conf("client/swanctl/x509/tpm.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw})))
	leaf = r.clientCertificate(ca, key.Public())
	require.NoError(t, testpki.WriteFiles(tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}, in("client/swanctl/x509/file.pem"), in("client/swanctl/private/file.key")))
	for i := range 50 {
		r.conf(fmt.Sprintf("fifty/%02d", i), strings.Repeat("measured\n", 1000))
	}
	swanctl := readFile(t, in("client/swanctl/swanctl.conf"))

	times := map[string][]time.Duration{}
	for range costRounds {
		for _, kind := range []string{"file", "tpm"} {
			policy, secret := "dir:"+in("fifty"), ""
			if kind == "tpm" {
				policy, secret = "bios+ima", "secrets {\n  token {\n    handle = 0x81010010\n  }\n}\n"
			}
			t.Setenv("RIG_POLICY", policy)
			r.must("moon")
			r.askForCertificates()
			r.conf("client/swanctl/swanctl.conf", strings.Replace(swanctl, "auth = eap-ttls", "auth = eap-ttls\n         certs = "+kind+".pem", 1)+secret)
			out := r.must("run", "bash", "-c", `for i in $(seq "$2"); do a=$(date +%s%N); "$1" attest home --dataplane none > "$3" 2>&1; c=$?; echo "$(($(date +%s%N) - a)) $c"; done`,
				"_", r.tnc, fmt.Sprint(costConnections+1), in("cost.log"))
			for i, line := range strings.Split(strings.TrimSpace(out), "\n") {
				var n time.Duration
				var code int
				_, err := fmt.Sscan(line, &n, &code)
				require.NoError(t, err, out)
				require.Contains(t, []int{0, 3}, code, "%s", readFile(t, in("cost.log")))
				if i > 0 { // the first one fills caches
					times[kind] = append(times[kind], n)
				}
			}
			require.Contains(t, r.moonLog(), "received TLS peer certificate")
			if kind == "tpm" {
				require.Contains(t, r.moonLog(), quoteVerified)
			}
		}
	}
	median := func(kind string) time.Duration {
		slices.Sort(times[kind])
		return times[kind][len(times[kind])/2]
	}
	files, inTPM := median("file"), median("tpm")
	t.Logf("a connection, median of %d: key in a file and 50 files %v (%v to %v); key in the TPM and a quote %v (%v to %v); ratio %.2f", len(times["tpm"]),
		files.Round(time.Millisecond), times["file"][0].Round(time.Millisecond), times["file"][len(times["file"])-1].Round(time.Millisecond),
		inTPM.Round(time.Millisecond), times["tpm"][0].Round(time.Millisecond), times["tpm"][len(times["tpm"])-1].Round(time.Millisecond), float64(inTPM)/float64(files))
}

// clientCertificate makes one for the client of the rig.
func (r *rig) clientCertificate(ca tls.Certificate, public crypto.PublicKey) *x509.Certificate {
	r.t.Helper()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{Country: []string{"CH"}, Organization: []string{"Rig"}, CommonName: "carol"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(0, 1, 0), EmailAddresses: []string{"carol@strongswan.org"}, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	parent, err := x509.ParseCertificate(ca.Certificate[0])
	require.NoError(r.t, err)
	der, err := x509.CreateCertificate(rand.Reader, tmpl, parent, public, ca.PrivateKey)
	require.NoError(r.t, err)
	c, err := x509.ParseCertificate(der)
	require.NoError(r.t, err)
	return c
}

// askForCertificates has the gateway ask for a certificate inside EAP-TTLS.
func (r *rig) askForCertificates() {
	r.t.Helper()
	path := filepath.Join(r.dir, "moon/strongswan.conf")
	r.conf("moon/strongswan.conf", strings.Replace(readFile(r.t, path), "eap-ttls {", "eap-ttls {\n      request_peer_auth = yes", 1))
	cmd := exec.Command("ip", "netns", "exec", "moon", filepath.Join(r.prefix, "sbin/swanctl"), "--reload-settings", "--uri", "unix://"+filepath.Join(r.dir, "moon/vici"))
	cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+path)
	out, err := cmd.CombinedOutput()
	require.NoError(r.t, err, "%s", out)
}
