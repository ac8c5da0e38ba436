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
	require.Equal(t, []string{
		path + ":17: leftfirewall has no effect: no firewall rules are added: use leftupdown",
		path + `:28: setting "leftcolour" is not known in conn home`,
	}, said)
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

// What strongSwan refuses of a conn makes that one unusable, and no other.
func TestAnErrorStopsItsConn(t *testing.T) {
	for text, want := range map[string]string{
		"also=c":                   ":2: also = c: there is no such conn",
		"also=a":                   ":2: also = a: conn a includes itself",
		"lifetime=soon":            `:2: lifetime = "soon": not a time such as 3600, 60m, 1h or 1d`,
		"ikelifetime=1w":           `:2: ikelifetime = "1w": not a time`,
		"dpddelay=30sec":           `:2: dpddelay = "30sec": not a time`,
		"keyexchange=ikev3":        `:2: keyexchange = "ikev3": not one of ike, ikev1, ikev2`,
		"keyexchange=ikev1":        ":2: keyexchange = ikev1: IKEv1 is not supported, use ikev2",
		"authby=sekret":            `:2: authby = "sekret": not one of psk, secret`,
		"authby=xauthpsk":          ":2: authby = xauthpsk: XAuth belongs to IKEv1",
		"leftauth=sekret":          `:2: leftauth = "sekret": not one of pubkey`,
		"rightauth=pubky":          `:2: rightauth = "pubky": not one of pubkey`,
		"leftcert=%smartcard1:50":  ":2: leftcert = \"%smartcard1:50\": smartcards are not supported",
		"ah=sha256":                ":2: ah = sha256: AH is not supported, use esp",
		"type=transport":           ":2: type = transport is not supported, use tunnel",
		"type=tunel":               `:2: type = "tunel": not one of tunnel`,
		"leftprotoport=nonsense/1": ":2: leftprotoport = \"nonsense/1\"",
		"margintime=4h":            "margintime = 14400s of conn a is not shorter than ikelifetime = 10800s",
		"leftsigkey=0x1234":        ":2: leftsigkey: a key in the configuration is not supported",
		"rekeyfuzz=100":            `:2: rekeyfuzz = "100": not a percentage`,
		"dpdaction=reboot":         `:2: dpdaction = "reboot": not one of none, clear, hold, restart`,
	} {
		path := write(t, t.TempDir(), "ipsec.conf", "conn a\n "+text+"\n right=192.0.2.1\nconn b\n right=192.0.2.1\n auto=add\n")
		m, err := Load(path)
		require.NoError(t, err, text)
		_, err = m.Connection("a")
		require.ErrorContains(t, err, want, text)
		_, err = m.Connection("b")
		require.NoError(t, err, text)
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	for text, want := range map[string]string{
		"conn\n":                            ":1: conn without a name",
		"left=1\n":                          `:1: setting "left" starts in the first column`,
		"conn a\nleft=1\n":                  `:2: setting "left" starts in the first column`,
		" left=1\n":                         ":1: setting \"left\" stands before any section",
		"conn a\n what is this\n":           `:2: "what is this" is no setting`,
		"conn a b\n":                        ":1: conn a: more than a name follows",
		"konn a\n":                          `:1: "konn" is no section`,
		"conn a\n leftid=C=CH, CN=a\n":      `:2: the value of "leftid" holds a '=': put it into double quotes`,
		"conn a\n\n leftid=\"C=CH\n\n":      ":3: the quote that opens here is not closed",
		"\xef\xbb\xbfconn a\n":              ":1: the file starts with a byte order mark: save it as UTF-8 without BOM",
		"\xff\xfec\x00o\x00n\x00n\x00 \x00": ":1: the file is in UTF-16: save it as UTF-8 without BOM",
	} {
		path := write(t, t.TempDir(), "ipsec.conf", text)
		_, err := Load(path)
		require.ErrorContains(t, err, want, text)
	}
	dir := t.TempDir()
	path := write(t, dir, "ipsec.conf", "conn a\n")
	write(t, dir, "ipsec.secrets", "carol EAP secret\n")
	m, err := Load(path)
	require.NoError(t, err)
	require.Len(t, m.Faults, 1)
	require.ErrorContains(t, m.Faults[0], "ipsec.secrets:1: a secret is written [owner …] : TYPE value")
	require.NotContains(t, m.Faults[0].Error(), "EAP secret")
}

// What strongSwan makes of conns and ca sections, one by one.
func TestMeansWhatStrongSwanMakesOfIt(t *testing.T) {
	load := func(t *testing.T, conf string) *swanctl.Config {
		t.Helper()
		path := write(t, t.TempDir(), "ipsec.conf", conf)
		m, err := Config{Path: path, IsLocal: func(a netip.Addr) bool { return a == netip.MustParseAddr("192.168.0.100") }}.Load()
		require.NoError(t, err)
		return m
	}
	conn := func(t *testing.T, settings ...string) *swanctl.Connection {
		t.Helper()
		m := load(t, "conn a.b.c\n right=192.0.2.1\n auto=add\n "+strings.Join(settings, "\n ")+"\n")
		c, err := m.Connection("a.b.c")
		require.NoError(t, err)
		return c
	}
	t.Run("a dot in the name", func(t *testing.T) {
		c := conn(t, "ike=aes128-sha256-modp2048!", "leftsourceip=%config", "esp=aes128gcm16")
		require.Equal(t, []string{"aes128-sha256-modp2048"}, c.Proposals)
		require.Equal(t, []string{"aes128gcm16", "default"}, c.Children[0].ESPProposals, "without ! the defaults follow")
		require.Equal(t, []netip.Addr{netip.IPv4Unspecified()}, c.VIPs)
		require.Equal(t, "a.b.c", c.Children[0].Name)
	})
	t.Run("dead peer detection", func(t *testing.T) {
		for settings, want := range map[string]time.Duration{
			"dpdaction=restart": 30 * time.Second, "dpddelay=10s": 0, "dpdaction=none\n dpddelay=10s": 0, "dpdaction=clear\n dpddelay=10s": 10 * time.Second, "": 0,
		} {
			require.Equal(t, want, conn(t, settings).DPDDelay, settings)
		}
	})
	t.Run("lifetimes", func(t *testing.T) {
		c := conn(t, "")
		require.Equal(t, []time.Duration{2*time.Hour + 51*time.Minute, 0, 9 * time.Minute, 9 * time.Minute}, []time.Duration{c.ReauthTime, c.RekeyTime, c.OverTime, c.RandTime})
		require.Equal(t, 3, c.KeyingTries)
		c = conn(t, "margintime=1m", "rekeyfuzz=50%", "reauth=no")
		require.Equal(t, []time.Duration{0, 2*time.Hour + 59*time.Minute, time.Minute, 30 * time.Second}, []time.Duration{c.ReauthTime, c.RekeyTime, c.OverTime, c.RandTime})
		k := c.Children[0]
		require.Equal(t, []time.Duration{59 * time.Minute, time.Hour, 30 * time.Second}, []time.Duration{k.RekeyTime, k.LifeTime, k.RandTime})
		c = conn(t, "rekey=no", "lifetime=1h")
		k = c.Children[0]
		require.Zero(t, c.RekeyTime+c.ReauthTime+c.OverTime+k.RekeyTime+k.LifeTime, "nothing ends by time")
	})
	t.Run("identities", func(t *testing.T) {
		require.Equal(t, "vpn", conn(t, "leftid=%vpn").Local[0].ID, "the % says nothing of ours")
		require.Equal(t, "192.168.0.7", conn(t, "left=192.168.0.7").Local[0].ID)
		require.Empty(t, conn(t, "left=%any").Local[0].ID)
		require.Empty(t, conn(t, "rightid=%any").Remote[0].ID)
		c := conn(t, "leftid=carol", "leftauth=pubkey", "leftauth2=eap-md5", "eap_identity=%identity")
		require.Equal(t, "carol", c.Local[1].ID)
		require.Equal(t, "carol", c.Local[1].EAPIdentity(), "%identity asks for the one of IKE")
		c = conn(t, "leftcert=a.pem, b.pem", "leftid=carol")
		require.Len(t, c.Local[0].Certs, 2)
		require.True(t, c.Local[0].ConfirmID)
	})
	t.Run("authentication", func(t *testing.T) {
		for settings, want := range map[string]string{
			"authby=rsasig": "pubkey pubkey", "authby=ecdsasig": "pubkey pubkey", "authby=secret": "psk psk", "leftauth=secret\n rightauth=psk": "psk psk", "": "pubkey pubkey",
			"authby=secret\n leftauth=pubkey": "pubkey pubkey", "authby=never": "pubkey pubkey", "leftauth=eap-ttls\n rightauth=any": "eap-ttls eap", "rightauth=any": "pubkey pubkey",
			"leftauth=psk\n rightauth=any": "psk psk", "leftauth=any": "pubkey pubkey",
		} {
			c := conn(t, settings)
			require.Equal(t, want, c.Local[0].Auth.String()+" "+c.Remote[0].Auth.String(), settings)
		}
	})
	t.Run("selectors", func(t *testing.T) {
		c := conn(t, "leftsubnet=%dynamic[tcp/%any], nonsense, 10.2.0.0/16[udp/%opaque]", "rightsubnet=nonsense")
		var local []string
		for _, ts := range c.Children[0].LocalTS {
			local = append(local, ts.String())
		}
		require.Equal(t, []string{"dynamic[tcp]", "10.2.0.0/16[udp/OPAQUE]"}, local)
		require.Equal(t, []swanctl.TrafficSelector{swanctl.Dynamic}, c.Children[0].RemoteTS)
	})
	t.Run("virtual addresses", func(t *testing.T) {
		require.Equal(t, []netip.Addr{netip.IPv6Unspecified()}, conn(t, "leftsourceip=%config", "rightsubnet=2001:db8::/32").VIPs)
		require.Empty(t, conn(t, "leftsourceip=%config", "rightsourceip=10.3.0.0/24").VIPs)
	})
	t.Run("left and right swapped", func(t *testing.T) {
		conf := "conn home\n left=192.0.2.1\n leftid=gw\n right=192.168.0.100\n rightid=carol\n leftsubnet=10.1.0.0/16\n auto=add\n"
		c, err := load(t, conf).Connection("home")
		require.NoError(t, err)
		require.Equal(t, []string{"192.0.2.1"}, c.RemoteAddrs)
		require.Equal(t, "carol", c.Local[0].ID)
		require.Equal(t, "10.1.0.0/16", c.Children[0].RemoteTS[0].String())
	})
	t.Run("sections of one name are one, %default too", func(t *testing.T) {
		m := load(t, "conn %default\n ikelifetime=60m\nconn %default\n keylife=20m\nconn home\n right=192.0.2.1\n auto=add\n ikelifetime=2h\nconn home\n mobike=no\n")
		require.Len(t, m.Connections, 1)
		c := m.Connections[0]
		require.Equal(t, 20*time.Minute, c.Children[0].LifeTime)
		require.Equal(t, 2*time.Hour-9*time.Minute, c.ReauthTime)
		require.False(t, c.MOBIKE)
	})
	t.Run("of what also names the last counts, and an empty value hides", func(t *testing.T) {
		m := load(t, "conn home\n also=a\n also=b\n right=192.0.2.1\n auto=add\nconn a\n keylife=20m\n mobike=no\nconn b\n keylife=40m\n mobike=\n")
		c, err := m.Connection("home")
		require.NoError(t, err)
		require.Equal(t, 40*time.Minute, c.Children[0].LifeTime)
		require.True(t, c.MOBIKE)
		require.Contains(t, m.Connections[1].Passive, "auto is not set")
	})
	t.Run("a comment after a value", func(t *testing.T) {
		require.Equal(t, "carol", conn(t, "leftid=carol#the client").Local[0].ID)
		require.Equal(t, "@#0a0b", conn(t, "leftid=@#0a0b").Local[0].ID)
	})
	t.Run("ca", func(t *testing.T) {
		m := load(t, "ca %default\n auto=add\nca one\n cacert=one.pem\nca two\n cacert=two.pem\n auto=ignore\n")
		require.Len(t, m.Authorities, 1)
		require.Equal(t, "one", m.Authorities[0].Name)
	})
	t.Run("who begins nothing", func(t *testing.T) {
		for settings, want := range map[string]string{"right=%any": "names no host", "type=passthrough": "without a tunnel", "auto=ignore": "auto is not set"} {
			require.Contains(t, conn(t, settings).Passive, want)
		}
		require.Empty(t, conn(t, "").Passive)
	})
	t.Run("what is not there is told", func(t *testing.T) {
		m := load(t, "include none.conf\nconn home\n right=192.0.2.1\n auto=add\n")
		require.Len(t, m.Connections, 1)
		require.Len(t, m.Warnings(), 1)
		require.ErrorContains(t, m.Warnings()[0], "ipsec.conf:1: include ")
	})
}

// A relative path of ipsec.conf does not make those of its files relative.
func TestRelativePath(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "ipsec.conf", "conn a\n right=192.0.2.1\n leftcert=carol.pem\n auto=add\n")
	t.Chdir(dir)
	m, err := Load("ipsec.conf")
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, "ipsec.d/certs/carol.pem")}, m.Connections[0].Local[0].Certs)
	require.Equal(t, filepath.Join(dir, "ipsec.d/cacerts"), m.Folders["x509ca"])
}

