package strongswan

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// edit replaces a text of one of the rig's configuration files.
type edit struct{ file, old, new string }

// Files that the rig makes the configurations of.
const (
	moonConf  = "moon.strongswan.conf"
	carolConf = "carol.strongswan.conf"
	script    = "rig"

	moonSwanctl  = "moon.swanctl.conf"
	carolSwanctl = "carol.swanctl.conf"
)

// Edits that several scenarios share.
var (
	overEAPTNC = edit{moonConf, "phase2_tnc = yes", "phase2_tnc = yes\n      phase2_tnc_method = tnc"}
	testIMV    = func(s string) edit {
		return edit{moonConf, "    imv-attestation {", "    imv-test {\n" + s + "\n    }\n    imv-attestation {"}
	}
	testIMC = func(s string) edit {
		return edit{carolConf, "    imc-attestation {", "    imc-test {\n" + s + "\n    }\n    imc-attestation {"}
	}
	protocol = func(p string) edit { return edit{carolConf, "    eap-tnc {", "    eap-tnc {\n      protocol = " + p} }
)

// imvs makes the gateway load these IMVs; imcs, for mutual measurement, these IMCs.
func imvs(names ...string) edit {
	var b strings.Builder
	for _, n := range names {
		kind, name, _ := strings.Cut(n, "-")
		fmt.Fprintf(&b, `%s "%s" %%s/lib/ipsec/imcvs/%s.so\n`, strings.ToUpper(kind), name, n)
	}
	const was = `printf 'IMV "Attestation" %s/lib/ipsec/imcvs/imv-attestation.so\n' "$PREFIX" >`
	return edit{script, was, "printf '" + b.String() + "'" + strings.Repeat(` "$PREFIX"`, len(names)) + " >"}
}

// edited makes the rig run from a copy of its files with the edits.
func (r *rig) edited(edits ...edit) {
	r.t.Helper()
	from := filepath.Dir(r.script)
	to := filepath.Join(r.t.TempDir(), "rig")
	require.NoError(r.t, os.CopyFS(to, os.DirFS(from)))
	for _, e := range edits {
		path := filepath.Join(to, e.file)
		require.NoError(r.t, os.Chmod(path, 0o755))
		b, err := os.ReadFile(path)
		require.NoError(r.t, err)
		require.Contains(r.t, string(b), e.old, "%s has what the scenario changes", e.file)
		require.NoError(r.t, os.WriteFile(path, []byte(strings.Replace(string(b), e.old, e.new, 1)), 0o755))
	}
	require.NoError(r.t, os.Chmod(filepath.Join(to, "rig"), 0o755))
	r.script = filepath.Join(to, "rig")
}

func (r *rig) module(name string) string {
	switch {
	case name == "ours":
		return r.lib
	case filepath.IsAbs(name):
		return name
	}
	return filepath.Join(r.prefix, "lib", "ipsec", "imcvs", name+".so")
}

// answer is what tnc attest says.
type answer struct {
	Recommendation string `json:"recommendation"`
	Assessment     string `json:"assessment"`
	PDP            string `json:"pdp"`
	Peer           string `json:"peer"`
	Error          string `json:"error"`
	Reasons        []struct{ Text, Language string }
	Remediation    []struct{ Text string }
	Child          *struct {
		RemoteTS []string `json:"remote_ts"`
	} `json:"child"`
	Explained []struct {
		Verifier, Asked, IMC string
		Answers              []string
	} `json:"explained"`
	log string
}

// attest runs our client with these IMCs.
func (r *rig) attest(imcs ...string) answer {
	r.t.Helper()
	paths := []string{"client"}
	for _, n := range imcs {
		paths = append(paths, r.module(n))
	}
	r.must(paths...)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := r.client(ctx, "attest", "--json", "--explain", "-v", "--dataplane", "none")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	_ = cmd.Run()
	var a answer
	require.NoError(r.t, json.Unmarshal(stdout.Bytes(), &a), "%s%s", &stdout, &stderr)
	a.log = stderr.String()
	return a
}

// initiate runs strongSwan's client with these IMCs and returns what swanctl
// said, and charon's log.
func (r *rig) initiate(imcs ...string) (said, log string) {
	r.t.Helper()
	args := []string{"carol"}
	for _, n := range imcs {
		args = append(args, r.module(n))
	}
	r.must(args...)
	said, _ = r.rig("connect")
	log = readFile(r.t, filepath.Join(r.dir, "carol", "charon.log"))
	r.must("stop", "carol")
	return said, log
}

const (
	allowNet   = "10.1.0.0/28"
	isolateNet = "10.1.0.16/28"
)

