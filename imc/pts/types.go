package pts

import (
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// reader returns a cursor over the value of an attribute of type t.
func reader(t patnc.Type, b []byte) *wire.Reader {
	r := wire.NewReader("PA-TNC attribute", b)
	r.Element("PA-TNC attribute", t.Vendor, t.Type)
	return r
}

func tcg(t uint32) patnc.Type { return patnc.Type{Vendor: patnc.VendorTCG, Type: t} }

// Attribute types of PTS (TCG PTS Protocol Binding section 3.12).
var (
	TypeRequestFunctionalComponentEvidence = tcg(0x00100000)
	TypeGenerateAttestationEvidence        = tcg(0x00200000)
	TypeSimpleComponentEvidence            = tcg(0x00300000)
	TypeSimpleEvidenceFinal                = tcg(0x00400000)
	TypeVerificationResult                 = tcg(0x00500000) // no codec: stays patnc.Raw
	TypeIntegrityReport                    = tcg(0x00600000) // no codec
	TypeRequestFileMetadata                = tcg(0x00700000)
	TypeWindowsFileMetadata                = tcg(0x00800000) // no codec
	TypeUnixFileMetadata                   = tcg(0x00900000)
	TypeRequestRegistryValue               = tcg(0x00A00000) // its value is kept as it is
	TypeRequestFileMeasurement             = tcg(0x00C00000)
	TypeFileMeasurement                    = tcg(0x00D00000)
	TypeRequestIntegrityMeasurementLog     = tcg(0x00E00000) // its value is kept as it is
	TypeRequestProtocolCapabilities        = tcg(0x01000000)
	TypeProtocolCapabilities               = tcg(0x02000000)
	TypeDHNonceParametersRequest           = tcg(0x03000000)
	TypeDHNonceParametersResponse          = tcg(0x04000000)
	TypeDHNonceFinish                      = tcg(0x05000000)
	TypeMeasurementAlgorithm               = tcg(0x06000000)
	TypeMeasurementAlgorithmSelection      = tcg(0x07000000)
	TypeGetTPMVersionInformation           = tcg(0x08000000)
	TypeTPMVersionInformation              = tcg(0x09000000)
	TypeRequestTemplateManifestMetadata    = tcg(0x0A000000) // its value is kept as it is
	TypeUpdateTemplateManifest             = tcg(0x0C000000) // its value is kept as it is
	TypeGetAIK                             = tcg(0x0D000000)
	TypeAIK                                = tcg(0x0E000000)
)

// Attributes is the Registry of PTS, for patnc.Parse. It is read-only.
var Attributes = patnc.Registry{
	TypeRequestFunctionalComponentEvidence: {Parse: parseRequestFunctionalComponentEvidence},
	TypeGenerateAttestationEvidence:        {Parse: parseGenerateAttestationEvidence},
	TypeSimpleComponentEvidence:            {Parse: parseSimpleComponentEvidence},
	TypeSimpleEvidenceFinal:                {Parse: parseSimpleEvidenceFinal},
	TypeRequestFileMetadata:                {Parse: parseRequestFileMetadata},
	TypeUnixFileMetadata:                   {Parse: parseUnixFileMetadata},
	TypeRequestFileMeasurement:             {Parse: parseRequestFileMeasurement},
	TypeFileMeasurement:                    {Parse: parseFileMeasurement},
	TypeRequestProtocolCapabilities:        {Parse: parseRequestProtocolCapabilities},
	TypeProtocolCapabilities:               {Parse: parseProtocolCapabilities},
	TypeDHNonceParametersRequest:           {Parse: parseDHNonceParametersRequest},
	TypeDHNonceParametersResponse:          {Parse: parseDHNonceParametersResponse},
	TypeDHNonceFinish:                      {Parse: parseDHNonceFinish},
	TypeMeasurementAlgorithm:               {Parse: parseMeasurementAlgorithm},
	TypeMeasurementAlgorithmSelection:      {Parse: parseMeasurementAlgorithmSelection},
	TypeGetTPMVersionInformation:           {Parse: parseGetTPMVersionInformation},
	TypeTPMVersionInformation:              {Parse: parseTPMVersionInformation},
	TypeGetAIK:                             {Parse: parseGetAIK},
	TypeAIK:                                {Parse: parseAIK},
	TypeRequestTemplateManifestMetadata:    {Parse: rawOf(TypeRequestTemplateManifestMetadata)},
	TypeUpdateTemplateManifest:             {Parse: rawOf(TypeUpdateTemplateManifest)},
	TypeRequestRegistryValue:               {Parse: rawOf(TypeRequestRegistryValue)},
	TypeRequestIntegrityMeasurementLog:     {Parse: rawOf(TypeRequestIntegrityMeasurementLog)},
}
