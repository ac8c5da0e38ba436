package strongswan

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestConfigGenerated compares a hundred swanctl.conf whose values are generated:
// times, selectors, proposals, addresses, actions.
func TestConfigGenerated(t *testing.T) {
	charon := newConfigCharon(t, "charon")
	c := newComparer(t, charon)
	pick := func(of ...string) *rapid.Generator[string] { return rapid.SampledFrom(of) }
	time := rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprint(rapid.IntRange(0, 5000).Draw(t, "n")) + pick("", "", "s", "s", "m", "m", "h", "h", "d", "S", "H", " s", "x").Draw(t, "unit")
	})
	subnet := rapid.Custom(func(t *rapid.T) string {
		base := pick("dynamic", "10.1.0.0/16", "10.2.3.4", "fec0::/16", "10.1.0.1-10.1.0.9", "0.0.0.0/0").Draw(t, "net")
		return base + pick("", "[tcp]", "[tcp/80]", "[udp/1000-2000]", "[icmp/8]", "[6/22]", "[/53]").Draw(t, "proto")
	})
	list := func(of *rapid.Generator[string], sep string) *rapid.Generator[string] {
		return rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(of, 1, 3).Draw(t, "list"), sep) })
	}
	ike := list(pick("aes128-sha256-x25519", "aes256gcm16-prfsha384-ecp384", "aes128-aes256-sha1-modp2048", "aes256-sha256", "aes265-sha256-ecp256", "default"), ", ")
	esp := list(pick("aes128gcm16", "aes256-sha256-modp2048", "aes128-sha1-esn-noesn", "chacha20poly1305-x25519", "default"), ",")
	action := pick("none", "clear", "trap", "start", "restart", "route", "trap|start", "boom")
	conn := map[string]*rapid.Generator[string]{"rekey_time": time, "reauth_time": time, "over_time": time, "rand_time": time, "dpd_delay": time, "proposals": ike,
		"keyingtries": pick("0", "1", "5", "x"), "mobike": pick("yes", "no", "1", "maybe"), "vips": list(pick("0.0.0.0", "::", "10.3.0.1"), ", ")}
	child := map[string]*rapid.Generator[string]{"rekey_time": time, "life_time": time, "rand_time": time, "local_ts": list(subnet, ","), "remote_ts": list(subnet, ", "),
		"esp_proposals": esp, "dpd_action": action, "close_action": action, "mark_in": pick("1", "0x10/0xff", "x")}
	section := func(t *rapid.T, of map[string]*rapid.Generator[string]) string {
		var b strings.Builder
		for _, key := range sortedKeys(of) {
			if rapid.IntRange(0, 3).Draw(t, "set "+key) == 0 {
				b.WriteString(key + " = " + of[key].Draw(t, key) + "\n")
			}
		}
		return b.String()
	}
	count := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		k := swanctlCase{conn: section(rt, conn), child: section(rt, child)}
		dir, err := os.MkdirTemp("", "generated")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		standIns(t, dir, k.text())
		for _, o := range c.swanctl(dir) {
			count[o.kind]++
			if o.kind != same && o.kind != bothRefused {
				rt.Fatalf("%s: %s\n%s", o.kind, strings.Join(o.details, "\n"), k.text())
			}
		}
	})
	t.Logf("%v", count)
}
