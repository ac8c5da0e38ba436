package pts

import "github.com/gotnc/gotnc/imc/patnc"

// unsupported holds the requests of PTS that no machine here can serve, with
// the error that the protocol has for each (TCG PTS Protocol Binding section 3.14.2).
// strongSwan's module does not know the attributes: it skips them, or answers
// Attribute Type Not Supported.
var unsupported = map[patnc.Type]ErrorCode{
	TypeRequestTemplateManifestMetadata: ErrorOperation,
	TypeUpdateTemplateManifest:          ErrorReferenceManifest,
	TypeRequestRegistryValue:            ErrorRegistryNotSupported,
	TypeRequestIntegrityMeasurementLog:  ErrorOperation,
}

// rawOf keeps the value of an attribute of type t as it is.
func rawOf(t patnc.Type) func([]byte) (patnc.Value, error) {
	return func(b []byte) (patnc.Value, error) {
		return patnc.Raw{T: t, Data: clone(b)}, nil
	}
}
