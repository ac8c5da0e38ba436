package strongswan

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// ipsecSettings generate values of ipsec.conf, bad ones among them.
type ipsecSettings map[string]*rapid.Generator[string]

func oneOf(of ...string) *rapid.Generator[string] { return rapid.SampledFrom(of) }

func listOf(of *rapid.Generator[string], sep string) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfNDistinct(of, 1, 3, rapid.ID[string]).Draw(t, "list"), sep)
	})
}

// wireSettings are those whose effect shows when charon connects; it does with
// each of their values.
var wireSettings = ipsecSettings{
	"ike":           listOf(oneOf("aes128-sha256-x25519", "aes256gcm16-prfsha384-ecp384", "aes128-aes256-sha1-modp2048"), ","),
	"esp":           listOf(oneOf("aes128gcm16", "aes256-sha256-modp2048", "aes128-sha1", "aes256gcm16-x25519"), ","),
	"ikelifetime":   oneOf("3600", "90m", "2h", "1d"),
	"lifetime":      oneOf("1800s", "50m", "8h"),
	"keylife":       oneOf("40m", "3000"),
	"margintime":    oneOf("60", "3m", "540s"),
	"rekeymargin":   oneOf("2m", "90"),
	"rekeyfuzz":     oneOf("0%", "50%", "100%", "200%"),
	"rekey":         oneOf("yes", "no"),
	"reauth":        oneOf("yes", "no"),
	"mobike":        oneOf("yes", "no"),
	"fragmentation": oneOf("yes", "no", "force", "accept"),
	"leftsourceip":  oneOf("%config", "%config4", "%config6", "10.3.0.9", "%config4,%config6"),
}

// listSettings are those that charon lists, or starter refuses.
var listSettings = ipsecSettings{
	"ike":            listOf(oneOf("aes128-sha256-x25519", "aes265-sha256-ecp256", "aes256-sha256-modp2048"), ","),
	"ikelifetime":    oneOf("3600", "90m", "1w", "2h ", "1D", "-1"),
	"lifetime":       oneOf("50m", "8h", "1x", "3000s"),
	"margintime":     oneOf("60", "3m", "abc"),
	"rekeyfuzz":      oneOf("0%", "50%", "50", "100 %"),
	"rekey":          oneOf("yes", "no", "maybe"),
	"reauth":         oneOf("yes", "no", "1"),
	"mobike":         oneOf("yes", "no", "true"),
	"keyexchange":    oneOf("ike", "ikev2", "ikev3"),
	"keyingtries":    oneOf("1", "%forever", "0", "x"),
	"dpdaction":      oneOf("none", "clear", "hold", "restart", "trap"),
	"dpddelay":       oneOf("10", "30s", "2m", "1 m", "10x"),
	"closeaction":    oneOf("none", "clear", "hold", "restart"),
	"left":           oneOf("%any", "%defaultroute", "192.168.0.100", "10.0.0.1,192.168.0.100"),
	"right":          oneOf("192.168.0.1", "gw.example.org", "192.168.0.1,192.168.0.2", "2001:db8::1"),
	"leftid":         oneOf("carol", "@carol.example.org", "carol@example.org", "%carol", "192.168.0.100", `"C=CH, O=x, CN=carol"`, "@#0a0b", "keyid:abc"),
	"rightid":        oneOf("moon", "%moon", "%any", "*@example.org", `"C=CH, O=x, CN=*"`, "fqdn:moon", "email:a@b"),
	"leftsubnet":     listOf(selectors, ","),
	"rightsubnet":    listOf(selectors, ", "),
	"leftprotoport":  oneOf("tcp", "tcp/http", "17/%any", "icmp/8", "udp/1000-2000", "6/0"),
	"rightprotoport": oneOf("udp/53", "gre", "tcp/%any", "any/53"),
	"leftikeport":    oneOf("4500", "70000", "0"),
	"rightikeport":   oneOf("4500", "500", "x"),
	"leftauth":       oneOf("psk", "secret", "pubkey", "eap-md5", "any"),
	"rightauth":      oneOf("psk", "pubkey", "any"),
	"eap_identity":   oneOf("carol", "%identity", "%any"),
	"aaa_identity":   oneOf("aaa", `"C=CH, CN=aaa"`),
	"x-own":          oneOf("anything"),
}

