package ipsecconf

import (
	"slices"
	"strconv"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

// keyword is a setting of ipsec.conf(5): what its value may be, and where it has
// no effect here, why.
type keyword struct {
	check func(string) bool // nil: any text
	want  string            // what check wants, for the error
	// unused says why the setting has no effect; values in unset are those that
	// say the same as leaving it out, and are not worth a warning.
	unused string
	unset  []string
}

func oneOf(values ...string) keyword {
	return keyword{
		check: func(s string) bool { return slices.Contains(values, s) },
		want:  "one of " + strings.Join(values, ", "),
	}
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 64)
	return err == nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 64)
	return err == nil && n <= 65535
}

var (
	anyText = keyword{}
	yesNo   = oneOf("no", "yes")
	number  = keyword{check: isNumber, want: "a number"}
	port    = keyword{check: isPort, want: "a port from 0 to 65535"}
	percent = keyword{check: func(s string) bool { n, ok := strings.CutSuffix(s, "%"); return ok && isNumber(n) }, want: "a percentage such as 100%"}
	times   = keyword{check: func(s string) bool { _, ok := seconds(s); return ok }, want: "a time such as 3600, 60m, 1h or 1d"}
	dscp    = keyword{check: func(s string) bool { _, err := strconv.ParseUint(s, 2, 6); return err == nil }, want: "six binary digits such as 101110"}
	dpd     = oneOf("none", "clear", "hold", "restart")
)

// because returns k with the reason why it has no effect here.
func (k keyword) because(reason string, unset ...string) keyword {
	k.unused, k.unset = reason, unset
	return k
}

const (
	forGateways = "it is for gateways"
	forIKEv1    = "it belongs to IKEv1"
	oldOption   = "strongSwan no longer knows it either"
)

var setupKeywords = map[string]keyword{
	"charondebug": anyText, "strictcrlpolicy": oneOf("no", "yes", "ifuri"),
	"uniqueids": oneOf("no", "yes", "replace", "keep", "never").because("one connection has one IKE_SA", "yes", "replace"),
	"cachecrls": yesNo.because("set charon.cache_crls in strongswan.conf", "no"),

	"plutostart": anyText.because(oldOption), "charonstart": anyText.because(oldOption), "interfaces": anyText.because(oldOption), "dumpdir": anyText.because(oldOption),
	"klipsdebug": anyText.because(oldOption), "plutodebug": anyText.because(oldOption), "prepluto": anyText.because(oldOption), "postpluto": anyText.because(oldOption),
	"plutostderrlog": anyText.because(oldOption), "fragicmp": anyText.because(oldOption), "packetdefault": anyText.because(oldOption), "hidetos": anyText.because(oldOption),
	"overridemtu": anyText.because(oldOption), "crlcheckinterval": anyText.because(oldOption), "nocrsend": anyText.because(oldOption), "nat_traversal": anyText.because(oldOption),
	"keep_alive": anyText.because(oldOption), "force_keepalive": anyText.because(oldOption), "virtual_private": anyText.because(oldOption),
	"pkcs11module": anyText.because(oldOption), "pkcs11initargs": anyText.because(oldOption), "pkcs11keepstate": anyText.because(oldOption), "pkcs11proxy": anyText.because(oldOption),
}

var authorityKeywords = map[string]keyword{
	"auto": oneOf("ignore", "add", "route", "start"), "cacert": anyText, "crluri": anyText, "crluri1": anyText, "crluri2": anyText,
	"ocspuri": anyText, "ocspuri1": anyText, "ocspuri2": anyText,
	"certuribase": anyText,
	"ldaphost":    anyText.because(oldOption), "ldapbase": anyText.because(oldOption),
}

