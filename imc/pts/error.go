package pts

import "fmt"

// ErrorCode is the code of a PA-TNC Error of vendor TCG (TCG PTS Protocol
// Binding section 3.14.2).
type ErrorCode uint32

// PTS error codes.
const (
	ErrorHashAlgorithm         ErrorCode = 1
	ErrorInvalidPath           ErrorCode = 2
	ErrorFileNotFound          ErrorCode = 3
	ErrorRegistryNotSupported  ErrorCode = 4
	ErrorRegistryKeyNotFound   ErrorCode = 5
	ErrorDHGroup               ErrorCode = 6
	ErrorDHNonce               ErrorCode = 7
	ErrorNameFamily            ErrorCode = 8
	ErrorTPMVersionUnavailable ErrorCode = 9
	ErrorDelimiter             ErrorCode = 10
	ErrorOperation             ErrorCode = 11
	ErrorReferenceManifest     ErrorCode = 12
	ErrorLocalValidation       ErrorCode = 13
	ErrorCurrentEvidence       ErrorCode = 14
	ErrorTransitiveTrust       ErrorCode = 15
	ErrorPCR                   ErrorCode = 16
)

var errorNames = [...]string{
	"Reserved",
	"Hash Algorithm Not Supported",
	"Invalid Path",
	"File Not Found",
	"Registry Not Supported",
	"Registry Key Not Found",
	"D-H Group Not Supported",
	"DH-PN Nonce Not Acceptable",
	"Invalid Functional Name Family",
	"TPM Version Information Unavailable",
	"Invalid File Pathname Delimiter",
	"PTS Operation Not Supported",
	"Unable To Update Reference Manifest",
	"Unable To Perform Local Validation",
	"Unable To Collect Current Evidence",
	"Unable To Determine Transitive Trust Chain",
	"Unable To Determine PCR",
}

func (c ErrorCode) String() string {
	if int64(c) < int64(len(errorNames)) {
		return errorNames[c]
	}
	return fmt.Sprintf("PTS error %d", uint32(c))
}
