package tnccs

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gotnc/gotnc/tnccs/pb"
)

// Recommendation is what the server recommends to do with this endpoint.
type Recommendation uint8

// Recommendations; the zero value means that the server gave none.
const (
	RecommendNone Recommendation = iota
	RecommendAllow
	RecommendIsolate
	RecommendDeny
)

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

// Reason is one reason string of the server. Text is safe to print: what is
// not printable has been replaced.
type Reason struct {
	Text     string
	Language string // RFC 4646 tag, may be empty
}

// Remediation says what the user can do about a bad assessment.
type Remediation struct {
	URI      string // for a URI, else empty
	Text     string // for a text, else empty
	Language string // RFC 4646 tag of Text, may be empty
	Vendor   uint32 // Private Enterprise Number of other kinds
	Type     uint32 // type of other kinds
	Data     []byte // parameters of other kinds, as received
}

// Outcome is what a session has come to.
type Outcome struct {
	ConnectionID   uint32
	Protocol       Protocol // ProtocolPB or ProtocolXML, as things stand
	State          pb.State
	Recommendation Recommendation
	Assessment     Assessment
	// Reasons and Remediation are those in the language that the client prefers;
	// where the server has none of them in it, all.
	Reasons     []Reason
	Remediation []Remediation
	AllReasons  []Reason // in every language
	// Mutual says that this side measured the peer too, PeerAllowed that its own
	// verifier accepted it.
	Mutual, PeerAllowed bool
	PDP                 string // "host:port" of a PT-TLS server that the server refers to, or empty

	BatchesSent      int
	BatchesReceived  int
	BytesSent        int64 // octets of batches
	BytesReceived    int64
	MessagesSent     int // PA-TNC messages
	MessagesReceived int

	// IMCErrors names the collectors that were lost during the session.
	IMCErrors []error
	// Err is what ended the session before its regular end: a *pb.ProtocolError
	// that this client reported, a *pb.PeerError that the server reported, or
	// another cause. nil after a regular end and while the session runs.
	Err error
}

// Allowed reports whether the session ended with access allowed.
func (o Outcome) Allowed() bool { return o.Err == nil && o.Recommendation == RecommendAllow }

// printable returns s without what could disturb a terminal or a log: control
// characters other than line feed and tab, and invalid UTF-8, become U+FFFD.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsGraphic(r) {
			return r
		}
		return utf8.RuneError
	}, s)
}

// oneLine is printable for a log line.
func oneLine(s string) string {
	return strings.NewReplacer("\n", " ", "\t", " ").Replace(printable(s))
}
