// Package secrets names the files of a system that hold passwords and private keys:
// those of its users, of strongSwan, and the state of tnc. Verifiers learn nothing
// of them, and the processes of IMCs do not see them.
package secrets

import (
	"path"
	"slices"
	"strings"
)

// State is where tnc keeps the sockets and records of its connections.
const State = "/run/tnc"

// Swanctl are the folders beside swanctl.conf that hold secrets.
var Swanctl = []string{"private", "rsa", "ecdsa", "pkcs8", "pkcs12", "conf.d"}

// Places are patterns (path.Match) of where secrets are on most systems: files, and
// folders with all that is in them.
var Places = places()

func places() []string {
	out := []string{"/etc/shadow*", "/etc/gshadow*", "/etc/*.keytab", "/root/.ssh", "/home/*/.ssh", State}
	for _, dir := range []string{"/etc", "/etc/strongswan", "/usr/local/etc"} {
		out = append(out, dir+"/ipsec.secrets*", dir+"/ipsec.*.secrets*", dir+"/ipsec.d/private", dir+"/swanctl/swanctl.conf*")
		for _, folder := range Swanctl {
			out = append(out, dir+"/swanctl/"+folder)
		}
	}
	return out
}

// Component returns the component by which name, an absolute path, is or lies below
// a secret, in any folder: "" for what is no secret.
func Component(name string) string {
	if name == State || strings.HasPrefix(name, State+"/") {
		return path.Base(State)
	}
	parent := ""
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == ".ssh", strings.HasSuffix(part, ".keytab"),
			strings.HasPrefix(part, "ipsec.") && strings.Contains(part, ".secrets"),
			parent == "etc" && (strings.HasPrefix(part, "shadow") || strings.HasPrefix(part, "gshadow")),
			parent == "ipsec.d" && part == "private",
			parent == "swanctl" && (strings.HasPrefix(part, "swanctl.conf") || slices.Contains(Swanctl, part)):
			return part
		}
		parent = part
	}
	return ""
}
