package eap

// Decision says whether the lower layer may accept a Success from the server
// now (RFC 4137 section 4.2, decision and methodState in one).
type Decision uint8

const (
	// DecisionFail refuses a Success: the method is in the middle of its
	// exchange, or has failed.
	DecisionFail Decision = iota
	// DecisionMaySucceed accepts a Success; the method may also go on.
	DecisionMaySucceed
)

// Reply is what a method makes of a request.
type Reply struct {
	// Data is the Type-Data of the response. Empty is a response without data;
	// every request is answered.
	Data     []byte
	Decision Decision
	// Err is why the method has failed, where the response still has to leave
	// (a TLS alert). The exchange then ends as the server's Failure arrives,
	// with Err as its reason.
	Err error
}

// Method is the peer's side of one EAP method. It belongs to one goroutine.
type Method interface {
	// Type returns the method type of its requests.
	Type() Type
	// Handle answers one request of that type; req.Data is a view that is valid
	// during the call. An error ends the conversation at once: nothing is sent.
	Handle(req Packet) (Reply, error)
	// Close zeroes secrets and ends what the method started. It may be called
	// more than once.
	Close()
}

// Keyer is a Method that derives keys.
type Keyer interface {
	// MSK returns the 64 octets of the Master Session Key, nil before the method
	// has derived them. The slice stays the method's, which zeroes it on Close.
	MSK() []byte
	// SessionID returns the EAP Session-Id (RFC 5247), nil where there is none.
	SessionID() []byte
}

// Explainer is a Method that knows what a Failure from the server probably
// means.
type Explainer interface {
	// Explain returns the probable cause of a Failure at this point, one of the
	// causes of ErrFailure, or nil where none is known.
	Explain() error
}

// Sizer is a Method whose packet size the lower layer may limit.
type Sizer interface {
	// SetFragmentSize sets the largest EAP packet that the method sends, in
	// octets. It applies from the next message on.
	SetFragmentSize(octets int)
}

// Offer is a method that the peer accepts.
type Offer struct {
	Type Type
	// New makes the method as the server asks for it. Peer closes it.
	New func() (Method, error)
}

// OfferOf returns an offer of type t whose methods create makes.
func OfferOf[M Method](t Type, create func() (M, error)) Offer {
	return Offer{Type: t, New: func() (Method, error) {
		m, err := create()
		if err != nil {
			return nil, err // the nil pointer m would not be a nil Method
		}
		return m, nil
	}}
}
