package strongswan

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config/ipsecconf"
)

// wire is a charon with an ipsec.conf that connects to another one: what charon
// does not list of a connection shows in what it sends and how long its SAs last.
type wire struct {
	*comparer
	gateway *configCharon
	inAuth  string // default proposals of a CHILD_SA in IKE_AUTH
}

const wireConn = `config setup

conn home
	left=10.99.0.1
	right=10.99.0.2
	leftid=carol
	rightid=moon
	authby=secret
	keyexchange=ikev2
	leftsubnet=10.5.0.0/16
	rightsubnet=10.1.0.0/16
	auto=add
`

const wireGateway = `connections {
  any {
    local_addrs = 10.99.0.2
    proposals = aes128-aes192-aes256-sha1-sha256-sha384-sha512-modp2048-modp3072-ecp256-ecp384-x25519, aes128gcm16-aes256gcm16-prfsha256-prfsha384-modp2048-ecp256-ecp384-x25519
    rekey_time = 0
    local {
      auth = psk
      id = moon
    }
    remote {
      auth = psk
    }
    children {
      any {
        local_ts = 0.0.0.0/0, ::/0
        remote_ts = 0.0.0.0/0, ::/0
        rekey_time = 0
        esp_proposals = aes128-aes192-aes256-sha1-sha256-sha384-sha512-modp2048-modp3072-ecp256-ecp384-x25519-none-esn-noesn, aes128gcm16-aes256gcm16-chacha20poly1305-modp2048-modp3072-ecp256-ecp384-x25519-none-esn-noesn
      }
    }
  }
}
connections {
  pooled : connections.any {
    local_addrs = 10.99.0.3
    pools = p4, p6
  }
}
pools {
  p4 {
    addrs = 10.3.0.0/16
  }
  p6 {
    addrs = fec3::/112
  }
}
secrets {
  ike {
    secret = abc
  }
}
`

// newWire starts both ends, in network namespaces that are joined.
func newWire(t *testing.T) *wire {
	t.Helper()
	settings := strings.NewReplacer("kernel-netlink", "kernel-libipsec kernel-netlink", "default = 0", "default = 1", "retransmit_tries = 0", "retransmit_tries = 0\n  retransmit_timeout = 1\n  plugins {\n    kernel-libipsec {\n      allow_peer_ts = yes\n    }\n  }").Replace(charonSettings)
	gateway := startConfigCharon(t, settings, "charon")
	client := startConfigCharon(t, settings, "starter", "--nofork")
	for _, cmd := range []struct {
		in   *configCharon
		args string
	}{
		{client, fmt.Sprintf("ip link add v0 type veth peer name v0 netns %d", gateway.pid)},
		{client, "ip addr add 10.99.0.1/24 dev v0"}, {client, "ip link set v0 up"},
		{gateway, "ip addr add 10.99.0.2/24 dev v0"}, {gateway, "ip addr add 10.99.0.3/24 dev v0"}, {gateway, "ip link set v0 up"},
	} {
		out, err := cmd.in.run(nil, strings.Fields(cmd.args)...)
		require.NoError(t, err, "%s: %s", cmd.args, out)
	}
	dir := t.TempDir()
	w := &wire{newComparer(t, client), gateway, ""}
	standIns(t, dir, wireGateway)
	out, err := gateway.swanctl(dir, "--load-all", "--noprompt")
	require.NoError(t, err, "%s", out)
	client.write("ipsec.secrets", ": PSK \"abc\"\n")
	// stroke puts the default proposals in another order than vici.
	_, done := w.compare(t, wireConn)
	require.True(t, done)
	return w
}

// wireSaid finds in the logs what one end does.
var (
	receivedProposals = regexp.MustCompile(`received proposals: (.*)`)
	scheduled         = regexp.MustCompile(`scheduling (rekeying|reauthentication) in (\d+)s`)
	maximum           = regexp.MustCompile(`maximum IKE_SA lifetime (\d+)s`)
	requestedIP       = regexp.MustCompile(`peer requested virtual IP (\S+)`)
	saTime            = regexp.MustCompile(`(rekey|life)-time=(\d+)`)
	childSAs          = regexp.MustCompile(`child-sas \{(.*)`)
)

