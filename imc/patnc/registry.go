package patnc

// Attributes is the Registry of this package: IETF, ITA-HSR and segmentation.
// It is read-only.
var Attributes = Registry{
	TypeAttributeRequest:       {parseAttributeRequest},
	TypeProductInformation:     {parseProductInformation},
	TypeNumericVersion:         {parseNumericVersion},
	TypeStringVersion:          {parseStringVersion},
	TypeOperationalStatus:      {parseOperationalStatus},
	TypePortFilter:             {parsePortFilter},
	TypeInstalledPackages:      {parseInstalledPackages},
	TypeError:                  {parseError},
	TypeAssessmentResult:       {parseAssessmentResult},
	TypeRemediation:            {parseRemediationInstructions},
	TypeForwardingEnabled:      {parseForwardingStatus},
	TypeFactoryDefaultPassword: {parseFactoryDefaultPassword},

	TypeITACommand:     {parseCommand},
	TypeITADummy:       {parseDummy},
	TypeITAGetSettings: {parseGetSettings},
	TypeITASettings:    {parseSettings},
	TypeITAStartAngel:  {parseStartAngel},
	TypeITAStopAngel:   {parseStopAngel},
	TypeITADeviceID:    {parseDeviceID},
	TypeITAGetSymlinks: {parseGetSymlinks},
	TypeITASymlinks:    {parseSymlinks},

	TypeSegmentationContractRequest:  {parseContractRequest},
	TypeSegmentationContractResponse: {parseContractResponse},
	TypeSegmentEnvelope:              {parseSegmentEnvelope},
	TypeNextSegment:                  {parseNextSegment},
}
