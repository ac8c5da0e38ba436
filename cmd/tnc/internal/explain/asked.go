package explain

import (
	"fmt"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tnccs"
)

// asked adds the rows for an attribute of a verifier.
func (x *explainer) asked(who string, e tnccs.Exchange, a patnc.Attribute) {
	row := func(asked string, answer ...patnc.Type) *Row {
		r := &Row{Verifier: who, Asked: asked, answer: answer}
		if len(e.IMCs) == 0 {
			r.Answers = []string{"nothing: no IMC is there for it"}
			r.answer = nil
		}
		x.add(r)
		return r
	}
	switch v := a.Value.(type) {
	case patnc.AttributeRequest:
		for _, t := range v.Types {
			row(meaning(t), t)
		}
	case pts.RequestFileMeasurement:
		what := "the digest of "
		if v.Directory {
			what = "the digests of all files in "
		}
		x.files[v.RequestID] = row(what+v.Path, typeOf(pts.FileMeasurement{}))
	case pts.RequestFileMetadata:
		what := "type, size, owner and times of "
		if v.Directory {
			what += "all files in "
		}
		row(what+v.Path, typeOf(pts.UnixFileMetadata{}))
	case pts.RequestProtocolCapabilities:
		row("what this machine's measuring can do", typeOf(pts.ProtocolCapabilities{}))
	case pts.MeasurementAlgorithm:
		row("which digest algorithm to measure with", typeOf(pts.MeasurementAlgorithmSelection{}))
	case pts.GetTPMVersionInformation:
		row("version and maker of the TPM", typeOf(pts.TPMVersionInformation{}))
	case pts.GetAIK:
		row("certificate or key that the TPM signs with", typeOf(pts.AIK{}))
	case pts.RequestFunctionalComponentEvidence:
		row(fmt.Sprintf("what was started on this machine: measurements of %s", count(len(v.Components), "component")))
	case pts.GenerateAttestationEvidence:
		row("the evidence, signed by the TPM", typeOf(pts.SimpleComponentEvidence{}), typeOf(pts.SimpleEvidenceFinal{}))
	case patnc.GetSettings:
		row("settings of this machine: "+list(v.Names), patnc.TypeITASettings)
	case patnc.GetSymlinks:
		row("symbolic links in "+v.Directory, patnc.TypeITASymlinks)
	case patnc.ContractRequest:
		row("how large messages may be", patnc.TypeSegmentationContractResponse)
	case patnc.NextSegment:
		// The rest of an answer that is in the table already.
	case patnc.Error:
		row("(reports) " + v.String())
	default:
		t := a.Value.Type()
		switch {
		case t == patnc.TypeAssessmentResult:
			row(fmt.Sprintf("(tells) its result: %s", ownText(a.Value)))
		case t == patnc.TypeRemediation:
			row("(tells) how to put things right")
		case t == patnc.Type{Vendor: patnc.VendorIETF, Type: 13}:
			row("the software installed on this machine",
				patnc.Type{Type: 14}, patnc.Type{Type: 15}, patnc.Type{Type: 16}, patnc.Type{Type: 17})
		case t == patnc.Type{Vendor: patnc.VendorTCG, Type: 0x11}:
			row("the software installed on this machine",
				patnc.Type{Vendor: patnc.VendorTCG, Type: 0x12}, patnc.Type{Vendor: patnc.VendorTCG, Type: 0x14})
		case t == patnc.Type{Vendor: patnc.VendorTCG, Type: 0x03000000}:
			row("a random number with which old evidence cannot be replayed (nonce)", patnc.Type{Vendor: patnc.VendorTCG, Type: 0x04000000})
		case t == patnc.Type{Vendor: patnc.VendorTCG, Type: 0x05000000}:
			row("(tells) its own random number against replays")
		case t == pts.TypeRequestIntegrityMeasurementLog:
			row("the whole log of what was measured", t)
		case t == pts.TypeRequestRegistryValue:
			row("values of the Windows registry", t)
		case t == pts.TypeRequestTemplateManifestMetadata, t == pts.TypeUpdateTemplateManifest:
			row("manifests of reference values", t)
		default:
			row(named(t), t)
		}
	}
}
