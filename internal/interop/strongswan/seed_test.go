package strongswan

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/output"
)

var updateSeed = flag.Bool("update", false, "write docs/seed-run.md from the run")

const seedDoc = "../../../docs/seed-run.md"

// seedConf is ipsec.conf as the machine of the seed's log had it.
const seedConf = `config setup
	charondebug="tnc 3, imc 3, pts 3"

conn home
	leftid=carol@strongswan.org
	leftauth=eap
	right=192.168.0.1
	rightid=@moon.strongswan.org
	rightauth=any
	rightsubnet=10.1.0.0/16
	rightsendcert=never
	auto=start
`

// seedLine is a line of the seed's log and what ours says in its place: a
// pattern of it, or why there is none.
type seedLine struct{ seed, ours, why string }

// seedLines are the seed's log in its order (strongSwan's wiki, "TNC Client with
// PTS-IMC", 29.11.2011), without time and thread; of the dump of its AIK one line.
var seedLines = []seedLine{
	{"[DMN] Starting IKEv2 charon daemon (strongSwan 4.6.2dr1)", `^\[DMN\] Starting IKEv2 client tnc `, ""},
	{"[KNL] listening on interfaces:", "", "tnc binds the one address that leads to the gateway"},
	{"[TNC] loading IMCs from '/etc/tnc_config'", `^\[TNC\] loading IMCs from '`, ""},
	{"[PTS] mandatory PTS measurement algorithm HASH_SHA1[sha1] available", `^\[PTS\]   mandatory PTS measurement algorithm HASH_SHA1\[go\] available`, ""},
	{"[PTS] mandatory PTS measurement algorithm HASH_SHA256[openssl] available", `^\[PTS\]   mandatory PTS measurement algorithm HASH_SHA2_256\[go\] available`, ""},
	{"[PTS] optional PTS measurement algorithm HASH_SHA384[openssl] available", `^\[PTS\]   optional  PTS measurement algorithm HASH_SHA2_384\[go\] available`, ""},
	{"[PTS] optional PTS DH group MODP_2048[gmp] available", `^\[PTS\]   optional  PTS DH group MODP_2048\[go\] available`, ""},
	{"[PTS] optional PTS DH group MODP_1536[gmp] available", `^\[PTS\]   optional  PTS DH group MODP_1536\[go\] available`, ""},
	{"[PTS] optional PTS DH group MODP_1024[gmp] available", `^\[PTS\]   optional  PTS DH group MODP_1024\[go\] available`, ""},
	{"[PTS] mandatory PTS DH group ECP_256[openssl] available", `^\[PTS\]   mandatory PTS DH group ECP_256\[go\] available`, ""},
	{"[PTS] optional PTS DH group ECP_384[openssl] available", `^\[PTS\]   optional  PTS DH group ECP_384\[go\] available`, ""},
	{"[TNC] added IETF attributes", "", "the attributes are tables of the program, nothing is added at run time"},
	{"[LIB] libimcv initialized", `^\[LIB\] gotnc imc-attestation `, ""},
	{`[IMC] IMC 1 "Attestation" initialized`, `^\[IMC\] IMC 1 "Attestation" initialized`, ""},
	{"[PTS] added TCG functional component namespace", "", "tables of the program, as above"},
	{`[IMC] IMC 1 "Attestation" provided with bind function`, `^\[IMC\] IMC 1 "Attestation" provided with bind function`, ""},
	{"[TNC] IMC 1 supports 1 message type: 0x00559701", `^\[TNC\] IMC 1 supports \d message types: 'TCG/PTS' 0x005597/0x00000001`, ""},
	{`[TNC] IMC 1 "Attestation" loaded from '/usr/lib/ipsec/imcvs/imc-attestation.so'`, `^\[TNC\] IMC 1 "Attestation" loaded from '.*/imc-attestation\.so'`, ""},
	{"[CFG] loading ca certificates from '/etc/ipsec.d/cacerts'", `^\[CFG\] loading ca certificates from '.*/ipsec\.d/cacerts'`, ""},
	{`[CFG] loaded ca certificate "C=CH, O=Linux strongSwan, CN=strongSwan Root CA" from '/etc/ipsec.d/cacerts/strongswanCert.pem'`, `^\[CFG\] loaded ca certificate "CN=Rig Root CA,O=Rig,C=CH"`, ""},
	{"[CFG] loading secrets from '/etc/ipsec.secrets'", `^\[CFG\] loading secrets from '.*/ipsec\.secrets'`, ""},
	{"[CFG] loaded EAP secret for carol@strongswan.org", `^\[CFG\] loaded EAP secret for carol@strongswan\.org`, ""},
	{"[DMN] loaded plugins: sha1 random gmp …", "", "tnc has no plugins"},
	{"[JOB] spawning 16 worker threads", "", "tnc has no thread pool"},
	{"[CFG] received stroke: add connection 'home'", "", "no daemon that is spoken to: the file is read"},
	{"[CFG] left nor right host is our side, assuming left=local", "", "left is always our side: tnc is a client"},
	{"[CFG] added configuration 'home'", `^\[CFG\] added configuration 'home'`, ""},
	{"[IKE] initiating IKE_SA home[1] to 192.168.0.1", `^\[IKE\] initiating IKE_SA home\[1\] to 192\.168\.0\.1`, ""},
	{"[ENC] generating IKE_SA_INIT request 0 [ SA KE No N(NATD_S_IP) N(NATD_D_IP) ]", `^\[ENC\] generating IKE_SA_INIT request 0 \[ SA KE No N\(NATD_S_IP\) N\(NATD_D_IP\) `, ""},
	{"[NET] sending packet: from 192.168.0.254[500] to 192.168.0.1[500]", `^\[NET\] sending packet: from 192\.168\.0\.100\[500\] to 192\.168\.0\.1\[500\]`, ""},
	{"[NET] received packet: from 192.168.0.1[500] to 192.168.0.254[500]", `^\[NET\] received packet: from 192\.168\.0\.1\[500\] to 192\.168\.0\.100\[500\]`, ""},
	{"[ENC] parsed IKE_SA_INIT response 0 [ SA KE No N(NATD_S_IP) N(NATD_D_IP) ]", `^\[ENC\] parsed IKE_SA_INIT response 0 \[ SA KE No N\(NATD_S_IP\) N\(NATD_D_IP\) `, ""},
	{"[IKE] establishing CHILD_SA home", `^\[IKE\] establishing CHILD_SA home`, ""},
	{"[ENC] generating IKE_AUTH request 1 [ IDi N(INIT_CONTACT) IDr SA TSi TSr N(MOBIKE_SUP) N(ADD_4_ADDR) N(ADD_4_ADDR) N(ADD_4_ADDR) N(EAP_ONLY) ]", `^\[ENC\] generating IKE_AUTH request 1 \[ IDi N\(INIT_CONTACT\) .*IDr SA TSi TSr N\(MOBIKE_SUP\) .*N\(EAP_ONLY\) \]`, ""},
	{"[NET] sending packet: from 192.168.0.254[4500] to 192.168.0.1[4500]", `^\[NET\] sending packet: from 192\.168\.0\.100\[4500\] to 192\.168\.0\.1\[4500\]`, ""},
	{"[ENC] parsed IKE_AUTH response 1 [ IDr EAP/REQ/TTLS ]", `^\[ENC\] parsed IKE_AUTH response 1 \[ IDr EAP/REQ/TTLS \]`, ""},
	{"[IKE] allow mutual EAP-only authentication", `^\[IKE\] allow mutual EAP-only authentication`, ""},
	{"[IKE] server requested EAP_TTLS authentication (id 0xA8)", `^\[IKE\] server requested EAP_TTLS authentication \(id 0x`, ""},
	{"[TLS] EAP_TTLS version is v0", `^\[TLS\] EAP_TTLS version is v0`, ""},
	{"[ENC] generating IKE_AUTH request 2 [ EAP/RES/TTLS ]", `^\[ENC\] generating IKE_AUTH request 2 \[ EAP/RES/TTLS \]`, ""},
	{"[ENC] parsed IKE_AUTH response 2 [ EAP/REQ/TTLS ]", `^\[ENC\] parsed IKE_AUTH response 2 \[ EAP/REQ/TTLS \]`, ""},
	{"[CFG] using certificate \"C=CH, O=Linux strongSwan, CN=moon.strongswan.org\"", `^\[CFG\] using certificate "CN=moon\.strongswan\.org,O=Rig,C=CH"`, ""},
	{"[CFG] checking certificate status of \"C=CH, O=Linux strongSwan, CN=moon.strongswan.org\"", `^\[CFG\] checking certificate status of "CN=moon\.strongswan\.org,O=Rig,C=CH"`, ""},
	{"[CFG] fetching crl from 'http://crl.strongswan.org/strongswan.crl' ...", "", "the rig's certificates name no CRL; internal/interop/charon fetches them (TestRevocationWithCharon)"},
	{"[CFG] certificate status is good", `^\[CFG\] certificate status is (good|not available)`, ""},
	{"[CFG] reached self-signed root ca with a path length of 0", `^\[CFG\] reached root CA .* with a path length of 0`, ""},
	{"[TLS] negotiated TLS version TLS 1.2 with suite TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", `^\[TLS\] negotiated TLS 1\.2 using suite TLS_ECDHE_RSA_`, ""},
	{"[TLS] received TLS server certificate 'C=CH, O=Linux strongSwan, CN=moon.strongswan.org'", `^\[TLS\] received TLS server certificate 'CN=moon\.strongswan\.org,O=Rig,C=CH'`, ""},
	{"[IKE] received tunneled EAP-TTLS AVP [EAP/REQ/ID]", `^\[IKE\] received tunneled EAP-TTLS AVP \[EAP/REQ/ID\]`, ""},
	{"[IKE] server requested EAP_IDENTITY authentication (id 0x00)", `^\[IKE\] server requested EAP_IDENTITY \(id 0x00\)`, ""},
	{"[IKE] sending tunneled EAP-TTLS AVP [EAP/RES/ID]", `^\[IKE\] sending tunneled EAP-TTLS AVP \[EAP/RES/ID\]`, ""},
	{"[IKE] received tunneled EAP-TTLS AVP [EAP/REQ/MD5]", `^\[IKE\] received tunneled EAP-TTLS AVP \[EAP/REQ/MD5\]`, ""},
	{"[IKE] server requested EAP_MD5 authentication (id 0x36)", `^\[IKE\] server requested EAP_MD5 authentication \(id 0x`, ""},
	{"[IKE] sending tunneled EAP-TTLS AVP [EAP/RES/MD5]", `^\[IKE\] sending tunneled EAP-TTLS AVP \[EAP/RES/MD5\]`, ""},
	{"[IKE] received tunneled EAP-TTLS AVP [EAP/REQ/TNC]", `^\[IKE\] received tunneled EAP-TTLS AVP \[EAP/REQ/(TNC|PT)\]`, ""},
	{"[IKE] server requested EAP_TNC authentication (id 0x84)", `^\[IKE\] server requested EAP_(TNC|PT_EAP) authentication \(id 0x`, ""},
	{"[TLS] EAP_TNC version is v1", `^\[TLS\] EAP_(TNC|PT_EAP) version is v1`, ""},
	{"[TNC] assigned TNCCS Connection ID 1", `^\[TNC\] assigned TNCCS Connection ID 1`, ""},
	{"[TNC] creating PB-TNC CDATA batch", `^\[TNC\] creating PB-TNC CDATA batch`, ""},
	{"[TNC] adding PB-Language-Preference message", `^\[TNC\] adding IETF/PB-Language-Preference message`, ""},
	{"[PTS] platform is 'Ubuntu 11.10 i686'", `^\[IMC\] operating system (name|version) is '`, ""},
	{"[PTS] loaded AIK certificate from '/home/andi/privacyca/AIK_3_Cert.der'", `^\[PTS\] loaded AIK certificate from '.*/aik\.der'`, ""},
	{"[PTS] loaded AIK Blob from '/home/andi/privacyca/AIK_3_Blob.bin'", "", "the rig's TPM is a TPM 2.0, whose AIK is a handle; TestTPM12 loads the seed's kind of blob"},
	{`[IMC] IMC 1 "Attestation" created a state for Connection ID 1`, `^\[IMC\] IMC 1 "Attestation" created a state for IF-TNCCS 2\.0 Connection ID 1`, ""},
	{`[IMC] IMC 1 "Attestation" changed state of Connection ID 1 to 'Handshake'`, `^\[IMC\] IMC 1 "Attestation" changed state of Connection ID 1 to 'Handshake'`, ""},
}

