package measure

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// stateFolder is where tnc keeps the sockets and records of its connections.
const stateFolder = "/run/tnc"

// swanctlSecrets are the files and folders of swanctl that hold secrets.
var swanctlSecrets = []string{"private", "rsa", "ecdsa", "pkcs8", "pkcs12", "conf.d"}

// secretComponent returns the component by which name, an absolute path, is or lies
// below a secret of the system, in any folder: "" for what is no secret.
func secretComponent(name string) string {
	if within(name, stateFolder) {
		return path.Base(stateFolder)
	}
	parent := ""
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == ".ssh", strings.HasSuffix(part, ".keytab"),
			strings.HasPrefix(part, "ipsec.") && (part == "ipsec.secrets" || strings.Contains(part, ".secrets")),
			parent == "etc" && (strings.HasPrefix(part, "shadow") || strings.HasPrefix(part, "gshadow")),
			parent == "ipsec.d" && part == "private",
			parent == "swanctl" && (strings.HasPrefix(part, "swanctl.conf") || slices.Contains(swanctlSecrets, part)):
			return part
		}
		parent = part
	}
	return ""
}

// checkSecret refuses secrets of the system, of which a verifier learns neither
// digest nor size nor time: a digest lets it try passwords. A pattern of Allow names
// one where a component of it, not only of special characters, matches the name of
// the secret: /etc/shadow does, / and /etc/* do not.
func (p Policy) checkSecret(name string) error {
	secret := secretComponent(name)
	if secret == "" {
		return nil
	}
	for _, q := range p.allow {
		if !q.matches(name) {
			continue
		}
		for _, segment := range q.segments {
			if ok, _ := path.Match(segment, secret); ok && strings.Trim(segment, "*?") != "" {
				return nil
			}
		}
	}
	return fmt.Errorf("%w: measure_allow does not name the secret %s", ErrRefused, quote(secret))
}
