package strongswan

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/internal/testpki"
)

// daemon runs a charon in the gateway's namespace until the test ends.
func daemon(t *testing.T, ns, program, swanctl, dir, conf string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := netns.Command(ctx, ns, "bash", "-c", `mount -t tmpfs tmpfs /run; exec "$0"`, program)
	cmd.Env = append(os.Environ(), "STRONGSWAN_CONF="+conf)
	out, err := os.Create(filepath.Join(dir, "out.log"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	require.NoError(t, cmd.Start())
	out.Close()
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			b, _ := os.ReadFile(filepath.Join(dir, "charon.log"))
			t.Logf("%s:\n%s", dir, b[max(0, len(b)-8000):])
		}
	})
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(dir, "vici"))
		b, _ := os.ReadFile(filepath.Join(dir, "charon.log"))
		return err == nil && bytes.Contains(b, []byte("spawning"))
	}, 10*time.Second, 50*time.Millisecond, "charon is up")
	load := netns.Command(context.Background(), ns, swanctl, "--load-all", "--uri", "unix://"+filepath.Join(dir, "vici"))
	load.Env = append(os.Environ(), "STRONGSWAN_CONF="+conf, "SWANCTL_DIR="+filepath.Join(dir, "swanctl"))
	b, err := load.CombinedOutput()
	require.NoError(t, err, "%s", b)
}

// TestPDPOverEAP is tnccs-20-pdp-eap: Debian's charon is the gateway, which
// relays EAP over RADIUS to strongSwan's tnc-pdp. The gateway authenticates
// with its certificate, the PDP with its own inside EAP-TTLS. The original has
// OS and SWIMA; our library is measured beside that.
func TestPDPOverEAP(t *testing.T) {
	t.Run("OS and SWIMA", func(t *testing.T) {
		pdpOverEAP(t, []string{"imv-os", "imv-swima"}, []string{"imc-os", "imc-swima"}, "SWID Tag IDs", "^received inventory of [1-9][0-9]* SW IDs? and 0 SWID tags$")
	})
	t.Run("ours", func(t *testing.T) {
		pdpOverEAP(t, []string{"imv-attestation"}, []string{"ours"}, "", "^directory measurement correct$")
	})
}