func TestSecrets(t *testing.T) {
	for line, want := range map[string]string{
		`: PSK "0x1234"`: "0x1234", `: PSK 0x3132`: "12", `: PSK 0sAQID`: "\x01\x02\x03", `: PSK 'single " # quoted'`: `single " # quoted`, `: PSK plain#hash`: "plain#hash",
		`: PSK value # comment`: "value", `a b : PSK x`: "x", `2001:db8::1 : PSK v6`: "v6", "a\t:\tPSK\ttabs": "tabs", `: PSK "back\slash"`: `back\slash`,
	} {
		dir := t.TempDir()
		path := write(t, dir, "ipsec.conf", "")
		write(t, dir, "ipsec.secrets", "# first\n"+line+"\n")
		m, err := Load(path)
		require.NoError(t, err)
		require.Empty(t, m.Faults, line)
		require.Len(t, m.Secrets, 1, line)
		require.Equal(t, want, string(m.Secrets[0].Secret), line)
	}
	for line, want := range map[string]string{
		`: PSK "open`: "the quote \" is not closed", `: PSK 'open`: "the quote ' is not closed", `: PSK`: "the type of the secret and its value", `: PSK #gone`: "the secret is missing",
		`: psk x`: `"psk" is no type of secret`, `x:PSK y`: "with a blank on each side of the colon",
	} {
		dir := t.TempDir()
		path := write(t, dir, "ipsec.conf", "")
		write(t, dir, "ipsec.secrets", ": EAP before\n"+line+"\n: EAP after\n")
		m, err := Load(path)
		require.NoError(t, err)
		require.Len(t, m.Secrets, 1, "%s: what came before counts", line)
		require.Len(t, m.Faults, 1, line)
		require.ErrorContains(t, m.Faults[0], "ipsec.secrets:2: ", line)
		require.ErrorContains(t, m.Faults[0], want, line)
	}
	dir := t.TempDir()
	path := write(t, dir, "ipsec.conf", "")
	write(t, dir, "ipsec.secrets", "include none.secrets\n: RSA {\n\tModulus: 0x1\n\t}\n: PSK after\n")
	m, err := Load(path)
	require.NoError(t, err)
	require.Empty(t, m.Faults)
	require.Len(t, m.Secrets, 1)
	require.Len(t, m.Warnings(), 2, "no such file; a key that is written out")
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
	rightsubnet=10.1.0.0/16, 10.2.0.0/16[udp/53], 10.3.0.0/16[udp]
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
	require.Len(t, remote, 3)
	require.Equal(t, [3]uint16{17, 8080, 8081}, [3]uint16{uint16(remote[2].Protocol), remote[2].FromPort, remote[2].ToPort}, "a protocol alone leaves the ports")
	require.Equal(t, [3]uint16{6, 8080, 8081}, [3]uint16{uint16(remote[0].Protocol), remote[0].FromPort, remote[0].ToPort})
	require.Equal(t, [3]uint16{17, 53, 53}, [3]uint16{uint16(remote[1].Protocol), remote[1].FromPort, remote[1].ToPort})
	c, err = m.Connection("opaque")
	require.NoError(t, err)
	require.Equal(t, []swanctl.TrafficSelector{{Dynamic: true, Protocol: 17, ToPort: 65535}}, c.Children[0].RemoteTS)
	_, err = m.Connection("bad")
	require.ErrorContains(t, err, "ipsec.conf:11")
}