var keyExchange = regexp.MustCompile(`^(MODP|ECP|CURVE|ML_KEM|KE_NONE)`)

// sortedKE sorts the key exchange methods of each proposal: charon puts the one
// that the IKE_SA uses first when it rekeys.
func sortedKE(proposals string) string {
	all := strings.Split(proposals, ", ")
	for i, p := range all {
		words := strings.Split(p, "/")
		first := slices.IndexFunc(words, keyExchange.MatchString)
		if first < 0 {
			continue
		}
		last := first
		for last < len(words) && keyExchange.MatchString(words[last]) {
			last++
		}
		slices.Sort(words[first:last])
		all[i] = strings.Join(words, "/")
	}
	return strings.Join(all, ", ")
}

// withoutKE takes key exchange methods out, as those of the first CHILD_SA.
func withoutKE(proposals string) string {
	words := strings.FieldsFunc(strings.ReplaceAll(proposals, ", ", "/, /"), func(r rune) bool { return r == '/' })
	words = slices.DeleteFunc(words, keyExchange.MatchString)
	return strings.ReplaceAll(strings.Join(words, "/"), "/, /", ", ")
}

func sorted(proposals string) string {
	all := strings.Split(proposals, ", ")
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// compare loads the ipsec.conf into both, connects charon, and returns in what it
// differs from what tnc shows; done is false where the two refuse it.
func (w *wire) compare(t *testing.T, text string) (differ []string, done bool) {
	w.t, w.charon.t, w.gateway.t = t, t, t
	for _, o := range w.ipsecConf(text) {
		if o.kind == bothRefused {
			return nil, false
		}
		if o.kind != same {
			return append([]string{o.kind}, o.details...), true
		}
	}
	ours, err := show(t, w.charon, w.program, "--ipsec-conf", filepath.Join(w.charon.etc, "ipsec.conf"), "--strongswan-conf", filepath.Join(w.charon.etc, "strongswan.conf"))
	require.NoError(t, err)
	w.charon.logged()
	w.gateway.logged()
	out, _ := w.charon.swanctl(w.charon.etc, "--initiate", "--ike", "home", "--child", "home", "--timeout", "5")
	sas, err := w.charon.swanctl(w.charon.etc, "--list-sas", "--ike", "home", "--raw")
	require.NoError(t, err)
	if !strings.Contains(out, "successfully") {
		return []string{"charon does not connect: " + out + w.gateway.logged()}, true
	}
	_, _ = w.charon.swanctl(w.charon.etc, "--rekey", "--child", "home")
	there := ""
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline) && strings.Count(there, "received proposals: ESP:") < 2; time.Sleep(20 * time.Millisecond) {
		there += w.gateway.logged()
	}
	here := w.charon.logged()
	_, _ = w.charon.swanctl(w.charon.etc, "--terminate", "--ike", "home", "--force")
	return w.differences(ours[0], here, there, sas), true
}

