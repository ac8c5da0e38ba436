package imv

import "github.com/gotnc/gotnc/imc/patnc"

// AnyID addresses a Message to every IMC, or comes from none that is known (RFC
// 5793 section 4.5).
const AnyID uint16 = 0xFFFF

// Message is a PA-TNC message on its way between an IMC and the Verifier, with
// the address that PB-TNC carries beside it (RFC 5793 section 4.5). It has the
// fields of tnccs/pb's PA, so that one converts to the other.
type Message struct {
	Exclusive bool   // for this IMC only
	Vendor    uint32 // with Subtype the PA message type
	Subtype   uint32
	Collector uint16 // IMC; AnyID
	Validator uint16 // IMV; AnyID
	Body      []byte // owned by the receiver
}

// Decision is what a Verifier decided, for the TNC server, which combines it with
// those of other verifiers and tells the client.
type Decision struct {
	Recommendation Recommendation // Allow, Isolate or Deny
	Assessment     patnc.Assessment
	Reason         string // sentence for the client, empty where access is allowed
	Language       string // RFC 5646 tag of Reason
	Remediation    string // URI that helps the client, empty: none
}
