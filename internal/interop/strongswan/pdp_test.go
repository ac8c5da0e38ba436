package strongswan

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/testpki"
)

// pdp is strongSwan's policy decision point: a charon with the plugin tnc-pdp,
// which serves PT-TLS, in a network namespace of its own.
type pdp struct {
	*rig
	net *netns.Pair
	ca  *testpki.CA // of both ends
	log string
}

const (
	pdpName     = "moon.strongswan.org"
	pdpUser     = "carol"
	pdpPassword = "Ar3etTnp"
)

// policyManager is how strongSwan's IMV policy manager is configured.
const policyManager = `imv_policy_manager {
  load = random nonce openssl sqlite
  command_allow = true
  command_block = true
  command_isolate = true
}
`

// conf writes a file below the rig's directory and returns its path.
func (r *rig) conf(name, content string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	require.NoError(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(r.t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// newPDP starts it; edits change its strongswan.conf and tnc_config, whose
// paths begin with moon/.
func newPDP(t *testing.T, tls string, edits ...edit) *pdp {
	t.Helper()
	p := &pdp{rig: newRigFiles(t)}
	p.net = netns.New(t)
	ca, err := testpki.NewCA("PDP test CA", testpki.RSA)
	require.NoError(t, err)
	p.ca = ca
	server, err := ca.Issue(pdpName, testpki.RSA, func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.ParseIP(p.net.GatewayAddr)} })
	require.NoError(t, err)
	client, err := ca.Issue("carol.strongswan.org", testpki.RSA, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	require.NoError(t, err)
	moon := filepath.Join(p.dir, "moon")
	p.conf("moon/swanctl/x509ca/ca.pem", string(ca.PEM()))
	p.conf("ca.pem", string(ca.PEM()))
	require.NoError(t, testpki.WriteFiles(server, filepath.Join(moon, "swanctl/x509/moon.pem"), filepath.Join(moon, "swanctl/private/moon.key")))
	require.NoError(t, testpki.WriteFiles(client, filepath.Join(p.dir, "carol.pem"), filepath.Join(p.dir, "carol.key")))
	require.NoError(t, os.MkdirAll(filepath.Join(moon, "db"), 0o755))
	if _, err := os.Stat("/etc/tnc_config"); err != nil {
		require.NoError(t, os.WriteFile("/etc/tnc_config", nil, 0o644)) // the policy asks for its metadata
	}
	p.must("db")
	p.conf("moon/swanctl/swanctl.conf", fmt.Sprintf("secrets {\n  eap-carol {\n    id = %s\n    secret = %q\n  }\n}\n", pdpUser, pdpPassword))
	tncConfig := fmt.Sprintf("IMV \"Attestation\" %s/lib/ipsec/imcvs/imv-attestation.so\n", p.prefix)
	p.log = filepath.Join(moon, "charon.log")
	settings := fmt.Sprintf(`charon {
  load = random nonce openssl pem pkcs1 pkcs8 x509 pubkey revocation constraints kdf hmac sha1 gmp vici kernel-netlink socket-default tnc-pdp tnc-imv tnc-tnccs tnccs-20 sqlite
  filelog {
    log {
      path = %[1]s/charon.log
      default = 1
      tnc = 2
      tls = 2
      imv = 2
      flush_line = yes
    }
  }
  plugins {
    vici {
      socket = unix://%[1]s/vici
    }
    tnc-pdp {
      server = %[2]s
      radius {
        enable = no
      }
    }
  }
}
libtls {
  version_max = %[3]s
}
libtnccs {
  tnc_config = %[1]s/tnc_config
}
libimcv {
  database = sqlite://%[1]s/db/config.db
  policy_script = %[4]s/libexec/ipsec/imv_policy_manager
}
`+policyManager, moon, pdpName, tls, p.prefix)
	for _, e := range edits {
		text := &settings
		if e.file == "moon/tnc_config" {
			text = &tncConfig
		}
		require.Contains(t, *text, e.old)
		*text = strings.Replace(*text, e.old, strings.ReplaceAll(e.new, "PREFIX", p.prefix), 1)
	}
	p.conf("moon/tnc_config", tncConfig)
	conf := p.conf("moon/strongswan.conf", settings)

	ctx, cancel := context.WithCancel(context.Background())
	// charon's PID file is below /run: it gets one of its own.
	cmd := netns.Command(ctx, p.net.Gateway, "bash", "-c", `mount -t tmpfs tmpfs /run; exec "$0"`, filepath.Join(p.prefix, "libexec/ipsec/charon"))
	cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+conf)
	out, err := os.Create(filepath.Join(moon, "out.log"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	require.NoError(t, cmd.Start())
	out.Close()
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(moon, "vici"))
		b, _ := os.ReadFile(p.log)
		return err == nil && bytes.Contains(b, []byte("spawning"))
	}, 10*time.Second, 50*time.Millisecond, "charon is up")
	load := netns.Command(context.Background(), p.net.Gateway, filepath.Join(p.prefix, "sbin/swanctl"), "--load-creds", "--uri", "unix://"+filepath.Join(moon, "vici"))
	load.Env = append(os.Environ(), "STRONGSWAN_CONF="+conf, "SWANCTL_DIR="+filepath.Join(moon, "swanctl"))
	loaded, err := load.CombinedOutput()
	require.NoError(t, err, "%s", loaded)
	return p
}

