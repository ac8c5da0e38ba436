package swanctl

import (
	"encoding/pem"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config"
)

func model(t *testing.T, text string) *Config {
	t.Helper()
	c, err := config.Parse("/etc/swanctl/swanctl.conf", text)
	require.NoError(t, err)
	return FromConfig(c, "/etc/swanctl/swanctl.conf")
}

// The client of the project's test peers.
func TestRigCarol(t *testing.T) {
	m, err := Load("../testdata/carol.swanctl.conf")
	require.NoError(t, err)
	require.Empty(t, m.Warnings())
	c, err := m.Connection("")
	require.NoError(t, err)
	require.Equal(t, "home", c.Name)
	require.Equal(t, 2, c.Version)
	require.Equal(t, []string{"aes128-sha256-ecp256"}, c.Proposals)
	require.False(t, c.SendCertReq)
	host, ok := c.RemoteHost()
	require.True(t, ok)
	require.Equal(t, "192.168.0.1", host)
	host, _ = c.LocalHost()
	require.Equal(t, "192.168.0.100", host)
	require.Equal(t, Auth{Class: "eap", Method: "ttls"}, c.Local[0].Auth)
	require.Equal(t, "carol@strongswan.org", c.Local[0].ID)
	require.Equal(t, "carol@strongswan.org", c.Local[0].EAPIdentity())
	require.Equal(t, "moon.strongswan.org", c.Remote[0].ID)
	require.Equal(t, "eap-ttls", c.Remote[0].Auth.String())
	ch := c.Child("")
	require.Equal(t, "home", ch.Name)
	require.Equal(t, []string{"aes128gcm16-ecp256"}, ch.ESPProposals)
	require.Equal(t, []TrafficSelector{Dynamic}, ch.LocalTS)
	require.Equal(t, "10.1.0.0/16", ch.RemoteTS[0].String())
	s, ok := m.Secret("eap", "carol@strongswan.org")
	require.True(t, ok)
	require.Equal(t, "Ar3etTnp", string(s.Secret))
	_, ok = m.Secret("eap", "dave@strongswan.org")
	require.False(t, ok)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", s.Secret, *s, *s, s.Secret), "Ar3")
	require.Equal(t, "(secret)", slog.AnyValue(s.Secret).Resolve().String())
	m.Close()
	require.Equal(t, make([]byte, 8), []byte(s.Secret))
}

func TestRigMoon(t *testing.T) {
	m, err := Load("../testdata/moon.swanctl.conf")
	require.NoError(t, err)
	require.Empty(t, m.Warnings())
	require.Equal(t, []string{"rw-allow", "rw-isolate"}, m.Names())
	_, err = m.Connection("")
	require.ErrorContains(t, err, "there are 2 connections, name one of: rw-allow, rw-isolate")
	c, err := m.Connection("rw-isolate")
	require.NoError(t, err)
	require.Equal(t, []string{"isolate"}, c.Remote[0].Groups)
	_, ok := c.RemoteHost()
	require.False(t, ok)
	_, err = m.Connection("x")
	require.ErrorContains(t, err, `no connection "x"`)
}