// differences compares what tnc shows with the logs of both ends and with
// charon's list of SAs.
func (w *wire) differences(s shown, here, there, sas string) (differ []string) {
	same := func(what string, theirs, ours any) {
		if fmt.Sprint(theirs) != fmt.Sprint(ours) {
			differ = append(differ, fmt.Sprintf("%s: strongSwan %v, tnc %v", what, theirs, ours))
		}
	}
	within := func(what, theirs string, least, most int) {
		if n, err := strconv.Atoi(theirs); err != nil || n < least || n > most {
			differ = append(differ, fmt.Sprintf("%s: strongSwan %q, tnc from %d to %d", what, theirs, least, most))
		}
	}
	proposals := map[string][]string{}
	for _, m := range receivedProposals.FindAllStringSubmatch(there, -1) {
		proposals[m[1][:3]] = append(proposals[m[1][:3]], m[1])
	}
	ours := w.defaulted(s.fields(), 1)
	if esp := proposals["ESP"]; len(esp) >= 2 && len(proposals["IKE"]) > 0 { // of IKE_AUTH without key exchanges, and of the rekeying
		first, rekeyed := sortedKE(proposals["IKE"][0]), sortedKE(esp[len(esp)-1])
		if w.inAuth == "" {
			w.inAuth, w.defaults[0] = esp[0], fields{"proposals": first, "child d.proposals": rekeyed}
		}
		theirs := w.defaulted(fields{"proposals": first, "child home.proposals": rekeyed}, 0)
		// charon sends those first that have the method of its KE payload.
		same("proposals", sorted(theirs["proposals"]), sorted(sortedKE(ours["proposals"])))
		same("first proposal", strings.Split(theirs["proposals"], ", ")[0], strings.Split(sortedKE(ours["proposals"]), ", ")[0])
		same("order of esp_proposals", strings.ReplaceAll(esp[0], w.inAuth, "default"), withoutKE(ours["child home.proposals"]))
		same("esp_proposals", sorted(theirs["child home.proposals"]), sorted(sortedKE(ours["child home.proposals"])))
	} else {
		differ = append(differ, fmt.Sprintf("proposals are missing: %q", proposals))
	}
	var ips []string
	for _, m := range requestedIP.FindAllStringSubmatch(there, -1) {
		ips = append(ips, m[1])
	}
	same("vips", strings.Join(ips, "; "), ours["vips"])
	same("mobike", strings.Contains(there, "N(MOBIKE_SUP)"), s.MOBIKE)
	same("fragmentation", strings.Contains(there, "N(FRAG_SUP)"), s.Fragmentation != "no")
	soft, kind := max(s.RekeyTime, s.ReauthTime), "rekeying"
	if s.ReauthTime > 0 {
		kind = "reauthentication"
	}
	switch m, hard := scheduled.FindStringSubmatch(here), maximum.FindStringSubmatch(here); {
	case m == nil || hard == nil:
		same("times of the IKE_SA", 0, soft)
	default:
		same("kind", m[1], kind)
		within("rekeying of the IKE_SA", m[2], soft-s.RandTime, soft)
		a, _ := strconv.Atoi(m[2])
		b, _ := strconv.Atoi(hard[1])
		same("over_time", b-a, s.OverTime)
	}
	child := s.Children[0]
	times := map[string]string{}
	if m := childSAs.FindStringSubmatch(sas); m != nil {
		for _, t := range saTime.FindAllStringSubmatch(m[1], -1) {
			times[t[1]] = t[2]
		}
	}
	const late = 3 // seconds until the list was made
	if child.LifeTime > 0 {
		within("life_time", times["life"], child.LifeTime-late, child.LifeTime)
	} else {
		same("life_time", times["life"], "")
	}
	if child.RekeyTime > 0 {
		within("rekey_time", times["rekey"], child.RekeyTime-child.RandTime-late, child.RekeyTime)
	} else {
		same("rekey_time", times["rekey"], "")
	}
	return differ
}

// TestConfigWire compares what charon does with settings of ipsec.conf that it does
// not list.
func TestConfigWire(t *testing.T) {
	w := newWire(t)
	for _, more := range []string{
		"", "ike=aes256-sha256-modp2048!\nesp=aes256-sha256!", "ike=aes128-sha256-x25519\nesp=aes128gcm16-x25519", "esp=aes128-sha1-modp2048,aes256gcm16!",
		"leftsourceip=%config", "leftsourceip=%config4,%config6", "leftsourceip=10.3.0.9", "mobike=no", "fragmentation=no", "fragmentation=force",
		"rekey=no", "reauth=no", "ikelifetime=2h\nmargintime=5m\nrekeyfuzz=50%", "lifetime=30m\nmargintime=2m\nrekeyfuzz=0%", "keylife=20m\nreauth=no\nikelifetime=1h",
	} {
		conf := wireConn
		if strings.Contains(more, "sourceip") {
			conf = withSetting(conf, "right", "10.99.0.3")
		}
		for _, line := range strings.Split(more, "\n") {
			if key, value, ok := strings.Cut(line, "="); ok {
				conf = withSetting(conf, key, value)
			}
		}
		differ, done := w.compare(t, conf)
		require.True(t, done, more)
		require.Empty(t, differ, more)
	}
	w.keyingTries(t)
}

