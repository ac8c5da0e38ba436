package settings

import (
	"fmt"
	"strings"
)

// Reference returns the reference page of all settings, docs/settings.md.
func Reference() string {
	var b strings.Builder
	b.WriteString(`# Settings in strongswan.conf

<!-- Generated from internal/base/config/settings: go test ./internal/base/config/settings -update -->

What ` + "`tnc`" + ` and ` + "`imc-attestation.so`" + ` read of strongswan.conf. Where a setting has two
names the first counts. Names and meanings are strongSwan's, but for those marked †, which
strongSwan does not have. ` + "`tnc config check`" + ` names settings that are not known, and those
of strongSwan that do nothing here, with file and line.

The Attestation IMC looks below ` + "`NAME`" + `: ` + "`tnc`" + ` and ` + "`charon`" + ` where tnc loads it, else the
program that loads it (charon, charon-systemd, …), then below ` + "`libimcv`" + `.

With swanctl.conf a section ` + "`charon-systemd`" + ` counts before ` + "`charon`" + `, setting by setting, as in
strongSwan's client of that name; with ipsec.conf ` + "`charon`" + ` alone does. ` + "`charon-nm`" + `,
` + "`charon-cmd`" + ` and ` + "`charon-svc`" + ` are other programs' sections. ` + "`tnc config check`" + ` says which is in force.
`)
	for _, g := range []Group{IKE, EAP, TNC, Mutual, IMC, Measuring} {
		fmt.Fprintf(&b, "\n## %s\n\nRead by `%s`.\n\n| setting | value | default | |\n|---|---|---|---|\n", g, reader(g))
		for _, s := range all {
			if s.Group != g {
				continue
			}
			kind, def, doc := s.Type, s.Default, s.Doc
			if s.Unit != "" {
				kind += ", " + s.Unit
			}
			if def == "" {
				def = "–"
			}
			if s.Own {
				doc += " †"
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", s.shown(), kind, def, doc)
		}
	}
	return b.String()
}

// shown returns the names as the reference shows them.
func (s *Setting) shown() string {
	switch {
	case len(s.Names) == len(Sections) && strings.HasPrefix(s.Key, "imcv."):
		return fmt.Sprintf("`NAME.%s`, `%s`", s.Key, s.Names[len(s.Names)-1])
	case len(s.Names) == len(Sections):
		return fmt.Sprintf("`NAME.%s`", s.Key)
	}
	return "`" + strings.Join(s.Names, "`, `") + "`"
}

// reader returns the program that reads the settings of a group.
func reader(g Group) string {
	for _, s := range all {
		if s.Group == g {
			return s.Reader
		}
	}
	return ""
}