// pdpOverEAP runs it with these verifiers and collectors. policy replaces those
// of the rig, want is among the results.
func pdpOverEAP(t *testing.T, imvs, imcs []string, policy, want string) {
	const (
		charon = "/usr/lib/ipsec/charon"
		aaa    = "aaa.strongswan.org"
		radius = "gv6URkSs"
	)
	r := newRigFiles(t)
	need.Program(t, charon, "strongswan-charon")
	need.Program(t, "/usr/sbin/swanctl", "strongswan-swanctl")
	if _, err := os.Stat("/usr/lib/ipsec/plugins/libstrongswan-eap-radius.so"); err != nil {
		need.Program(t, "libstrongswan-eap-radius.so", "libcharon-extra-plugins")
	}
	net := netns.New(t, "10.1.0.1/28")
	ca, err := testpki.NewCA("PDP test CA", testpki.RSA)
	require.NoError(t, err)
	for host, name := range map[string]string{"moon": pdpName, "gw": "gw.strongswan.org"} {
		if host == "moon" {
			name = aaa
		}
		cert, err := ca.Issue(name, testpki.RSA, nil)
		require.NoError(t, err)
		sw := filepath.Join(r.dir, host, "swanctl")
		require.NoError(t, testpki.WriteFiles(cert, filepath.Join(sw, "x509", "host.pem"), filepath.Join(sw, "private", "host.key")))
		r.conf(host+"/swanctl/x509ca/ca.pem", string(ca.PEM()))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(r.dir, "moon", "db"), 0o755))
	if _, err := os.Stat("/etc/tnc_config"); err != nil {
		require.NoError(t, os.WriteFile("/etc/tnc_config", nil, 0o644)) // the policy asks for its metadata
	}
	r.must("db")
	if policy != "" {
		r.sql(filepath.Join(r.dir, "moon", "db", "config.db"), "DELETE FROM enforcements",
			"INSERT INTO enforcements (policy,group_id,max_age) SELECT id,2,0 FROM policies WHERE name='"+policy+"'")
	}
	log := func(dir string) string {
		return fmt.Sprintf("filelog {\n log {\n path = %[1]s/charon.log\n default = 1\n tnc = 2\n imv = 2\n flush_line = yes\n }\n }\n", dir)
	}

	moon := filepath.Join(r.dir, "moon")
	r.conf("moon/swanctl/swanctl.conf", fmt.Sprintf("secrets {\n eap-carol {\n id = %s\n secret = %q\n }\n}\n", pdpUser, pdpPassword))
	r.conf("moon/tnc_config", r.tncConfig("IMV", imvs))
	conf := r.conf("moon/strongswan.conf", fmt.Sprintf(`charon {
  load = random nonce openssl pem pkcs1 pkcs8 x509 pubkey revocation constraints kdf hmac sha1 gmp vici kernel-netlink socket-default eap-identity eap-ttls eap-md5 eap-tnc tnc-pdp tnc-imv tnc-tnccs tnccs-20 sqlite
  port = 0
  port_nat_t = 0
  %[2]s
  plugins {
    vici {
      socket = unix://%[1]s/vici
    }
    eap-ttls {
      phase2_method = md5
      phase2_piggyback = yes
      phase2_tnc = yes
      max_message_count = 0
    }
    eap-tnc {
      max_message_count = 0
    }
    # its rule for table 220 would send the gateway's IKE packets into the tunnel
    kernel-netlink {
      fwmark = !0x42
    }
    tnc-pdp {
      server = %[3]s
      radius {
        secret = %[4]s
      }
      pt_tls {
        enable = no
      }
    }
  }
}
libtls {
  version_max = 1.3
}
libtnccs {
  tnc_config = %[1]s/tnc_config
}
libimcv {
  database = sqlite://%[1]s/db/config.db
  policy_script = %[5]s/libexec/ipsec/imv_policy_manager
}
`+policyManager, moon, log(moon), aaa, radius, r.prefix))
	daemon(t, net.Gateway, filepath.Join(r.prefix, "libexec/ipsec/charon"), filepath.Join(r.prefix, "sbin/swanctl"), moon, conf)

	gw := filepath.Join(r.dir, "gw")
	group := func(name, ts string) string {
		return fmt.Sprintf("rw-%[1]s {\n local_addrs = %[2]s\n local {\n auth = pubkey\n id = gw.strongswan.org\n certs = host.pem\n }\n remote {\n auth = eap-radius\n eap_id = %%any\n groups = %[1]s\n }\n"+
			" children {\n rw-%[1]s {\n local_ts = %[3]s\n esp_proposals = aes128gcm16\n }\n }\n version = 2\n send_cert = always\n send_certreq = no\n proposals = aes128-sha256-ecp256\n}\n", name, net.GatewayAddr, ts)
	}
	r.conf("gw/swanctl/swanctl.conf", "connections {\n"+group("allow", allowNet)+group("isolate", isolateNet)+"}\n")
	conf = r.conf("gw/strongswan.conf", fmt.Sprintf(`charon {
  load = random nonce openssl pem pkcs1 x509 pubkey revocation constraints hmac sha1 sha2 kdf gmp vici kernel-libipsec kernel-netlink socket-default eap-identity eap-radius updown
  multiple_authentication = no
  %[2]s
  plugins {
    vici {
      socket = unix://%[1]s/vici
    }
    eap-radius {
      secret = %[3]s
      server = 127.0.0.1
      filter_id = yes
    }
    kernel-libipsec {
      allow_peer_ts = yes
    }
    kernel-netlink {
      fwmark = !0x42
    }
    socket-default {
      fwmark = 0x42
    }
  }
}
`, gw, log(gw), radius))
	daemon(t, net.Gateway, charon, "/usr/sbin/swanctl", gw, conf)

	r.conf("client/swanctl/x509ca/ca.pem", string(ca.PEM()))
	r.conf("client/swanctl/swanctl.conf", fmt.Sprintf("connections {\n home {\n local_addrs = %s\n remote_addrs = %s\n local {\n auth = eap-ttls\n eap_id = %s\n aaa_id = %s\n }\n remote {\n auth = pubkey\n id = gw.strongswan.org\n }\n"+
		" children {\n home {\n remote_ts = 10.1.0.0/16\n esp_proposals = aes128gcm16\n }\n }\n version = 2\n proposals = aes128-sha256-ecp256\n }\n}\nsecrets {\n eap {\n id = %s\n secret = %q\n }\n}\n",
		net.ClientAddr, net.GatewayAddr, pdpUser, aaa, pdpUser, pdpPassword))
	r.conf("client/tnc_config", r.tncConfig("IMC", imcs))
	// RADIUS carries 4,096 octets a packet: EAP packets must fit.
	r.conf("client/strongswan.conf", "charon {\n plugins {\n eap-ttls {\n fragment_size = 1024\n }\n }\n}\n")
	d := filepath.Join(r.dir, "client")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "ip", "netns", "exec", net.Client, r.tnc, "attest", "home", "--json", "-v", "--dataplane", "none",
		"--swanctl", filepath.Join(d, "swanctl", "swanctl.conf"), "--strongswan-conf", filepath.Join(d, "strongswan.conf"), "--tnc-config", filepath.Join(d, "tnc_config"))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	require.NoError(t, cmd.Run(), "%s%s", &stdout, &stderr)
	var a answer
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &a))
	require.Equal(t, "allowed", a.Recommendation)
	require.Equal(t, []string{allowNet}, a.Child.RemoteTS, "the gateway took the group from the PDP")
	rec, got := r.results()
	require.Equal(t, "0", rec)
	found := regexp.MustCompile(want)
	require.True(t, slices.ContainsFunc(got, found.MatchString), "%q", got)
}

// tncConfig is a tnc_config with these modules.
func (r *rig) tncConfig(kind string, modules []string) string {
	var b strings.Builder
	for _, m := range modules {
		fmt.Fprintf(&b, "%s %q %s\n", kind, m, r.module(m))
	}
	return b.String()
}
