package profile

import (
	"regexp"
	"strings"
)

// ipsecWords are the settings of swanctl.conf in sentences, as ipsec.conf calls
// them; LOCAL and REMOTE are left and right.
var ipsecWords = []struct {
	swanctl *regexp.Regexp
	ipsec   string
}{
	{regexp.MustCompile(`\blocal\.certs\b`), "LOCALcert"},
	{regexp.MustCompile(`\blocal\.pubkeys\b`), "LOCALsigkey"},
	{regexp.MustCompile(`\b(local|remote)\.aaa_id\b`), "aaa_identity"},
	{regexp.MustCompile(`\blocal\.(auth|id)\b`), "LOCAL$1"},
	{regexp.MustCompile(`\bremote\.certs\b`), "REMOTEcert"},
	{regexp.MustCompile(`\bremote\.(cacerts|ca_id)\b`), "REMOTEca"},
	{regexp.MustCompile(`\bremote\.pubkeys\b`), "REMOTEsigkey"},
	{regexp.MustCompile(`\bremote\.cert_policy\b`), "REMOTEcertpolicy"},
	{regexp.MustCompile(`\bremote\.(auth|id|groups)\b`), "REMOTE$1"},
	{regexp.MustCompile(`\bauth = (eap)`), "LOCALauth = $1"},
	{regexp.MustCompile(`\bremote_addrs\b`), "REMOTE"},
	{regexp.MustCompile(`\blocal_addrs\b`), "LOCAL"},
	{regexp.MustCompile(`\bremote_ts\b`), "REMOTEsubnet"},
	{regexp.MustCompile(`\blocal_ts\b`), "LOCALsubnet"},
	{regexp.MustCompile(`\bvips\b`), "LOCALsourceip"},
	{regexp.MustCompile(`\besp_proposals( of child)?\b`), "esp$1"},
	{regexp.MustCompile(`\bproposals( of connection)`), "ike$1"},
	{regexp.MustCompile(`\bremote has no id\b`), "there is no REMOTEid"},
	{regexp.MustCompile(`\bset id to the gateway's\b`), "set REMOTEid to the gateway's"},
	{regexp.MustCompile(`\bin swanctl\.conf\b`), "in ipsec.conf"},
	{regexp.MustCompile(`\binto x509ca\b`), "into ipsec.d/cacerts"},
	{regexp.MustCompile(`\binto x509crl\b`), "into ipsec.d/crls"},
	{regexp.MustCompile(`\bin authorities\b`), "in a ca section"},
	{regexp.MustCompile(`\b(of|a) child\b`), "$1 connection"},
}

// words returns a sentence with the names that settings have in the file that was
// read: those of ipsec.conf where it was one.
func (p *Profile) words(sentence string) string {
	if p.Swanctl == nil || p.Swanctl.Folders == nil {
		return sentence
	}
	local, remote := "left", "right"
	if p.Connection != nil && p.Connection.Swapped {
		local, remote = remote, local
	}
	ends := strings.NewReplacer("LOCAL", local, "REMOTE", remote)
	for _, w := range ipsecWords {
		sentence = w.swanctl.ReplaceAllString(sentence, ends.Replace(w.ipsec))
	}
	return sentence
}

// wordedError is an error whose sentence names settings as the file does.
type wordedError struct {
	error
	sentence string
}

func (e *wordedError) Error() string { return e.sentence }
func (e *wordedError) Unwrap() error { return e.error }

// InWords returns err with the names that settings have in the file that was read.
func (p *Profile) InWords(err error) error {
	if err == nil {
		return nil
	}
	if s := p.words(err.Error()); s != err.Error() {
		return &wordedError{err, s}
	}
	return err
}