func TestEverySetting(t *testing.T) {
	m := model(t, `
defaults { dpd_delay = 30s
 remote { id = %any
 } }
connections { a : defaults {
 local_addrs = 10.0.0.0/8, 192.0.2.1-192.0.2.9, %any, my-host
 remote_addrs = gw.example.org
 local_port = 0
 remote_port = 4500
 proposals = default
 vips = 0.0.0.0, ::
 encap = yes
 mobike = no
 fragmentation = force
 dpd_timeout = 2m
 keyingtries = 0
 send_cert = never
 rekey_time = 1h
 unique = replace
 local-2 { round = 2
  auth = psk
 }
 local-1 { round = 1
  auth = eap
  id = a
  eap_id = b
  aaa_id = "C=CH, CN=aaa"
 }
 remote { auth = rsa-2048-sha256
  certs = x.pem, /abs/y.pem
  cacerts = ca.pem
  cacert-2 { file = /abs/ca2.pem
  }
  cert1 { file = z.pem
  }
  revocation = relaxed
 }
 children { k { local_ts = dynamic[tcp/443], fe80::/10
   remote_ts = 10.1.0.0/28[udp/1000-2000]
   start_action = trap|start
   close_action = route
   life_time = 10m
   replay_window = 128
   hw_offload = no
   esp_proposals = default
  } } } }
secrets { eap-x { id-1 = a
  id2 = b
  secret = 0x01:02
 }
 eap-any { secret = 0sAQID
 }
 eap-wild { id = *@example.org
  secret = w
 }
 ike-1 { id = @gw
  secret = "k e y"
 }
 private1 { file = key.pem
  secret = p
 }
 rsa { file = /r.pem
 } }
authorities { z { cacert = zz.pem
 crl_uris = http://a, http://b
 } }
`)
	require.Empty(t, m.Warnings())
	c, err := m.Connection("k")
	require.NoError(t, err, "the child's name finds the connection")
	require.Equal(t, 30*time.Second, c.DPDDelay)
	require.Equal(t, 2*time.Minute, c.DPDTimeout)
	host, ok := c.LocalHost()
	require.True(t, ok)
	require.Equal(t, "my-host", host)
	require.Equal(t, []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, c.VIPs)
	require.EqualValues(t, 500, c.LocalPort, "that of charon")
	require.EqualValues(t, 4500, c.RemotePort)
	require.Empty(t, c.Proposals)
	require.True(t, c.Encap)
	require.False(t, c.MOBIKE)
	require.Zero(t, c.KeyingTries)
	require.Equal(t, "local-1", c.Local[0].Name, "rounds are in their order")
	require.Equal(t, "psk", c.Local[1].Auth.String())
	require.Equal(t, "C=CH, CN=aaa", c.Local[0].AAAID)
	rem := c.Remote[0]
	require.Equal(t, "%any", rem.ID)
	require.Empty(t, rem.EAPIdentity())
	require.Equal(t, "b", c.Local[0].EAPIdentity())
	require.Equal(t, []string{"/etc/swanctl/x509/x.pem", "/abs/y.pem", "/etc/swanctl/x509/z.pem"}, rem.Certs)
	require.Equal(t, []string{"/etc/swanctl/x509ca/ca.pem", "/abs/ca2.pem"}, rem.CACerts)
	require.Equal(t, "rsa-2048-sha256", rem.Auth.String())
	k := c.Child("k")
	require.Equal(t, "trap|start", k.StartAction)
	require.Equal(t, "trap", k.CloseAction)
	require.Equal(t, 9*time.Minute+5*time.Second, k.RekeyTime, "life_time / 1.1, as strongSwan")
	require.Equal(t, 128, k.ReplayWindow)
	require.Equal(t, "dynamic[tcp/443]", k.LocalTS[0].String())
	require.Equal(t, "fe80::/10", k.LocalTS[1].String())
	require.Equal(t, "10.1.0.0/28[udp/1000-2000]", k.RemoteTS[0].String())

	for id, want := range map[string]string{"b": "eap-x", "carol@example.org": "eap-wild", "zed": "eap-any", "A": "eap-x"} {
		s, ok := m.Secret("eap", id)
		require.True(t, ok)
		require.Equal(t, want, s.Name, id)
	}
	s, _ := m.Secret("eap", "a")
	require.Equal(t, []byte{1, 2}, []byte(s.Secret))
	s, ok = m.Secret("ike", "gw")
	require.True(t, ok)
	require.Equal(t, "k e y", string(s.Secret))
	require.Equal(t, "/etc/swanctl/private/key.pem", m.Keys[0].File)
	require.Equal(t, "/r.pem", m.Keys[1].File)
	require.Equal(t, "/etc/swanctl/x509ca/zz.pem", m.Authorities[0].CACert)
	require.Equal(t, []string{"http://a", "http://b"}, m.Authorities[0].CRLURIs)
}

