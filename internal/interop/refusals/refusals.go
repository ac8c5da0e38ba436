// Package refusals is the table of what strongSwan loads and tnc refuses on purpose.
// The comparison with strongSwan's test suite prints it, docs/configuration.md shows
// it.
package refusals

import (
	"fmt"
	"regexp"
	"strings"
)

// Refusal is one row: what is refused, and why.
type Refusal struct {
	What, Why string
	// says matches what tnc says of it, by which the comparison recognizes it.
	says *regexp.Regexp
}

// Table is in the order of the documentation.
var Table = []Refusal{
	{"IKEv1, XAuth", "only IKEv2 is there", re(`version = 1: IKEv1|keyexchange.*ikev1|XAuth`)},
	{"modes other than tunnel", "only ESP tunnels are there", re(`mode = (transport|transport_proxy|beet|iptfs)|type = (transport|transport_proxy|beet)`)},
	{"AH", "only ESP tunnels are there", re(`ah_proposals|AH is not supported`)},
	{"rules for packets (pass, drop) beside tunnels", "leaving one out would change what is protected; connections of rules alone are passed over", re(`mode = (pass|drop) is not supported beside tunnels`)},
	{"3DES, Blowfish, Camellia, NULL, MD5, Brainpool curves, MODP below 1024, …", "algorithms that are weak or that Go does not have", re(`"[^"]*" is not implemented`)},
	{"EAP methods other than TTLS, TLS, PEAP, MSCHAPv2, MD5, GTC", "no SIM card; a mistyped name must not decide about security", re(`auth = eap-\w+ is not supported`)},
	{"groups of a gateway", "nothing shows them to a client", re(`groups cannot be checked`)},
	{"mark_in, mark_out = %unique", "unique marks are not assigned", re(`mark_(in|out) = "%unique`)},
	{"keys and certificates on smartcards (PKCS #11)", "put them into files, or [into a TPM](tpm-keys.md)", re(`smartcards are not supported|PKCS #11`)},
	{"keys written into ipsec.conf", "put them into files", re(`a key in the configuration is not supported`)},
	{"a trap for any peer (start_action without remote_addrs)", "there is nobody to connect to", re(`has no (remote_addrs|right|left):`)},
	{"a password method without its secret", "it cannot work", re(`there is no eap secret`)},
	{"a prefix longer than the address, version = 3, a port above 65535, a negative time", "typing errors", re(`not a subnet such as|not a port from|version = 3: not|= "-[^"]*": not a time`)},
}

func re(s string) *regexp.Regexp { return regexp.MustCompile(s) }

// Of returns the row of a problem that tnc names.
func Of(problem string) (Refusal, bool) {
	for _, r := range Table {
		if r.says.MatchString(problem) {
			return r, true
		}
	}
	return Refusal{}, false
}

// Markdown returns the table.
func Markdown() string {
	var b strings.Builder
	b.WriteString("| what | why |\n|---|---|\n")
	for _, r := range Table {
		fmt.Fprintf(&b, "| %s | %s |\n", r.What, r.Why)
	}
	return b.String()
}
