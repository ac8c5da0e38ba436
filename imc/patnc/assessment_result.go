package patnc

import (
	"fmt"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Assessment is the outcome of an assessment (RFC 5792 section 4.2.9).
type Assessment uint32

// Outcomes.
const (
	Compliant         Assessment = 0
	NonCompliantMinor Assessment = 1
	NonCompliantMajor Assessment = 2
	AssessmentError   Assessment = 3
	AssessmentUnknown Assessment = 4
)

func (a Assessment) String() string {
	names := [...]string{"compliant", "non-compliant minor", "non-compliant major", "error", "don't know"}
	if int64(a) < int64(len(names)) {
		return names[a]
	}
	return fmt.Sprintf("result %d", uint32(a))
}

// AssessmentResult is the Assessment Result (RFC 5792 section 4.2.9): u32.
type AssessmentResult struct{ Result Assessment }

// Type returns IETF type 9.
func (AssessmentResult) Type() Type { return TypeAssessmentResult }

// AppendValue appends the value.
func (v AssessmentResult) AppendValue(b []byte) ([]byte, error) {
	return wire.AppendU32(b, uint32(v.Result)), nil
}

func parseAssessmentResult(b []byte) (Value, error) {
	r := reader(TypeAssessmentResult, b)
	v := AssessmentResult{Result: Assessment(r.U32())}
	return v, r.Finish()
}
