package ipsecconf

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// A configuration as the seed's machine had it.
const seedConf = `# /etc/ipsec.conf - strongSwan IPsec configuration file

config setup
    charondebug="tnc 3, imc 3, pts 3"

conn %default
    ikelifetime=60m
    keylife=20m
    rekeymargin=3m
    keyingtries=1
    keyexchange=ikev2

conn home
    left=192.168.0.100
    leftid=carol@strongswan.org
    leftauth=eap
    leftfirewall=yes
    leftsourceip=%config
    right=192.168.0.1
    rightid=@moon.strongswan.org
    rightauth=any   # what the gateway likes
    rightsubnet=10.1.0.0/16,10.2.0.0/16
    ike=aes128-sha256-modp2048!
    esp=aes128gcm16!
    dpdaction=restart
    dpddelay=30s
    reauth=no
    leftcolour=blue
    auto=add
`

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	p := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(p), 0o755))
	require.NoError(t, os.WriteFile(p, []byte(text), 0o600))
	return p
}

func TestSeed(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "ipsec.conf", seedConf)
	write(t, dir, "ipsec.secrets", "# secrets\ncarol@strongswan.org : EAP \"Ar3etTnp\"\nmoon.strongswan.org 2001:db8::1 : PSK 0sZm9v\n: RSA carolKey.pem \"pass\"\n")
	write(t, dir, "ipsec.d/cacerts/ca.pem", "none")
	m, err := Load(path)
	require.NoError(t, err)
	c, err := m.Connection("home")
	require.NoError(t, err)
	require.Equal(t, []string{"192.168.0.1"}, c.RemoteAddrs)
	require.Equal(t, []string{"192.168.0.100"}, c.LocalAddrs)
	require.Equal(t, []string{"aes128-sha256-modp2048"}, c.Proposals)
	require.Equal(t, []netip.Addr{netip.IPv4Unspecified()}, c.VIPs)
	require.Equal(t, 30*time.Second, c.DPDDelay)
	require.Equal(t, 57*time.Minute, c.RekeyTime)
	require.Equal(t, 3*time.Minute, c.OverTime)
	require.Zero(t, c.ReauthTime)
	require.Equal(t, 1, c.KeyingTries)
	require.Equal(t, "carol@strongswan.org", c.Local[0].ID)
	require.Equal(t, "eap", c.Local[0].Auth.Class)
	require.Equal(t, "@moon.strongswan.org", c.Remote[0].ID)
	require.Equal(t, "eap", c.Remote[0].Auth.Class, "any: what the gateway likes, EAP-only among it")
	require.Equal(t, "tnc 3, imc 3, pts 3", m.LogLevels)
	require.Empty(t, c.Remote[0].CACerts)
	files, err := m.Files("x509ca")
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "ipsec.d/cacerts/ca.pem")}, files)
	files, err = m.Files("private")
	require.NoError(t, err)
	require.Empty(t, files, "keys are named in ipsec.secrets")
	ch := c.Children[0]
	require.Equal(t, "home", ch.Name)
	require.Equal(t, []string{"aes128gcm16"}, ch.ESPProposals)
	require.Len(t, ch.RemoteTS, 2)
	require.Equal(t, "start", ch.DPDAction)
	require.Equal(t, 17*time.Minute, ch.RekeyTime)
	require.Equal(t, 20*time.Minute, ch.LifeTime)
	s, ok := m.Secret("eap", "carol@strongswan.org")
	require.True(t, ok)
	require.Equal(t, "Ar3etTnp", string(s.Secret))
	s, ok = m.Secret("ike", "2001:db8::1")
	require.True(t, ok)
	require.Equal(t, "foo", string(s.Secret))
	require.Equal(t, filepath.Join(dir, "ipsec.d/private/carolKey.pem"), m.Keys[0].File)
	var said []string
	for _, w := range m.Warnings() {
		said = append(said, w.Error())
	}
	require.Equal(t, []string{path + `:28: setting "leftcolour" is not known in conn home`}, said)
}

