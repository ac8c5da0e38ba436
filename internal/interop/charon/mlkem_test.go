package charon

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/internal/testpki"
)

// strongSwan6 is a strongSwan with ML-KEM and RFC 9370, which Debian's 5.9 lacks.
func strongSwan6(t *testing.T) peer {
	prefix := need.StrongSwan(t)
	return peer{filepath.Join(prefix, "libexec/ipsec/charon"), filepath.Join(prefix, "sbin/swanctl")}
}

// ML-KEM beside a classic key exchange, alone, and several of them, in
// IKE_INTERMEDIATE exchanges; then both ends rekey both SAs, with
// IKE_FOLLOWUP_KE, under a ping.
func TestMLKEM(t *testing.T) {
	for _, c := range []struct{ ike, esp, log string }{
		{"aes128gcm16-prfsha256-x25519-ke1_mlkem768", "aes128gcm16-x25519-ke1_mlkem768", "KE1_ML_KEM_768"},
		{"aes256-sha384-ecp384-ke1_mlkem1024-ke3_x25519", "aes256gcm16-mlkem768-ke2_ecp256", "KE3_CURVE_25519"},
		{"aes256gcm16-prfsha384-mlkem768", "aes256gcm16-mlkem1024", "PRF_HMAC_SHA2_384/ML_KEM_768"},
	} {
		t.Run(c.ike, func(t *testing.T) {
			s := newSite(t, options{proposals: c.ike, esp: c.esp, peer: strongSwan6(t)})
			r := s.up("-v")
			require.Contains(t, r.out.String(), c.log)
			counts := s.flood(2.5)
			for i, what := range []string{"--child", "--ike"} {
				time.Sleep(300 * time.Millisecond)
				out, err := s.swanctl("--rekey", what, "rw")
				require.NoError(t, err, "%d %s", i, out)
			}
			r.waitFor("IKE_SA home[2] rekeyed between")
			s.say("rekey")
			r.waitFor("IKE_SA home[3] rekeyed between")
			r.waitFor("CHILD_SA home{3} established")
			sent, received := counts()
			require.Equal(t, sent, received, "packets were lost")
			if strings.Contains(c.ike, "-ke1_") {
				require.Contains(t, r.out.String(), "generating IKE_INTERMEDIATE request 1 [ KE ]")
				require.Contains(t, r.out.String(), "parsed IKE_FOLLOWUP_KE request")
				require.Contains(t, r.out.String(), "generating IKE_FOLLOWUP_KE request")
			}
			require.NoError(t, r.stop())
			s.nothingLeft()
		})
	}
}

// A gateway that knows nothing of additional key exchanges takes the proposal
// without, where one is offered, and refuses otherwise.
func TestMLKEMWithOldGateway(t *testing.T) {
	const hybrid = usualIKE + "-ke1_mlkem768"
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	s.client(options{proposals: hybrid + "," + usualIKE, esp: usualESP})
	stdout, stderr, code := s.run("attest")
	require.Zero(t, code, "%s%s", stdout, stderr)
	require.NotContains(t, stdout, "ML_KEM")
	s.client(options{proposals: hybrid, esp: usualESP})
	_, stderr, code = s.run("attest")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "compare proposals")
}

// The AUTH payloads of every kind cover the IKE_INTERMEDIATE exchanges: keys,
// certificates, both with a post-quantum preshared key, and EAP after a signature.
func TestMLKEMWithEveryAuthentication(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP, peer: strongSwan6(t)})
	s.useAsTLSServer()
	s.certificates(newCA(t, testpki.ECDSA), "ec", testpki.ECDSA, nil)
	const hybrid = "proposals = " + usualIKE + "-ke1_mlkem768\n"
	ppk := "ppk_id = pq\nppk_required = yes\n"
	secrets := "ike {\nsecret = any\n}\neap {\nid = " + user + "\nsecret = " + password + "\n}\nppk {\nid = pq\nsecret = 0s5mJ8n0JkPcaZ6NO9pJ4c1yk6fRVu9VVUSdO0xCn6cEM=\n}\n"
	sign := authCase{gwLocal: pubkey("pubkey", "ec") + gwIs, gwRemote: "auth = pubkey\n" + carolIs, clLocal: pubkey("pubkey", "ec") + carolIs, clRemote: "auth = pubkey\n" + gwIs}
	key := authCase{gwLocal: byPSK + gwIs, gwRemote: byPSK + carolIs, clLocal: byPSK + carolIs, clRemote: byPSK + gwIs}
	eap := authCase{gwLocal: pubkey("pubkey", "ec") + gwIs, gwRemote: "auth = eap-mschapv2\n" + carolIs, clLocal: "auth = eap\n" + carolIs, clRemote: "auth = pubkey\n" + gwIs}
	for name, c := range map[string]authCase{"certificates": sign, "PSK": key, "EAP": eap} {
		for _, more := range []string{hybrid, hybrid + ppk} {
			t.Run(name, func(t *testing.T) {
				c.gwMore, c.clMore, c.secrets = more, more, secrets
				s.accepted(c, "KE1_ML_KEM_768", "generating IKE_INTERMEDIATE request 1 [ KE ]")
			})
		}
	}
}

// Both ends rekey at once, again and again, with IKE_FOLLOWUP_KE in between: the
// tunnel works after it, with one IKE_SA and one CHILD_SA left at the gateway.
func TestMLKEMCollisions(t *testing.T) {
	const hybrid = "-ke1_mlkem768-ke2_ecp384"
	s := newSite(t, options{proposals: usualIKE + hybrid, esp: usualESP + "-x25519" + hybrid, peer: strongSwan6(t)})
	r := s.up("-v")
	for range 6 {
		var wait sync.WaitGroup
		for _, f := range []func(){
			func() { s.say("rekey") },
			func() { _, _ = s.swanctl("--rekey", "--child", "rw") },
			func() { _, _ = s.swanctl("--rekey", "--ike", "rw") },
		} {
			wait.Add(1)
			go func() { defer wait.Done(); f() }()
		}
		wait.Wait()
	}
	require.Eventually(t, func() bool {
		list, err := s.swanctl("--list-sas")
		return err == nil && strings.Count(list, "ESTABLISHED") == 1 && strings.Count(list, "INSTALLED") == 1 && !strings.Contains(list, "REKEY")
	}, patience, 200*time.Millisecond, "one IKE_SA and one CHILD_SA remain")
	out, err := netns.Run(s.Client, "ping", "-c", "5", "-i", "0.1", "-W", "2", inside)
	require.NoError(t, err, out)
	require.Equal(t, 1, r.count("] established between"), "never set up anew")
	require.NoError(t, r.stop())
	s.nothingLeft()
}