// TestConfigSecrets compares how ipsec.secrets is read: charon connects with what it
// reads, to a gateway that has the octets that tnc reads.
func TestConfigSecrets(t *testing.T) {
	w := newWire(t)
	dir := t.TempDir()
	for _, line := range []string{
		`: PSK "0x616263"`, `: PSK 0x616263`, `: PSK 0x61626`, `: PSK 0sYWJj`, `: PSK "0sYWJj"`, `: PSK '0x616263'`, `: PSK 'a " # b'`, `: PSK "a ' # b"`, `: PSK "a b"`,
		`: PSK plain#hash`, `: PSK plain # comment`, "\t: PSK\t\"tabs\"", `carol moon : PSK "named"`, `carol : PSK "half"`, `%any : PSK "any"`, `@carol @moon : PSK "at"`,
		": PSK \"first\"\ncarol moon : PSK \"best\"", "carol moon : PSK \"one\"\ncarol moon : PSK \"two\"", "*.org : PSK \"no\"\nc* : PSK \"no\"\nmoon : PSK \"them\"",
		"carol : PSK \"us\"\nmoon : PSK \"them\"", "moon : PSK \"them\"\ncarol : PSK \"us\"", ": PSK \"any\"\ncarol bob : PSK \"us\"", "moon : PSK \"them\"\n%any : PSK \"any\"",
		"m* : PSK \"pattern\"\n%any carol : PSK \"us\"",
	} {
		w.charon.write("ipsec.secrets", line+"\n")
		w.charon.write("ipsec.conf", wireConn)
		m, err := ipsecconf.Load(filepath.Join(w.charon.etc, "ipsec.conf"))
		require.NoError(t, err)
		require.Empty(t, m.Faults, line)
		key, ok := m.SharedKey("carol", "moon")
		require.True(t, ok, line)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "swanctl.conf"), []byte(strings.Replace(wireGateway, "secret = abc", fmt.Sprintf("secret = 0x%x", []byte(key.Secret)), 1)), 0o600))
		out, err := w.gateway.swanctl(dir, "--load-creds", "--clear", "--noprompt")
		require.NoError(t, err, "%s", out)
		theirs, said := w.charon.loadIPsecConf(wireConn)
		require.Contains(t, theirs, "home", said)
		out, _ = w.charon.swanctl(w.charon.etc, "--initiate", "--ike", "home", "--child", "home", "--timeout", "5")
		_, _ = w.charon.swanctl(w.charon.etc, "--terminate", "--ike", "home", "--force")
		require.Contains(t, out, "successfully", "%s: tnc reads another secret than charon", line)
	}
}

// keyingTries compares how often charon tries to connect to a gateway that is not
// there.
func (w *wire) keyingTries(t *testing.T) {
	for value, tries := range map[string]int{"": 3, "1": 1, "2": 2, "%forever": 0} {
		conf := withSetting(withSetting(wireConn, "right", "10.99.0.77"), "keyingtries", value)
		theirs, said := w.charon.loadIPsecConf(conf)
		require.Contains(t, theirs, "home", said)
		ours, err := show(t, w.charon, w.program, "--ipsec-conf", filepath.Join(w.charon.etc, "ipsec.conf"), "--strongswan-conf", filepath.Join(w.charon.etc, "strongswan.conf"))
		require.NoError(t, err)
		require.Equal(t, tries, ours[0].KeyingTries)
		w.charon.logged()
		_, _ = w.charon.swanctl(w.charon.etc, "--initiate", "--ike", "home", "--child", "home", "--timeout", "3")
		_, _ = w.charon.swanctl(w.charon.etc, "--terminate", "--ike", "home", "--force")
		log := w.charon.logged()
		if tries == 1 {
			require.Contains(t, log, "peer not responding")
			require.NotContains(t, log, "trying again")
		} else {
			require.Contains(t, log, fmt.Sprintf("trying again (2/%d)", tries))
		}
	}
}