// connKeywords are those of a conn that are not of one end.
var connKeywords = map[string]keyword{
	"auto": oneOf("ignore", "add", "route", "start"), "keyexchange": oneOf("ike", "ikev1", "ikev2"), "type": anyText,
	"authby":       oneOf("psk", "secret", "pubkey", "rsa", "rsasig", "ecdsa", "ecdsasig", "xauthpsk", "xauthrsasig", "never"),
	"eap_identity": anyText, "aaa_identity": anyText, "mobike": yesNo, "forceencaps": yesNo,
	"fragmentation": oneOf("no", "accept", "yes", "force"), "ikelifetime": times, "lifetime": times, "keylife": times,
	"margintime": times, "rekeymargin": times, "rekeyfuzz": percent, "rekey": yesNo, "reauth": yesNo,
	"keyingtries": {check: func(s string) bool { return s == "%forever" || isNumber(s) }, want: "a number or %forever"},
	"ike":         anyText, "esp": anyText, "ah": anyText, "dpddelay": times, "dpdaction": dpd, "closeaction": dpd,
	"replay_window": number, "mark": anyText, "mark_in": anyText, "mark_out": anyText,

	"dpdtimeout":    times.because(forIKEv1),
	"compress":      yesNo.because("IPComp is not supported: packets are not compressed", "no"),
	"installpolicy": yesNo.because("policies are always installed", "yes"),
	"aggressive":    yesNo.because(forIKEv1, "no"),
	"modeconfig":    oneOf("push", "pull").because(forIKEv1, "pull"),
	"xauth":         oneOf("server", "client").because(forIKEv1, "client"), "xauth_identity": anyText.because(forIKEv1),
	"ikedscp":   dscp,
	"lifebytes": number.because("CHILD_SAs are rekeyed by time"), "marginbytes": number.because("CHILD_SAs are rekeyed by time"),
	"lifepackets": number.because("CHILD_SAs are rekeyed by time"), "marginpackets": number.because("CHILD_SAs are rekeyed by time"),
	"sha256_96":  yesNo.because("HMAC-SHA-256 is truncated to 128 bits (RFC 4868)", "no"),
	"inactivity": times.because("CHILD_SAs without traffic are kept", "0", "0s"),
	"mediation":  yesNo.because("mediation is not supported", "no"), "mediated_by": anyText.because("mediation is not supported"), "me_peerid": anyText.because("mediation is not supported"),
	"reqid": number.because("reqids are assigned"),
	"tfc":   {check: func(s string) bool { return s == "%mtu" || isNumber(s) }, want: "a number of octets or %mtu", unused: "ESP packets are not padded", unset: []string{"0"}},
	"pfs":   anyText.because(oldOption + ": a group in esp= asks for PFS"), "pfsgroup": anyText.because(oldOption + ": a group in esp= asks for PFS"), "eap": anyText.because(oldOption),
}

// endKeywords are those of an end: with left or right before them.
var endKeywords = map[string]keyword{
	"": anyText, "ikeport": port, "subnet": anyText, "subnetwithin": anyText, "protoport": anyText, "sourceip": anyText,
	"allowany": yesNo, "updown": anyText, "auth": anyText, "auth2": anyText, "id": anyText, "id2": anyText,
	"sigkey": anyText, "rsasigkey": anyText, "cert": anyText, "cert2": anyText, "certpolicy": anyText,
	"sendcert": oneOf("always", "ifasked", "never", "yes", "no"), "ca": anyText, "ca2": anyText, "groups": anyText, "groups2": anyText,

	"dns":        anyText.because("name servers are asked for with a virtual IP"),
	"firewall":   yesNo.because("no firewall rules are added: use leftupdown", "no"),
	"hostaccess": yesNo.because("no firewall rules are added", "no"),
	"nexthop":    anyText.because(oldOption),
}

// keywordOf returns the keyword of a conn.
func keywordOf(key string) (keyword, bool) {
	if k, ok := connKeywords[key]; ok {
		return k, true
	}
	for _, end := range []string{"left", "right"} {
		if rest, ok := strings.CutPrefix(key, end); ok {
			if k, ok := endKeywords[rest]; ok {
				return k, true
			}
		}
	}
	return keyword{}, false
}

// known lists the keywords of a conn, for suggestions.
func known() (all []string) {
	for k := range connKeywords {
		all = append(all, k)
	}
	for k := range endKeywords {
		all = append(all, "left"+k, "right"+k)
	}
	return append(all, "also")
}

// checked returns the values that mean something here. A value that cannot be is
// given to bad, as strongSwan refuses the section; a keyword that is not known
// or has no effect is a warning.
func checked(cfg *config.Config, values map[string]config.Value, find func(string) (keyword, bool), names []string, what string, bad func(*config.Error)) map[string]config.Value {
	out := map[string]config.Value{}
	for key, v := range values {
		k, ok := find(key)
		switch {
		case strings.HasPrefix(key, "x-") || strings.HasPrefix(key, "x_"):
		case !ok:
			cfg.Warn(v.Errorf("setting %q is not known in %s%s", key, what, config.Suggest(key, names)))
		case v.Text == "":
		case k.check != nil && !k.check(v.Text):
			bad(v.Errorf("%s = %s: not %s", key, config.QuoteText(v.Text), k.want))
		case k.unused != "":
			if !slices.Contains(k.unset, v.Text) {
				cfg.Warn(v.Errorf("%s has no effect: %s", key, k.unused))
			}
		default:
			out[key] = v
		}
	}
	return out
}
