package ipsecconf

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// keywordDocs say what keywords do that have an effect; those of an end without
// left or right.
var keywordDocs = map[string]map[string]string{
	"config setup": {"charondebug": "log levels by group", "strictcrlpolicy": "revocation = strict or ifuri of every gateway"},
	"ca <name>": {"auto": "add loads it", "cacert": "file of ipsec.d/cacerts", "crluri": "where its CRL is", "crluri1": "the same", "crluri2": "another",
		"certuribase": "where its certificates can be fetched, by their SHA-1 hash", "ocspuri": "where its OCSP responder is", "ocspuri1": "the same", "ocspuri2": "another"},
	"conn <name>": {
		"auto": "add, route, start; without it the conn is a template", "keyexchange": "ike or ikev2; ikev1 is refused", "type": "tunnel; rules for packets are passed over",
		"authby": "where neither leftauth nor rightauth is set: psk, pubkey (rsasig and ecdsasig are the same)", "eap_identity": "identity inside EAP; %identity is leftid",
		"aaa_identity": "identity of the EAP server", "mobike": "yes", "ikedscp": "six binary digits, of IKE packets in UDP; 000000", "forceencaps": "no", "fragmentation": "yes, accept, force or no", "ikelifetime": "3h", "lifetime": "1h",
		"keylife": "lifetime", "margintime": "9m before the end", "rekeymargin": "margintime", "rekeyfuzz": "100%: random part of the margin", "rekey": "no: nothing ends by time",
		"reauth": "yes: the IKE_SA is authenticated again instead of rekeyed", "keyingtries": "3, or %forever", "ike": "proposals of the IKE_SA; without ! the default follows",
		"esp": "proposals of the CHILD_SA, as ike", "ah": "refused", "dpddelay": "30s; only with dpdaction", "dpdaction": "none, clear, hold or restart", "closeaction": "the same",
		"replay_window": "packets", "mark": "mark_in and mark_out", "mark_in": "value/mask", "mark_out": "value/mask",
	},
	"left… and right…": {
		"": "addresses; left is this machine unless right is an address of it", "ikeport": "UDP port", "subnet": "what is protected; %dynamic", "subnetwithin": "subnet",
		"protoport": "protocol/port of subnets that say nothing themselves", "sourceip": "of this machine: virtual IPs; %config", "allowany": "read, says nothing to an initiator",
		"updown": "of this machine: program that is run up and down", "auth": "pubkey, rsa, ecdsa, psk, eap-<method>; any is what we do", "auth2": "a second round",
		"id": "identity; else the address", "id2": "of the second round", "sigkey": "file with a raw public key", "rsasigkey": "sigkey", "cert": "files of ipsec.d/certs",
		"cert2": "of the second round", "certpolicy": "of the gateway: OIDs", "sendcert": "ifasked, always, never", "ca": "of the gateway: CA of its path, if it is loaded",
		"ca2": "of the second round", "groups": "of the gateway: refused", "groups2": "of the gateway: refused",
	},
}

// Reference returns the tables of the keywords, in Markdown.
func Reference() string {
	var b strings.Builder
	for _, s := range []struct {
		name string
		keys map[string]keyword
	}{{"config setup", setupKeywords}, {"ca <name>", authorityKeywords}, {"conn <name>", connKeywords}, {"left… and right…", endKeywords}} {
		fmt.Fprintf(&b, "\n### %s\n\n| keyword | |\n|---|---|\n", s.name)
		for _, key := range slices.Sorted(maps.Keys(s.keys)) {
			doc := keywordDocs[s.name][key]
			if why := s.keys[key].unused; why != "" {
				doc = "no effect: " + why
			}
			name := key
			if s.name == "left… and right…" {
				name = "left" + key
			}
			fmt.Fprintf(&b, "| `%s` | %s |\n", name, doc)
		}
	}
	return b.String()
}