// TestScenarios runs strongSwan's TNC test suite by name (docs/scenarios.md):
// strongSwan's client and ours, with the same IMCs against the same gateway,
// get the same. ours lists the IMCs with which the library takes the place of
// strongSwan's in its own client.
func TestScenarios(t *testing.T) {
	r := newRig(t)
	original := r.script
	for _, s := range []struct {
		name  string
		edits []edit
		imcs  []string
		ours  []string
		want  string // recommendation
		net   string // that the gateway lets us into
		logs  []string
		moon  []string // in the gateway's log
	}{
		{
			name: "tnccs-11", edits: []edit{imvs("imv-test", "imv-scanner"), overEAPTNC, protocol("tnccs-1.1"), testIMV("rounds = 1"), testIMC("command = allow")},
			imcs: []string{"imc-test", "imc-scanner"}, want: "allowed", net: allowNet, logs: []string{"TNC recommendation is 'allow'"},
		},
		{
			name: "tnccs-11 isolated", edits: []edit{imvs("imv-test", "imv-scanner"), overEAPTNC, protocol("tnccs-1.1"), testIMC("command = isolate")},
			imcs: []string{"imc-test", "imc-scanner"}, want: "isolated", net: isolateNet, logs: []string{"TNC recommendation is 'isolate'"},
		},
		{ // PT-EAP is the gateway's default; the setting of the protocol counts over it too
			name: "tnccs-11 PT-EAP", edits: []edit{imvs("imv-test", "imv-scanner"), protocol("tnccs-1.1"), testIMV("rounds = 1"), testIMC("command = allow")},
			imcs: []string{"imc-test", "imc-scanner"}, want: "allowed", net: allowNet, logs: []string{"TNC recommendation is 'allow'"},
		},
		{
			name: "tnccs-20", edits: []edit{imvs("imv-test", "imv-scanner"), testIMV("rounds = 1"), testIMC("command = allow\n additional_ids = 2")},
			imcs: []string{"imc-test", "imc-scanner"}, want: "allowed", net: allowNet, logs: []string{"PB-TNC access recommendation is 'Access Allowed'"},
		},
		{
			name: "tnccs-20 isolated", edits: []edit{imvs("imv-test", "imv-scanner"), testIMV("rounds = 1"), testIMC("command = isolate")},
			imcs: []string{"imc-test", "imc-scanner"}, want: "isolated", net: isolateNet, logs: []string{"PB-TNC access recommendation is 'Quarantined'"},
		},
		{
			name: "tnccs-20-block", edits: []edit{imvs("imv-test", "imv-scanner"), testIMC("command = block")},
			imcs: []string{"imc-test", "imc-scanner"}, want: "denied", logs: []string{"PB-TNC access recommendation is 'Access Denied'"},
		},
		{
			name: "tnccs-20-client-retry", edits: []edit{imvs("imv-test", "imv-scanner"), testIMC("command = isolate\n retry = yes\n retry_command = allow")},
			imcs: []string{"imc-test", "imc-scanner"}, want: "allowed", net: allowNet,
			logs: []string{"PB-TNC access recommendation is 'Quarantined'", "creating PB-TNC CRETRY batch", "PB-TNC access recommendation is 'Access Allowed'"},
		},
		{
			name: "tnccs-20-client-retry isolated", edits: []edit{imvs("imv-test", "imv-scanner"), testIMC("command = isolate\n retry = yes\n retry_command = isolate")},
			imcs: []string{"imc-test", "imc-scanner"}, want: "isolated", net: isolateNet, logs: []string{"creating PB-TNC CRETRY batch"},
		},
		{
			name: "tnccs-20-fail-init version", edits: []edit{imvs("imv-test", "imv-scanner"), {carolConf, "    eap-tnc {", "    tnccs-20 {\n tests {\n pb_tnc_version = 3\n }\n }\n    eap-tnc {"}},
			imcs: []string{"imc-test", "imc-scanner"}, want: "none",
			logs: []string{"received fatal PB-TNC error 'Version Not Supported' caused by bad version 0x03"}, moon: []string{"unsupported TNCCS batch version 0x03"},
		},
		{
			name: "tnccs-20-fail-init noskip", edits: []edit{imvs("imv-test", "imv-scanner"), {carolConf, "    eap-tnc {", "    tnccs-20 {\n tests {\n pb_tnc_noskip = yes\n }\n }\n    eap-tnc {"}},
			imcs: []string{"imc-test", "imc-scanner"}, want: "none",
			logs: []string{"received fatal PB-TNC error 'Unsupported Mandatory Message'"}, moon: []string{"reject PB-TNC message (0x00902a/0x00000000)"},
		},
		{
			name: "tnccs-20-fail-resp", edits: []edit{imvs("imv-test", "imv-scanner"), {moonConf, "    eap-tnc {", "    tnccs-20 {\n tests {\n pb_tnc_version = 3\n }\n }\n    eap-tnc {"}},
			imcs: []string{"imc-test", "imc-scanner"}, want: "none",
			logs: []string{"unsupported TNCCS batch version 0x03"}, moon: []string{"received fatal PB-TNC error 'Version Not Supported' caused by bad version 0x03"},
		},
		{
			name: "tnccs-20-tls", edits: []edit{
				imvs("imv-test", "imv-scanner"), testIMC("command = allow"),
				{moonConf, "phase2_tnc = yes", "phase2_tnc = yes\n      request_peer_auth = yes"},
				{moonSwanctl, "id = *@strongswan.org", "id = *.strongswan.org"}, {moonSwanctl, "id = *@strongswan.org", "id = *.strongswan.org"},
				{carolSwanctl, "id = carol@strongswan.org", "id = carol.strongswan.org\n         certs = carol.pem"},
				{script, `cp "$DIR/pki/ca.pem" "$DIR/client/swanctl/x509ca/"`, `cp "$DIR/pki/ca.pem" "$DIR/client/swanctl/x509ca/"; cp -r "$DIR/carol/swanctl/x509" "$DIR/carol/swanctl/private" "$DIR/client/swanctl/"`},
			},
			imcs: []string{"imc-test", "imc-scanner"}, want: "allowed", net: allowNet, moon: []string{"CN=carol.strongswan.org"},
		},
		{
			name: "tnccs-20-os", edits: []edit{imvs("imv-os")},
			imcs: []string{"imc-os"}, want: "allowed", net: allowNet, logs: []string{"operating system name is 'Debian'"},
		},
		{
			name: "tnccs-20-os-pts", edits: []edit{imvs("imv-os", "imv-attestation")},
			imcs: []string{"imc-os", "imc-attestation"}, ours: []string{"ours"}, want: "allowed", net: allowNet,
		},
		{
			name: "tnccs-20-pts", edits: []edit{imvs("imv-attestation")},
			imcs: []string{"imc-os", "imc-attestation"}, ours: []string{"ours"}, want: "allowed", net: allowNet,
		},
		{
			name: "tnccs-20-pts-no-ecc", edits: []edit{
				imvs("imv-attestation"),
				{carolConf, "    imc-attestation {", "    imc-attestation {\n      mandatory_dh_groups = no"},
				{moonConf, "    imv-attestation {", "    imv-attestation {\n      mandatory_dh_groups = no\n      dh_group = modp1536"},
			},
			imcs: []string{"imc-os", "imc-attestation"}, ours: []string{"ours"}, want: "allowed", net: allowNet,
		},
		{
			name: "tnccs-dynamic 1.1", edits: []edit{imvs("imv-test", "imv-scanner"), overEAPTNC, protocol("tnccs-1.1"), testIMC("command = allow")},
			imcs: []string{"imc-test", "imc-scanner"}, want: "allowed", net: allowNet, moon: []string{"TNCCS 1.1 protocol detected"},
		},
		{
			name: "tnccs-dynamic 2.0", edits: []edit{imvs("imv-test", "imv-scanner"), overEAPTNC, protocol("tnccs-2.0"), testIMC("command = isolate")},
			imcs: []string{"imc-test", "imc-scanner"}, want: "isolated", net: isolateNet, moon: []string{"TNCCS 2.0 protocol detected"},
		},
	} {
		t.Run(s.name, func(t *testing.T) {
			r.t, r.script = t, original
			r.edited(s.edits...)
			switch {
			case strings.HasPrefix(s.name, "tnccs-11"):
				t.Setenv("RIG_PROTO", "tnccs-1.1")
			case strings.HasPrefix(s.name, "tnccs-20"):
				t.Setenv("RIG_PROTO", "tnccs-2.0")
			}
			stored := s.name[:8] == "tnccs-20" && strings.Contains(s.name, "pts")
			r.must("moon")
			said, log := r.initiate(s.imcs...)
			established := strings.Contains(said, "initiate completed successfully")
			require.Equal(t, s.net != "", established, "strongSwan's client: %s", said)
			for _, l := range s.logs {
				require.Contains(t, log, l, "strongSwan's client")
			}
			var wantRec string
			var want []string
			if stored {
				wantRec, want = r.results()
			}

			if stored {
				r.must("moon") // a fresh database
			}
			a := r.attest(s.imcs...)
			require.Equal(t, s.want, a.Recommendation, "%s", a.log)
			for _, l := range s.logs {
				require.Contains(t, a.log, l)
			}
			if s.net != "" {
				require.NotNil(t, a.Child, "%s", a.log)
				require.Equal(t, []string{s.net}, a.Child.RemoteTS)
				require.Contains(t, said, "=== "+s.net, "strongSwan's client is let into the same network")
			} else {
				require.Nil(t, a.Child)
				require.NotEmpty(t, a.log)
			}
			moon := readFile(t, filepath.Join(r.dir, "moon", "charon.log"))
			for _, l := range s.moon {
				require.Contains(t, moon, l)
			}
			if stored {
				rec, got := r.results()
				require.Equal(t, wantRec, rec)
				require.ElementsMatch(t, want, got)
			}

			if s.ours == nil {
				return
			}
			r.must("moon")
			said, log = r.initiate(s.ours...)
			require.Contains(t, said, "initiate completed successfully", "our library in strongSwan's client: %s", log)
			rec, got := r.results()
			require.Equal(t, wantRec, rec)
			require.ElementsMatch(t, want, got, "our library in strongSwan's client")
		})
	}
	r.t, r.script = t, original
}
