package tnccs

import "github.com/gotnc/gotnc/tnccs/pb"

// Recommendation is the access that the server recommends for this endpoint.
type Recommendation uint8

// Recommendations; the zero value means that the server gave none.
const (
	RecommendNone Recommendation = iota
	RecommendAllow
	RecommendIsolate
	RecommendDeny
)

// String returns the name for logs and reports.
func (r Recommendation) String() string {
	switch r {
	case RecommendAllow:
		return "allow"
	case RecommendIsolate:
		return "isolate"
	case RecommendDeny:
		return "deny"
	}
	return "none"
}

// Assessment is the server's global assessment result.
type Assessment uint8

// Assessments; the zero value means that the server gave none.
const (
	AssessmentNone Assessment = iota
	AssessmentCompliant
	AssessmentMinor
	AssessmentMajor
	AssessmentError
	AssessmentDontKnow
)

// String returns the name for logs and reports.
func (a Assessment) String() string {
	switch a {
	case AssessmentCompliant:
		return "compliant"
	case AssessmentMinor:
		return "non-compliant minor"
	case AssessmentMajor:
		return "non-compliant major"
	case AssessmentError:
		return "error"
	case AssessmentDontKnow:
		return "don't know"
	}
	return "none"
}

// Reason is one reason string of the server. Text is safe to print: characters
// that are not printable have been replaced.
type Reason struct {
	Text     string
	Language string // RFC 4646 tag, may be empty
}

// Remediation is an instruction that helps the user to pass the assessment.
type Remediation struct {
	URI      string // for a URI, else empty
	Text     string // for a text, else empty
	Language string // RFC 4646 tag of Text, may be empty
	Vendor   uint32 // Private Enterprise Number of other kinds
	Type     uint32 // type of other kinds
	Data     []byte // parameters of other kinds, as received
}

// Outcome is the result of a session, final or so far.
type Outcome struct {
	ConnectionID   uint32
	Protocol       Protocol // ProtocolPB or ProtocolXML
	State          pb.State
	Recommendation Recommendation
	Assessment     Assessment
	// Reasons and Remediation are those in the preferred language of the client,
	// or all where there are none.
	Reasons     []Reason
	Remediation []Remediation
	AllReasons  []Reason // in every language
	// Mutual reports that this side measured the peer too, PeerAllowed that its
	// verifier accepted the peer.
	Mutual, PeerAllowed bool
	PDP                 string // "host:port" of the PT-TLS server that the server refers to, or empty

	BatchesSent      int
	BatchesReceived  int
	BytesSent        int64 // octets of batches
	BytesReceived    int64
	MessagesSent     int // PA-TNC messages
	MessagesReceived int

	// IMCErrors names the collectors that were lost during the session.
	IMCErrors []error
	// Err is the cause of an irregular end: a *pb.ProtocolError that this client
	// reported, a *pb.PeerError that the server reported, or another error. It is
	// nil after a regular end and while the session runs.
	Err error
}

// Allowed reports whether the session ended with access allowed.
func (o Outcome) Allowed() bool { return o.Err == nil && o.Recommendation == RecommendAllow }
