package patnc

import "fmt"

// Private Enterprise Numbers of attribute vendors.
const (
	VendorIETF     uint32 = 0x000000
	VendorTCG      uint32 = 0x005597
	VendorITA      uint32 = 0x00902A // ITA-HSR, the University of Applied Sciences Rapperswil
	VendorPWG      uint32 = 0x000A8B
	VendorReserved uint32 = 0xFFFFFF
)

// Private Enterprise Numbers of product vendors, for ProductInformation.
const (
	PENDebian  uint32 = 0x002572
	PENUbuntu  uint32 = 0x007132
	PENFedora  uint32 = 0x0076C1
	PENRedHat  uint32 = 0x000908
	PENAndroid uint32 = 0x002B79
)

// TypeReserved must not be used as an attribute type (RFC 5792 section 4.1).
const TypeReserved uint32 = 0xFFFFFFFF

// Type identifies a PA-TNC attribute (RFC 5792 section 4.1).
type Type struct {
	Vendor uint32 // Private Enterprise Number, 24 bits
	Type   uint32
}

// IETF attribute types (RFC 5792 section 4.2; RFC 8412 for 13 and up).
var (
	TypeTesting                = Type{VendorIETF, 0}
	TypeAttributeRequest       = Type{VendorIETF, 1}
	TypeProductInformation     = Type{VendorIETF, 2}
	TypeNumericVersion         = Type{VendorIETF, 3}
	TypeStringVersion          = Type{VendorIETF, 4}
	TypeOperationalStatus      = Type{VendorIETF, 5}
	TypePortFilter             = Type{VendorIETF, 6}
	TypeInstalledPackages      = Type{VendorIETF, 7}
	TypeError                  = Type{VendorIETF, 8}
	TypeAssessmentResult       = Type{VendorIETF, 9}
	TypeRemediation            = Type{VendorIETF, 10}
	TypeForwardingEnabled      = Type{VendorIETF, 11}
	TypeFactoryDefaultPassword = Type{VendorIETF, 12}
)

// ITA-HSR attribute types.
var (
	TypeITACommand     = Type{VendorITA, 1}
	TypeITADummy       = Type{VendorITA, 2}
	TypeITAGetSettings = Type{VendorITA, 3}
	TypeITASettings    = Type{VendorITA, 4}
	TypeITAStartAngel  = Type{VendorITA, 5}
	TypeITAStopAngel   = Type{VendorITA, 6}
	TypeITADeviceID    = Type{VendorITA, 8}
	TypeITAGetSymlinks = Type{VendorITA, 9}
	TypeITASymlinks    = Type{VendorITA, 10}
)

// Segmentation attribute types (TCG IF-M Segmentation 1.0).
var (
	TypeSegmentationContractRequest  = Type{VendorTCG, 0x21}
	TypeSegmentationContractResponse = Type{VendorTCG, 0x22}
	TypeSegmentEnvelope              = Type{VendorTCG, 0x23}
	TypeNextSegment                  = Type{VendorTCG, 0x24}
)