// run runs a client in the other namespace with these IMCs.
func (p *pdp) run(program, conf, imcs string, args ...string) (stdout, stderr string, err error) {
	p.t.Helper()
	tncConfig := p.conf("client/tnc_config", imcs)
	file := p.conf("client/strongswan.conf", fmt.Sprintf("libtnccs {\n  tnc_config = %s\n}\n%s", tncConfig, conf))
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := netns.Command(ctx, p.net.Client, append([]string{program}, args...)...)
	cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+file)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err = cmd.Run()
	return o.String(), e.String(), err
}

// credentials are pt-tls-client's options, which `tnc pt-tls` takes as well.
func (p *pdp) credentials(sasl bool) []string {
	args := []string{"--connect", p.net.GatewayAddr, "--cert", filepath.Join(p.dir, "ca.pem")}
	if sasl {
		return append(args, "--client", pdpUser, "--secret", pdpPassword)
	}
	return append(args, "--cert", filepath.Join(p.dir, "carol.pem"), "--key", filepath.Join(p.dir, "carol.key"))
}

// decided returns what the newest session came to, once the server knows.
func (p *pdp) decided(sessions int) (rec string, results []string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		return strings.Count(readFile(p.t, p.log), "PB-TNC state transition from 'Decided' to 'End'") >= sessions
	}, 10*time.Second, 50*time.Millisecond, "the server saw CLOSE")
	return p.results()
}

// tnccs-20-pdp-pt-tls: `tnc pt-tls` does against strongSwan's tnc-pdp what
// strongSwan's own pt-tls-client does, with a certificate and with a password.
func TestPTTLSAgainstPDP(t *testing.T) {
	for _, tls := range []string{"1.3", "1.2"} {
		t.Run("TLS "+tls, func(t *testing.T) {
			p := newPDP(t, tls)
			theirs := fmt.Sprintf("IMC \"OS\" %[1]s/lib/ipsec/imcvs/imc-os.so\nIMC \"Attestation\" %[1]s/lib/ipsec/imcvs/imc-attestation.so\n", p.prefix)
			_, stderr, err := p.run(filepath.Join(p.prefix, "bin/pt-tls-client"),
				"pt-tls-client {\n  load = revocation constraints pem openssl nonce random pkcs1 pkcs8 x509 pubkey sha1 gmp tnc-tnccs tnc-imc tnccs-20\n}\nlibtls {\n  version_max = "+tls+"\n}\n",
				theirs, append(p.credentials(true), "--debug", "1")...)
			t.Logf("pt-tls-client: %v", err) // its exit code says nothing about the recommendation
			require.Contains(t, stderr, "received SASL Success result")
			wantRec, want := p.decided(1)
			require.Equal(t, "0", wantRec, "strongSwan's client is allowed")

			ours := "IMC \"Attestation\" " + p.lib + "\n"
			for i, sasl := range []bool{true, false} {
				how, line := "certificate", "skipping SASL, client already authenticated by TLS certificate"
				if sasl {
					how, line = "SASL PLAIN", "SASL client identity is 'carol'"
				}
				stdout, stderr, err := p.run(p.tnc, "", ours, append([]string{"pt-tls", "--json"}, p.credentials(sasl)...)...)
				require.NoError(t, err, "%s%s\n%s", stdout, stderr, readFile(t, p.log))
				var out struct {
					Recommendation string `json:"recommendation"`
					Authentication string `json:"authentication"`
					TLS            string `json:"tls"`
				}
				require.NoError(t, json.Unmarshal([]byte(stdout), &out))
				require.Equal(t, "allowed", out.Recommendation)
				require.Equal(t, how, out.Authentication)
				require.Contains(t, out.TLS, "TLS "+tls)
				rec, got := p.decided(i + 2)
				require.Equal(t, wantRec, rec)
				t.Log(want, got)
				log := readFile(t, p.log)
				require.Contains(t, log, line)
				require.NotContains(t, stdout+stderr, pdpPassword)
			}

			// Our client with strongSwan's IMCs, which are C libraries.
			stdout, stderr, err := p.run(p.tnc, "", theirs, append([]string{"pt-tls", "--json"}, p.credentials(false)...)...)
			require.NoError(t, err, "%s%s", stdout, stderr)
			rec, got := p.decided(4)
			require.Equal(t, wantRec, rec)
			// In a database that knows the device, strongSwan's verifier asks for less.
			require.NotEmpty(t, got)
			require.Subset(t, want, got)

			// A wrong password, and a server of another name.
			wrong := append(p.credentials(true), "--secret", "guess")
			_, stderr, err = p.run(p.tnc, "", ours, append([]string{"pt-tls"}, wrong...)...)
			require.Equal(t, 1, exitCode(err))
			require.Contains(t, stderr, "refused the authentication")
			_, stderr, err = p.run(p.tnc, "", ours, append([]string{"pt-tls", "--server-name", "other.strongswan.org"}, p.credentials(true)...)...)
			require.Equal(t, 1, exitCode(err))
			require.Contains(t, stderr, "no password was sent")
		})
	}
}

func exitCode(err error) int {
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	return 0
}