func TestUnknownKeysAreErrors(t *testing.T) {
	m := model(t, `conections { }
loose = 1
connections { a { remote_addr = 10.0.0.1
  bogus { }
  local { atuh = psk
   cert { fil = x
   } }
  children { x = 1
   c { remtoe_ts = 10.0.0.0/8
  } } } }
secrets { eapx { id = a
 }
 what { secret = hidden
 }
 eap2 { secret = 0xzzhidden
 }
 token1 { pin = 1
 } }
`)
	texts := func(all []*config.Error) (got []string) {
		for _, e := range all {
			got = append(got, strings.TrimPrefix(e.Error(), "/etc/swanctl/swanctl.conf:"))
		}
		return got
	}
	require.Equal(t, []string{
		`1: section "conections" is not known; connections, secrets, authorities and pools are; is "connections" meant?`,
		`2: setting "loose" outside of a section is not known`,
	}, texts(m.Warnings()))
	require.Equal(t, []string{
		`11: secrets.eapx holds no secret and is ignored; add secret = "…"`,
		`13: section "what" is not known in secrets; eap<suffix>, ike<suffix>, private<suffix> are`,
		`15: the secret of secrets.eap2 is ignored: after 0x hexadecimal digits are expected; quote a secret of another kind differently`,
		`17: secrets.token1 names no handle and is ignored: add the handle of the key in the TPM, such as handle = 0x81010001`,
	}, texts(m.Faults))
	require.ElementsMatch(t, []string{
		`3: setting "remote_addr" is not known in connections.a; is "remote_addrs" meant?`,
		`4: section "bogus" is not known in connections.a; there are: children, local, remote`,
		`5: setting "atuh" is not known in connections.a.local; is "auth" meant?`,
		`6: setting "fil" is not known in connections.a.local.cert; is "file" meant?`,
		`6: connections.a.local.cert names no file and no handle`,
		`8: setting "x" is not known in connections.a.children`,
		`9: setting "remtoe_ts" is not known in connections.a.children.c; is "remote_ts" meant?`,
	}, texts(m.Connections[0].Problems))
}

// What would weaken a connection if it were ignored stops that connection only.
func TestProblemsStopTheirConnection(t *testing.T) {
	for line, want := range map[string]string{
		"version = 1":                                  "version = 1: IKEv1 is not supported, use 2",
		"remote_port = 70000":                          "remote_port = 70000: not between 1 and 65535",
		"ppk_required = yes":                           "ppk_required = yes, but there is no ppk_id",
		"vips = anything":                              `vips: "anything" is no IP address; 0.0.0.0 or :: ask for any`,
		"encap = often":                                `encap = "often": not yes or no`,
		"rekey_time = soon":                            `rekey_time = "soon": not a time such as 30, 30s, 5m, 4h or 1d`,
		"remote { revocation = lax\n }":                `revocation = "lax": not one of relaxed, ifuri, strict`,
		"local { auth = xauth\n }":                     `auth = "xauth": XAuth belongs to IKEv1, which is not supported`,
		"local { auth = ttls\n }":                      `auth = "ttls": is "eap-ttls" meant?`,
		"children { c { mode = transport\n } }":        "mode = transport is not supported, use tunnel",
		"children { c { remote_ts = 10.1.0.0/33\n } }": `remote_ts: selector "10.1.0.0/33": not a subnet such as 10.1.0.0/16`,
	} {
		m := model(t, "connections { a { "+line+"\n }\n b { version = 2\n } }")
		_, err := m.Connection("a")
		require.ErrorContains(t, err, "swanctl.conf:1: "+want, line)
		_, err = m.Connection("b")
		require.NoError(t, err, line)
	}
}