func TestAlsoAndInclude(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "conns/a.conf", "conn base\n\tright=gw.example.org\n\tlifetime=2h\n")
	path := write(t, dir, "ipsec.conf", "include conns/*.conf\nconn home\n\talso=base\n\tlifetime=1h\n\tauto=start\n\tauthby=secret\n\tleftid=me\n")
	m, err := Load(path)
	require.NoError(t, err)
	c, err := m.Connection("home")
	require.NoError(t, err)
	require.Equal(t, []string{"gw.example.org"}, c.RemoteAddrs)
	require.Equal(t, time.Hour, c.Children[0].LifeTime)
	require.Equal(t, "start", c.Children[0].StartAction)
	require.Equal(t, "psk", c.Local[0].Auth.Class)
	require.NotZero(t, c.ReauthTime, "reauth = yes is the default of ipsec.conf")
}

func TestErrorsNameThePlace(t *testing.T) {
	for text, want := range map[string]string{
		"conn\n":                       ":1: conn without a name",
		"left=1\n":                     ":1:",
		"conn a\n also=b\n":            ":2: also = b",
		"conn a\n also=a\n":            "includes itself",
		"conn a\n lifetime=soon\n":     ":2: lifetime",
		"include /does/not/exist\n":    ":1: include",
		"conn a\n what is this\n":      ":2:",
		"conn a\n keyexchange=ikev1\n": "",
	} {
		path := write(t, t.TempDir(), "ipsec.conf", text)
		_, err := Load(path)
		if want != "" {
			require.ErrorContains(t, err, want, text)
		}
	}
	dir := t.TempDir()
	path := write(t, dir, "ipsec.conf", "conn a\n")
	write(t, dir, "ipsec.secrets", "carol EAP secret\n")
	_, err := Load(path)
	require.ErrorContains(t, err, "ipsec.secrets:1:")
	require.NotContains(t, err.Error(), "EAP secret")
}

func FuzzParse(f *testing.F) {
	f.Add(seedConf, "a : EAP \"b\"\n")
	f.Fuzz(func(t *testing.T, conf, secrets string) {
		if strings.Contains(conf, "include") || strings.Contains(secrets, "include") {
			return
		}
		dir := t.TempDir()
		write(t, dir, "ipsec.secrets", secrets)
		m, err := Load(write(t, dir, "ipsec.conf", conf))
		if err == nil {
			for _, n := range m.Names() {
				_, _ = m.Connection(n)
			}
		}
	})
}

// A tunnel that is to carry one protocol carries no other.
func TestProtoPort(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "ipsec.conf", `conn home
	right=gw.example.org
	leftprotoport=tcp
	rightsubnet=10.1.0.0/16, 10.2.0.0/16[udp/53]
	rightprotoport=tcp/8080-8081
conn opaque
	right=gw.example.org
	rightprotoport=17/%any
conn bad
	right=gw.example.org
	rightprotoport=nothing/1
`)
	m, err := Load(filepath.Join(dir, "ipsec.conf"))
	require.NoError(t, err)
	c, err := m.Connection("home")
	require.NoError(t, err)
	local, remote := c.Children[0].LocalTS, c.Children[0].RemoteTS
	require.Equal(t, []swanctl.TrafficSelector{{Dynamic: true, Protocol: 6, ToPort: 65535}}, local)
	require.Len(t, remote, 2)
	require.Equal(t, [3]uint16{6, 8080, 8081}, [3]uint16{uint16(remote[0].Protocol), remote[0].FromPort, remote[0].ToPort})
	require.Equal(t, [3]uint16{17, 53, 53}, [3]uint16{uint16(remote[1].Protocol), remote[1].FromPort, remote[1].ToPort})
	c, err = m.Connection("opaque")
	require.NoError(t, err)
	require.Equal(t, []swanctl.TrafficSelector{{Dynamic: true, Protocol: 17, ToPort: 65535}}, c.Children[0].RemoteTS)
	_, err = m.Connection("bad")
	require.ErrorContains(t, err, "ipsec.conf:11")
}
