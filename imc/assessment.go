package imc

import (
	"encoding/binary"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
)

// assessment logs results, remediation and errors, and reports whether an error
// among them is fatal: TCG's for the Attestation IMC, the IETF's 1 to 3 for the
// operating system's part.
func (t *turn) assessment(as []patnc.Attribute) (fatal bool) {
	a := t.agent
	began := false
	header := func() {
		if began {
			return
		}
		began = true
		if t.imv == AnyIMV {
			log.Infof(a.log, "***** assessment of IMC %d %q *****", t.source, a.name)
		} else {
			log.Infof(a.log, "***** assessment of IMC %d %q from IMV %d *****", t.source, a.name, t.imv)
		}
	}
	for _, at := range as {
		switch v := at.Value.(type) {
		case patnc.AssessmentResult:
			header()
			log.Infof(a.log, "assessment result is '%v'", v.Result)
		case patnc.RemediationInstructions:
			header()
			switch {
			case v.Vendor == patnc.VendorIETF && v.Parameters == patnc.RemediationURI:
				log.Infof(a.log, "remediation uri: %s", text.Escape(v.URI, maxPrinted))
			case v.Vendor == patnc.VendorIETF && v.Parameters == patnc.RemediationString:
				log.Infof(a.log, "remediation string: [%s] %s", text.Escape(v.Language, maxPrinted), text.Escape(v.String, maxPrinted))
			default:
				log.Infof(a.log, "remediation parameters: %d bytes", len(v.Data))
			}
		case patnc.Error:
			switch {
			case v.Vendor == patnc.VendorTCG:
				log.Infof(a.log, "received TCG-PTS error '%v'", pts.ErrorCode(v.Code))
				if info, err := pts.ParseErrorInfo(v); err == nil {
					log.Infof(a.log, "error information: %v", info)
				}
				fatal = fatal || t.messageType == TypePTS
			case v.Vendor == patnc.VendorIETF:
				a.receivedError(v)
				fatal = fatal || t.messageType != TypePTS && v.Code >= 1 && v.Code <= 3
			default:
				log.Infof(a.tnc, "received %v", v)
			}
		}
	}
	if began {
		log.Infof(a.log, "***** end of assessment *****")
		a.showUser(t.loaded, t.conn, as)
	}
	return fatal
}

// receivedError logs an IETF error of a verifier.
func (a *Agent) receivedError(v patnc.Error) {
	of, ok := v.About()
	if !ok {
		log.Infof(a.tnc, "received %v", v)
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