// names of attribute types as strongSwan logs them.
var names = map[Type]string{
	TypeTesting:                "Testing",
	TypeAttributeRequest:       "Attribute Request",
	TypeProductInformation:     "Product Information",
	TypeNumericVersion:         "Numeric Version",
	TypeStringVersion:          "String Version",
	TypeOperationalStatus:      "Operational Status",
	TypePortFilter:             "Port Filter",
	TypeInstalledPackages:      "Installed Packages",
	TypeError:                  "PA-TNC Error",
	TypeAssessmentResult:       "Assessment Result",
	TypeRemediation:            "Remediation Instructions",
	TypeForwardingEnabled:      "Forwarding Enabled",
	TypeFactoryDefaultPassword: "Factory Default Password Enabled",
	{VendorIETF, 13}:           "SWIMA Request",
	{VendorIETF, 14}:           "SW Identifier Inventory",
	{VendorIETF, 15}:           "SW Identifier Events",
	{VendorIETF, 16}:           "SW Inventory",
	{VendorIETF, 17}:           "SW Events",
	{VendorIETF, 18}:           "SW Subscription Status Request",
	{VendorIETF, 19}:           "SW Subscription Status Response",
	{VendorIETF, 20}:           "SW Source Metadata Request",
	{VendorIETF, 21}:           "SW Source Metadata Response",

	TypeITACommand:     "Command",
	TypeITADummy:       "Dummy",
	TypeITAGetSettings: "Get Settings",
	TypeITASettings:    "Settings",
	TypeITAStartAngel:  "Start Angel",
	TypeITAStopAngel:   "Stop Angel",
	{VendorITA, 7}:     "Echo",
	TypeITADeviceID:    "Device ID",
	TypeITAGetSymlinks: "Get Symlinks",
	TypeITASymlinks:    "Symlinks",

	{VendorTCG, 0x01}:                "SCAP References",
	{VendorTCG, 0x02}:                "SCAP Capabilities and Inventory",
	{VendorTCG, 0x03}:                "SCAP Content",
	{VendorTCG, 0x04}:                "SCAP Assessment",
	{VendorTCG, 0x05}:                "SCAP Results",
	{VendorTCG, 0x06}:                "SCAP Summary Results",
	{VendorTCG, 0x11}:                "SWID Request",
	{VendorTCG, 0x12}:                "SWID Tag Identifier Inventory",
	{VendorTCG, 0x13}:                "SWID Tag Identifier Events",
	{VendorTCG, 0x14}:                "SWID Tag Inventory",
	{VendorTCG, 0x15}:                "SWID Tag Events",
	{VendorTCG, 0x16}:                "SWID Subscription Status Request",
	{VendorTCG, 0x17}:                "SWID Subscription Status Response",
	TypeSegmentationContractRequest:  "Segmentation Contract Request",
	TypeSegmentationContractResponse: "Segmentation Contract Response",
	TypeSegmentEnvelope:              "Segment Envelope",
	TypeNextSegment:                  "Next Segment",
	{VendorTCG, 0x25}:                "Cancel",
	{VendorTCG, 0x26}:                "Oversized Message",
	{VendorTCG, 0x27}:                "Contract Exemption",

	{VendorTCG, 0x00100000}: "Request Functional Component Evidence",
	{VendorTCG, 0x00200000}: "Generate Attestation Evidence",
	{VendorTCG, 0x00300000}: "Simple Component Evidence",
	{VendorTCG, 0x00400000}: "Simple Evidence Final",
	{VendorTCG, 0x00500000}: "Verification Result",
	{VendorTCG, 0x00600000}: "Integrity Report",
	{VendorTCG, 0x00700000}: "Request File Metadata",
	{VendorTCG, 0x00800000}: "Windows-Style File Metadata",
	{VendorTCG, 0x00900000}: "Unix-Style File Metadata",
	{VendorTCG, 0x00A00000}: "Request Registry Value",
	{VendorTCG, 0x00B00000}: "Registry Value",
	{VendorTCG, 0x00C00000}: "Request File Measurement",
	{VendorTCG, 0x00D00000}: "File Measurement",
	{VendorTCG, 0x00E00000}: "Request Integrity Measurement Log",
	{VendorTCG, 0x00F00000}: "Integrity Measurement Log",
	{VendorTCG, 0x01000000}: "Request PTS Protocol Capabilities",
	{VendorTCG, 0x02000000}: "PTS Protocol Capabilities",
	{VendorTCG, 0x03000000}: "DH Nonce Parameters Request",
	{VendorTCG, 0x04000000}: "DH Nonce Parameters Response",
	{VendorTCG, 0x05000000}: "DH Nonce Finish",
	{VendorTCG, 0x06000000}: "PTS Measurement Algorithm Request",
	{VendorTCG, 0x07000000}: "PTS Measurement Algorithm",
	{VendorTCG, 0x08000000}: "Get TPM Version Information",
	{VendorTCG, 0x09000000}: "TPM Version Information",
	{VendorTCG, 0x0A000000}: "Request Template Reference Manifest Set Metadata",
	{VendorTCG, 0x0B000000}: "Template Reference Manifest Set Metadata",
	{VendorTCG, 0x0C000000}: "Update Template Reference Manifest",
	{VendorTCG, 0x0D000000}: "Get Attestation Identity Key",
	{VendorTCG, 0x0E000000}: "Attestation Identity Key",
}

var vendorNames = map[uint32]string{
	VendorIETF: "IETF",
	VendorTCG:  "TCG",
	VendorITA:  "ITA-HSR",
	VendorPWG:  "PWG",
}

// Name returns "IETF/Product Information", or "" for a type without a name.
func (t Type) Name() string {
	if n, ok := names[t]; ok {
		return vendorNames[t.Vendor] + "/" + n
	}
	return ""
}

// String returns the type as strongSwan logs it:
// "'IETF/Product Information' 0x000000/0x00000002".
func (t Type) String() string {
	if n := t.Name(); n != "" {
		return fmt.Sprintf("'%s' 0x%06x/0x%08x", n, t.Vendor, t.Type)
	}
	return fmt.Sprintf("0x%06x/0x%08x", t.Vendor, t.Type)
}