var selectors = rapid.Custom(func(t *rapid.T) string {
	return oneOf("10.1.0.0/16", "10.2.3.4", "%dynamic", "fec0::/16", "0.0.0.0/0", "bogus", "10.1.0.0/8").Draw(t, "net") +
		oneOf("", "", "[tcp]", "[tcp/80]", "[udp/1000-2000]", "[icmp/8]", "[6/22]", "[/53]", "[%any/%any]").Draw(t, "proto")
})

// generatedIPsec writes settings as the grammar allows: in the conn, in conn
// %default, in a conn that also names, indented and quoted in many ways, with
// comments and blank lines.
func generatedIPsec(t *rapid.T, of ipsecSettings, base string, odds int) string {
	var home, def, also strings.Builder
	blank := oneOf("\t", " ", "    ", "\t ")
	write := func(b *strings.Builder, key, value string) {
		if oneOf("plain", "plain", "quoted").Draw(t, "style") == "quoted" && !strings.ContainsAny(value, `"`) {
			value = `"` + value + `"`
		}
		b.WriteString(blank.Draw(t, "indent") + key + oneOf("=", " = ", "= ").Draw(t, "equals") + value + oneOf("", "", " # note", "\t").Draw(t, "end") + "\n")
		b.WriteString(oneOf("", "", "\n", "# comment\n", "\t# comment\n", "  \n").Draw(t, "between"))
	}
	for _, key := range sortedKeys(of) {
		if rapid.IntRange(0, odds).Draw(t, "set "+key) == 0 {
			value := of[key].Draw(t, key)
			if (key == "ike" || key == "esp") && oneOf("", "!").Draw(t, "strict") == "!" {
				value += "!"
			}
			switch oneOf("home", "home", "default", "also", "twice").Draw(t, "where "+key) {
			case "home":
				write(&home, key, value)
			case "default":
				write(&def, key, value)
			case "also":
				write(&also, key, value)
			case "twice": // the last one counts; in the conn before %default
				write(&def, key, of[key].Draw(t, key))
				write(&home, key, of[key].Draw(t, key))
				write(&home, key, value)
			}
		}
	}
	text := oneOf("", "version 2.0\n", "# generated\n", "config setup\n\tuniqueids=yes\n").Draw(t, "head")
	if def.Len() > 0 {
		text += "conn %default\n" + def.String()
	}
	text += strings.TrimPrefix(base, "config setup\n") + home.String()
	if also.Len() > 0 {
		text += "\talso=more\nconn more\n" + also.String()
	}
	return text
}

// TestConfigGeneratedIPsec compares a hundred ipsec.conf: with what charon lists of
// them, and every fourth with what it does when it connects.
func TestConfigGeneratedIPsec(t *testing.T) {
	w := newWire(t)
	w.charon.standInsIPsec()
	w.charon.write("ipsec.secrets", ": PSK \"abc\"\n: ECDSA carolKey.pem\ncarol : EAP \"pw\"\n: EAP \"pw\"\n")
	count := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		if rapid.IntRange(0, 3).Draw(rt, "connect") == 3 {
			base := wireConn
			text := generatedIPsec(rt, wireSettings, base, 2)
			if strings.Contains(text, "sourceip") {
				text = strings.ReplaceAll(text, "right=10.99.0.2", "right=10.99.0.3")
			}
			differ, done := w.compare(t, text)
			if len(differ) > 0 || !done {
				rt.Fatalf("%s\n%s", strings.Join(differ, "\n"), text)
			}
			count["connected"]++
			return
		}
		base := "config setup\nconn home\n\tleft=192.168.0.100\n\tright=192.168.0.1\n\tleftid=carol\n\trightid=moon\n\tleftcert=carolCert.pem\n\tauthby=secret\n\tauto=add\n"
		text := generatedIPsec(rt, listSettings, base, 6)
		w.t, w.charon.t = t, t
		for _, o := range w.ipsecConf(text) {
			count[o.kind]++
			if _, ok := refusedOnPurpose(o.details); o.kind != same && o.kind != bothRefused && !(o.kind == onlyTheirs && ok) {
				rt.Fatalf("%s\n%s\n%s", o.kind, strings.Join(o.details, "\n"), text)
			}
		}
	})
	t.Log(fmt.Sprint(count))
}
