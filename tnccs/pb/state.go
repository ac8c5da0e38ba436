package pb

import "fmt"

// State is a state of a PB-TNC session (RFC 5793 section 3.2).
type State uint8

// States.
const (
	Init State = iota
	ServerWorking
	ClientWorking
	Decided
	End
)

func (s State) String() string {
	switch s {
	case Init:
		return "Init"
	case ServerWorking:
		return "Server Working"
	case ClientWorking:
		return "Client Working"
	case Decided:
		return "Decided"
	case End:
		return "End"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// Verdict is how a state treats a batch.
type Verdict uint8

// Verdicts.
const (
	Illegal Verdict = iota // fatal error CodeUnexpectedBatchType
	Ignore                 // drop the batch, stay
	Accept                 // handle the batch, go to the next state
)

// transitions is the state machine of RFC 5793 section 3.2, which is the same for
// both ends. CLOSE is not in it: it leads to End from every state. Where
// strongSwan deviates, this is the RFC.
var transitions = map[State]map[BatchType]struct {
	next    State
	verdict Verdict
}{
	Init: {
		CDATA: {ServerWorking, Accept},
		SDATA: {ClientWorking, Accept},
	},
	ServerWorking: {
		SDATA:  {ClientWorking, Accept},
		RESULT: {Decided, Accept},
		SRETRY: {ServerWorking, Ignore}, // it crossed a CRETRY
		CRETRY: {ServerWorking, Ignore},
	},
	ClientWorking: {
		CDATA:  {ServerWorking, Accept},
		CRETRY: {ClientWorking, Ignore},
	},
	Decided: {
		CRETRY: {ServerWorking, Accept},
		SRETRY: {ServerWorking, Accept},
	},
}

// Next returns the state after a batch of type t that sender sent in state s, and
// the verdict on the batch. Both ends use it, for batches sent and received. A
// batch type of the other end is Illegal.
func (s State) Next(sender Role, t BatchType) (State, Verdict) {
	if t == CLOSE {
		return End, Accept
	}
	if r, ok := t.Sender(); !ok || r != sender {
		return s, Illegal
	}
	if n, ok := transitions[s][t]; ok {
		return n.next, n.verdict
	}
	return s, Illegal
}

// Sender returns the role that sends batches of type t; ok is false for CLOSE,
// which both may send, and for unknown types.
func (t BatchType) Sender() (r Role, ok bool) {
	switch t {
	case CDATA, CRETRY:
		return Client, true
	case SDATA, RESULT, SRETRY:
		return Server, true
	}
	return Client, false
}
