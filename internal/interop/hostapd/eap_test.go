package hostapd

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/eaptls"
	"github.com/gotnc/gotnc/ike/eap/gtc"
	"github.com/gotnc/gotnc/ike/eap/md5"
	"github.com/gotnc/gotnc/ike/eap/mschapv2"
	"github.com/gotnc/gotnc/ike/eap/peap"
	"github.com/gotnc/gotnc/ike/eap/ttls"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/interop/output"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/internal/testpki"
)

// byName are the methods that need a name and a password or a certificate.
func byName(cfg eaptls.Config, name, password string, tunneled bool) map[string]eap.Offer {
	cfg.Tunneled = tunneled
	return map[string]eap.Offer{
		"MD5":      md5.Offer([]byte(password)),
		"GTC":      gtc.Offer([]byte(password)),
		"MSCHAPV2": mschapv2.Offer(mschapv2.Config{User: name, Password: []byte(password)}),
		"TLS":      eaptls.Offer(cfg),
	}
}

// Every EAP method, with hostapd as the server: alone, and each of them inside
// EAP-TTLS and PEAP, over TLS 1.2 and 1.3. The RADIUS keys of the Access-Accept
// are hostapd's MSK.
func TestMethods(t *testing.T) {
	need.Root(t)
	var users strings.Builder
	for _, m := range []string{"MD5", "GTC", "MSCHAPV2", "TLS"} {
		secret := fmt.Sprintf(" %q", password)
		if m == "TLS" {
			secret = ""
		}
		fmt.Fprintf(&users, "\"outer-%s\" %s%s\n\"inner-%s\" %s%s [2]\n", m, m, secret, m, m, secret)
	}
	users.WriteString("\"tunnel-peap0\" PEAP [ver=0]\n\"tunnel-peap\" PEAP\n\"tunnel-ttls\" TTLS\n")
	for name, version := range map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13} {
		t.Run(name, func(t *testing.T) {
			conf := "fragment_size=600\n"
			if version == tls.VersionTLS13 {
				conf += "tls_flags=[ENABLE-TLSv1.3]\n"
			}
			s := launch(t, launchOptions{users: users.String(), conf: conf})
			own, err := s.ca.Issue("carol.gotnc.test", testpki.RSA, func(c *x509.Certificate) {
				c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
			})
			require.NoError(t, err)
			var text output.Buffer
			lg := log.NewWriter(&text, slog.LevelInfo)
			t.Cleanup(func() {
				if t.Failed() {
					t.Logf("ours:\n%s", &text)
				}
			})
			cfg := eaptls.Config{FragmentSize: 900, Logger: lg, TLS: eap.TLSConfig{Roots: s.roots, ServerName: "radius.gotnc.test",
				MinVersion: version, MaxVersion: version, Certificates: []tls.Certificate{own}}}
			run := func(name, identity string, offer eap.Offer, code byte) {
				t.Run(name, func(t *testing.T) {
					p := eap.NewPeer(eap.Config{Identity: identity, Methods: []eap.Offer{offer}, Logger: lg})
					defer p.Close()
					got, err := s.converse(t, identity, p)
					require.Equal(t, code, got, "%v", err)
				})
			}
			// hostapd 2.10 takes another key for Crypto-Binding over TLS 1.3 than RFC
			// 9427 §2.3 says: PEAP over TLS 1.3 is in internal/interop/charon.
			tunnels := func(inner eap.Config) map[string]eap.Offer {
				offers := map[string]eap.Offer{"ttls": ttls.Offer(ttls.Config{TLS: cfg.TLS, Inner: inner, FragmentSize: cfg.FragmentSize, Logger: lg})}
				if version == tls.VersionTLS12 {
					offers["peap"] = peap.Offer(peap.Config{TLS: cfg.TLS, Inner: inner, FragmentSize: cfg.FragmentSize, Logger: lg})
					offers["peap0"] = offers["peap"]
				}
				return offers
			}
			for m, offer := range byName(cfg, "", password, false) {
				if m == "MSCHAPV2" {
					offer = byName(cfg, "outer-MSCHAPV2", password, false)[m]
				}
				if version == tls.VersionTLS12 || m == "TLS" {
					run(m, "outer-"+m, offer, accessAccept)
				}
				for tunnel, o := range tunnels(eap.Config{Identity: "inner-" + m, Methods: []eap.Offer{byName(cfg, "inner-"+m, password, true)[m]}}) {
					if m == "TLS" && tunnel == "peap0" {
						continue // the same as peap
					}
					run(tunnel+" with "+m, "tunnel-"+tunnel, o, accessAccept)
				}
				if m == "TLS" {
					continue
				}
				for tunnel, o := range tunnels(eap.Config{Identity: "inner-" + m, Methods: []eap.Offer{byName(cfg, "inner-"+m, "wrong", true)[m]}}) {
					if tunnel != "peap0" {
						run(tunnel+" with "+m+", wrong password", "tunnel-"+tunnel, o, accessReject)
					}
				}
			}
			require.NotContains(t, text.String(), password)
		})
	}
}

// sameKey compares the MSK with the RADIUS keys, which are shorter for EAP-MSCHAPv2.
func sameKey(msk, radius []byte) bool {
	if len(radius) == 32 && len(msk) == 64 {
		return bytes.Equal(msk[:32], radius) && bytes.Equal(msk[32:], make([]byte, 32))
	}
	return bytes.Equal(msk, radius)
}