func TestTrafficSelectors(t *testing.T) {
	for s, want := range map[string]string{
		"10.1.2.3/16": "10.1.0.0/16", "10.1.2.3": "10.1.2.3/32", "dynamic": "dynamic", "10.0.0.1-10.0.0.5": "10.0.0.1..10.0.0.5",
		"10.0.0.0-10.0.0.255": "10.0.0.0/24", "0.0.0.0/0": "0.0.0.0/0", "::/0[ipv6-icmp]": "::/0[ipv6-icmp]", "2001:db8::-2001:db8::5": "2001:db8::..2001:db8::5",
		"10.0.0.0/8[6/80]": "10.0.0.0/8[tcp/80]", "10.0.0.0/8[/53]": "10.0.0.0/8[0/53]", "10.0.0.0/8[any/any]": "10.0.0.0/8",
		"10.0.0.0/8[sctp/opaque]": "10.0.0.0/8[sctp/OPAQUE]", "dynamic[icmp/8]": "dynamic[icmp/8]", "dynamic[icmp/2049]": "dynamic[icmp/8(1)]",
	} {
		ts, err := ParseTrafficSelector(s)
		require.NoError(t, err, s)
		require.Equal(t, want, ts.String())
	}
	for _, s := range []string{"", "x", "10.0.0.0/33", "10.0.0.5-10.0.0.1", "10.0.0.1-::1", "10.0.0.0/8[tcp", "10.0.0.0/8[nope]", "10.0.0.0/8[tcp/9-1]", "10.0.0.0/8[tcp/99999]", "10.0.0.0/8[256]", "fe80::1%eth0"} {
		_, err := ParseTrafficSelector(s)
		require.Error(t, err, s)
	}
}

func FuzzSwanctl(f *testing.F) {
	for _, name := range []string{"carol", "moon"} {
		b, err := os.ReadFile("../testdata/" + name + ".swanctl.conf")
		require.NoError(f, err)
		f.Add(string(b))
	}
	f.Add("connections { a { vips = ::\n children { c { local_ts = 10.0.0.1-10.0.0.9[tcp/1-2]\n } } } }\nsecrets { eap { secret = 0x1\n } }")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "include") {
			return
		}
		c, err := config.Parse("f", text)
		if err != nil {
			return
		}
		m := FromConfig(c, "f")
		for _, n := range m.Names() {
			_, _ = m.Connection(n)
		}
		_, _ = m.Secret("eap", "a")
		m.Close()
	})
}

func TestLoadErrors(t *testing.T) {
	d := t.TempDir()
	t.Setenv(EnvDir, d)
	_, err := Load("")
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, filepath.Join(d, "swanctl.conf"))
	require.NoError(t, os.WriteFile(filepath.Join(d, "swanctl.conf"), []byte("x {"), 0o600))
	_, err = Load("")
	require.ErrorContains(t, err, "swanctl.conf:1: section \"x\" is not closed")
	_, err = model(t, "").Connection("")
	require.ErrorContains(t, err, "no connection is configured")
}

// derOf returns the octets of the first PEM block.
func derOf(p []byte) []byte {
	b, _ := pem.Decode(p)
	return b.Bytes
}

// Where reauth_time is set, to never too, rekey_time has no default (strongSwan 6).
func TestReauthTimeAlone(t *testing.T) {
	for line, want := range map[string][2]time.Duration{
		"":                                  {4 * time.Hour, 0},
		"reauth_time = 0s":                  {0, 0},
		"reauth_time = 2h":                  {0, 2 * time.Hour},
		"reauth_time = 0\n rekey_time = 1h": {time.Hour, 0},
	} {
		c, err := config.Parse("swanctl.conf", "connections {\n home {\n "+line+"\n }\n}\n")
		require.NoError(t, err)
		home := FromConfig(c, "swanctl.conf").Connections[0]
		require.Equal(t, want, [2]time.Duration{home.RekeyTime, home.ReauthTime}, line)
	}
}

// Times that follow from others are binary fractions, rounded down, as in strongSwan.
func TestTimesThatFollow(t *testing.T) {
	for life, rekey := range map[string]time.Duration{"143h": 467999 * time.Second, "11h": 10 * time.Hour, "10m": 545 * time.Second} {
		file := filepath.Join(t.TempDir(), "swanctl.conf")
		require.NoError(t, os.WriteFile(file, []byte("connections { home {\n children { k {\n life_time = "+life+"\n } } } }\n"), 0o600))
		m, err := Load(file)
		require.NoError(t, err)
		require.Equal(t, rekey, m.Connections[0].Child("k").RekeyTime, life)
	}
}