// beside finds our line for each line of the seed's. Lines that the two log in
// another order (of two processes, or before and after a fragment) are found too.
func beside(t *testing.T, log string) []string {
	t.Helper()
	lines := strings.Split(log, "\n")
	out := make([]string, len(seedLines))
	for i, s := range seedLines {
		if s.ours == "" {
			require.NotEmpty(t, s.why, s.seed)
			continue
		}
		re := regexp.MustCompile(s.ours)
		for _, l := range lines {
			if re.MatchString(l) {
				out[i] = l
				break
			}
		}
		require.NotEmpty(t, out[i], "nothing in our log stands for %q\n%s", s.seed, log)
	}
	return out
}

// The seed's configuration against the rig: the run is allowed, and its log is
// the seed's, line by line. docs/seed-run.md is written from such a run.
func TestSeedRun(t *testing.T) {
	t.Setenv("RIG_TLS", "1.2")
	t.Setenv("RIG_PROTO", "tnccs-2.0")
	t.Setenv("TPM_PORT", "2421")
	r := newRig(t)
	r.must("tpm", "20")
	r.must("moon")
	r.must("client", r.lib)
	dir := filepath.Join(r.dir, "etc")
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("ipsec.conf", seedConf)
	write("ipsec.secrets", "carol@strongswan.org : EAP \"Ar3etTnp\"\n")
	write("ipsec.d/cacerts/strongswanCert.pem", readFile(t, filepath.Join(r.dir, "pki", "ca.pem")))
	write("tnc_config", fmt.Sprintf("#IMC configuration file for strongSwan client\n\nIMC \"Attestation\" %s\n", r.lib))

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", "carol", r.tnc, "up", "home", "-v", "--ipsec-conf", filepath.Join(dir, "ipsec.conf"),
		"--strongswan-conf", filepath.Join(r.dir, "client", "strongswan.conf"), "--tnc-config", filepath.Join(dir, "tnc_config"))
	var log output.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool { return strings.Contains(log.String(), "connected; Ctrl-C") }, 40*time.Second, 50*time.Millisecond, "%s", &log)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	require.NoError(t, cmd.Wait(), "%s", &log)
	rec, results := r.results()
	require.Equal(t, "0", rec)
	require.Contains(t, results, "directory measurement correct")

	ours := beside(t, log.String())
	text := func(s string) string {
		return strings.NewReplacer("-dirty", "", dir, "/etc", filepath.Dir(r.lib), "/usr/lib/ipsec/imcvs", r.dir, "/var/lib/rig").Replace(s)
	}
	if *updateSeed {
		var doc bytes.Buffer
		fmt.Fprintf(&doc, "# The seed's run, then and now\n\n"+
			"On the left the log of strongSwan 4.6.2 on its wiki page \"TNC Client with PTS-IMC\" (29.11.2011), without\ntime and thread. "+
			"On the right `tnc up home -v` with the same ipsec.conf against strongSwan 6 as the gateway,\nwritten by\n`go test ./internal/interop/strongswan -run TestSeedRun -update`, which fails where a line is missing.\n\n"+
			"```\n%s```\n\n| then | now |\n|---|---|\n", seedConf)
		for i, s := range seedLines {
			now := "*" + s.why + "*"
			if ours[i] != "" {
				now = "`" + text(ours[i]) + "`"
			}
			fmt.Fprintf(&doc, "| `%s` | %s |\n", s.seed, now)
		}
		require.NoError(t, os.WriteFile(seedDoc, doc.Bytes(), 0o644))
	}
}

// The page holds the seed's lines and, beside each, one that our log may say.
func TestSeedPage(t *testing.T) {
	page := readFile(t, seedDoc)
	require.Contains(t, page, seedConf)
	rows := regexp.MustCompile("(?m)^\\| `(.*?)` \\| (.*) \\|$").FindAllStringSubmatch(page, -1)
	require.Len(t, rows, len(seedLines))
	for i, s := range seedLines {
		require.Equal(t, s.seed, rows[i][1])
		if s.ours == "" {
			require.Equal(t, "*"+s.why+"*", rows[i][2])
		} else {
			require.Regexp(t, s.ours, strings.Trim(rows[i][2], "`"))
		}
	}
}
