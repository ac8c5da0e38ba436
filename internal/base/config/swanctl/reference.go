package swanctl

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// optionDocs say what options do that have an effect, by the section of
// Reference.
var optionDocs = map[string]map[string]string{
	"connections.<conn>": {
		"version": "0 or 2: IKEv2; 1 is refused", "local_addrs": "addresses of this machine, one of each family; %any", "remote_addrs": "the gateway: its names and addresses are tried in turn",
		"local_port": "UDP port here; 500 is charon.port", "remote_port": "UDP port of the gateway; 500, then 4500", "proposals": "algorithms of the IKE_SA; default",
		"vips": "virtual IPs to ask for; 0.0.0.0 and :: are any", "encap": "force UDP encapsulation; no", "mobike": "RFC 4555; yes",
		"dpd_delay": "time without packets until the gateway is probed; 0 is never", "dpd_timeout": "read; IKEv2 follows charon.retransmit_*",
		"fragmentation": "yes, accept, force or no", "keyingtries": "attempts to connect, also where the connection is lost (each then at least 165 s); 1; 0 is for ever", "send_certreq": "name our CAs; yes",
		"send_cert": "ifasked, always or never", "rekey_time": "4h, or never where reauth_time is set; 0 is never", "reauth_time": "0 is never", "over_time": "end after that; 10 % of the longer of the two",
		"rand_time": "random part that is taken off; over_time, at most half", "childless": "allow, prefer, force or never", "ppk_id": "postquantum preshared key of secrets.ppk",
		"ppk_required": "no", "dscp": "six binary digits, of IKE packets in UDP; 000000", "mediation": "refused unless no", "ocsp": "reply, request, both or never", "if_id_in": "XFRM interface ID", "if_id_out": "XFRM interface ID",
	},
	"connections.<conn>.local<suffix>": {
		"round": "order of the rounds", "auth": "pubkey, rsa, ecdsa, ike:<schemes>, psk, eap-<method>", "id": "who we are; else the first certificate's subject, else our address",
		"eap_id": "identity inside EAP; id", "aaa_id": "identity of the EAP server; the gateway's", "certs": "files below x509", "pubkeys": "raw public keys below pubkey",
	},
	"connections.<conn>.local<suffix>.cert<suffix>": {
		"file": "below x509", "handle": "NV index of the TPM with the certificate, as 0x01800001", "slot": "read, says nothing", "module": "refused: PKCS #11",
	},
	"secrets.token<suffix>": {
		"handle": "persistent key in the TPM, as 0x81010001", "pin": "its authorization value", "slot": "read, says nothing", "module": "PKCS #11 tokens are passed over",
	},
	"connections.<conn>.remote<suffix>": {
		"round": "order of the rounds", "auth": "as in local; pubkey", "id": "who the gateway has to be; any", "eap_id": "read, says nothing of a gateway",
		"groups": "refused", "certs": "certificates that it may have", "cacerts": "CAs that its path leads over, below x509ca", "cert_policy": "OIDs that its certificate has",
		"ca_id": "identity of a CA of its path", "pubkeys": "raw public keys that it may have", "revocation": "relaxed, ifuri or strict",
	},
	"connections.<conn>.children.<child>": {
		"local_ts": "what is protected here; dynamic", "remote_ts": "what lies behind the gateway; dynamic", "esp_proposals": "algorithms of the CHILD_SA; default",
		"ah_proposals": "refused", "mode": "tunnel; pass and drop are passed over", "start_action": "none, trap, start or trap|start", "close_action": "none, trap or start",
		"dpd_action": "clear, trap or restart", "rekey_time": "1h, or 10/11 of life_time", "life_time": "rekey_time and 10 %", "rand_time": "life_time less rekey_time",
		"replay_window": "packets; 32", "updown": "program that is run up and down", "interface": "device of routes", "mark_in": "value/mask", "mark_out": "value/mask",
		"if_id_in": "XFRM interface ID", "if_id_out": "XFRM interface ID",
		"copy_df": "yes; in user space yes leaves the bit to the UDP socket, which sets it, and no is for all children", "copy_ecn": "yes; not over TCP", "copy_dscp": "out, in, yes or no; not over TCP",
	},
	"authorities.<ca>": {"cacert": "file below x509ca", "file": "the same", "crl_uris": "where CRLs are", "ocsp_uris": "where OCSP responders are", "cert_uri_base": "where certificates of the CA can be fetched, by their SHA-1 hash: the gateway gets hash and URL where it wants them"},
}

// Reference returns the tables of the options, in Markdown.
func Reference() string {
	var b strings.Builder
	for _, s := range []struct {
		name string
		keys keys
	}{
		{"connections.<conn>", connectionKeys}, {"connections.<conn>.local<suffix>", localKeys}, {"connections.<conn>.local<suffix>.cert<suffix>", certKeys},
		{"connections.<conn>.remote<suffix>", remoteKeys},
		{"connections.<conn>.children.<child>", childKeys}, {"authorities.<ca>", authorityKeys}, {"secrets.token<suffix>", tokenKeys},
	} {
		fmt.Fprintf(&b, "\n### %s\n\n| option | |\n|---|---|\n", s.name)
		for _, key := range slices.Sorted(maps.Keys(s.keys)) {
			doc := optionDocs[s.name][key]
			if why := s.keys[key].ignored; why != "" {
				doc = "no effect: " + why
			}
			fmt.Fprintf(&b, "| `%s` | %s |\n", key, strings.ReplaceAll(doc, "|", "\\|"))
		}
	}
	return b.String()
}
