package imc

import (
	"strings"

	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
)

// provider is logged where strongSwan's lines name the plugin of an algorithm.
const provider = "go"

// probe logs the algorithms that PTS may use, and returns the D-H groups: those
// of imc-attestation.dh_groups, all by default and where it names none that
// exists. False: the mandatory group is not among them, and
// imc-attestation.mandatory_dh_groups, which is on by default, insists on it.
func (a *Agent) probe() (groups pts.DHGroups, ok bool) {
	l := log.Group(a.cfg.Logger, log.PTS)
	for _, e := range [...]struct {
		need string
		alg  pts.HashAlgorithms
	}{{"mandatory", pts.SHA1}, {"mandatory", pts.SHA256}, {"optional ", pts.SHA384}, {"optional ", pts.SHA512}} {
		log.Detailf(l, "  %s PTS measurement algorithm %v[%s] available", e.need, e.alg, provider)
	}
	groups = pts.SupportedGroups
	if names := a.opt.dhGroups; len(names) > 0 {
		set, unknown := pts.ParseDHGroups(names)
		if set != 0 {
			groups = set
		}
		if len(unknown) > 0 {
			log.Warnf(log.Group(a.cfg.Logger, log.CFG), "imc-attestation.dh_groups: %s is no group: write modp1024, modp1536, modp2048, ecp256, ecp384 or ecp521",
				text.Escape(strings.Join(unknown, ", "), maxPrinted))
		}
	}
	for _, g := range groups.Each() {
		need := "optional "
		if g == pts.MandatoryGroups {
			need = "mandatory"
		}
		log.Detailf(l, "  %s PTS DH group %v[%s] available", need, g, provider)
	}
	if groups&pts.MandatoryGroups == 0 && a.opt.mandatory {
		log.Infof(l, "  mandatory PTS DH group %v not available: add ecp256 to imc-attestation.dh_groups, or say mandatory_dh_groups = no", pts.MandatoryGroups)
		return 0, false
	}
	return groups, true
}
