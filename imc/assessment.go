package imc

import (
	"encoding/binary"
	"fmt"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

// assessment logs results, remediation and errors, and reports whether an error
// among them is fatal: TCG's for the Attestation IMC, the IETF's 1 to 3 for the
// operating system's part.
func (a *Agent) assessment(l *loaded, c *connection, as []patnc.Attribute, t MessageType, imv, source uint32) (fatal bool) {
	began := false
	header := func() {
		if began {
			return
		}
		began = true
		if imv == AnyIMV {
			a.infof("***** assessment of IMC %d %q *****", source, a.name)
		} else {
			a.infof("***** assessment of IMC %d %q from IMV %d *****", source, a.name, imv)
		}
	}
	for _, at := range as {
		switch v := at.Value.(type) {
		case patnc.AssessmentResult:
			header()
			a.infof("assessment result is '%v'", v.Result)
		case patnc.RemediationInstructions:
			header()
			switch {
			case v.Vendor == patnc.VendorIETF && v.Parameters == patnc.RemediationURI:
				a.infof("remediation uri: %s", printable(v.URI))
			case v.Vendor == patnc.VendorIETF && v.Parameters == patnc.RemediationString:
				a.infof("remediation string: [%s] %s", printable(v.Language), printable(v.String))
			default:
				a.infof("remediation parameters: %d bytes", len(v.Data))
			}
		case patnc.Error:
			switch {
			case v.Vendor == patnc.VendorTCG:
				a.infof("received TCG-PTS error '%v'", pts.ErrorCode(v.Code))
				if info, err := pts.ParseErrorInfo(v); err == nil {
					a.infof("error information: %v", info)
				}
				fatal = fatal || t == TypePTS
			case v.Vendor == patnc.VendorIETF:
				a.receivedError(v)
				fatal = fatal || t != TypePTS && v.Code >= 1 && v.Code <= 3
			default:
				a.tnc.Info("received " + v.String())
			}
		}
	}
	if began {
		a.infof("***** end of assessment *****")
		a.showUser(l, c, as)
	}
	return fatal
}

// receivedError logs an IETF error of a verifier.
func (a *Agent) receivedError(v patnc.Error) {
	of, ok := v.About()
	if !ok {
		a.tnc.Info("received " + v.String())
		return
	}
	log.Infof(a.tnc, "received PA-TNC error '%s' concerning message 0x%08x/0x%08x", v.Name(), binary.BigEndian.Uint32(of[:]), binary.BigEndian.Uint32(of[4:]))
	if at, ok := v.Offset(); ok {
		log.Infof(a.tnc, "  occurred at offset of %d bytes", at)
	}
	if t, flags, ok := v.Unsupported(); ok {
		log.Infof(a.tnc, "  unsupported attribute type %v, flags 0x%02x", t, flags)
	}
}

// printable makes text from a gateway safe for a line of log.
func printable(s string) string {
	const limit = 2048
	if len(s) > limit {
		s = s[:limit]
	}
	q := fmt.Sprintf("%q", s)
	return q[1 : len(q)-1]
}
