package measure

import (
	"fmt"
	"path"
	"strings"

	"github.com/gotnc/gotnc/internal/base/secrets"
)

// checkSecret refuses secrets of the system, of which a verifier learns neither
// digest nor size nor time: a digest lets it try passwords. A pattern of Allow names
// one where a component of it, not only of special characters, matches the name of
// the secret: /etc/shadow does, / and /etc/* do not.
func (p Policy) checkSecret(name string) error {
	secret := secrets.Component(name)
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
