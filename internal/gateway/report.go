package gateway

import (
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/imc/imv"
)

// Report is what the gateway saw, a copy taken at one moment.
type Report struct {
	Clients  []ClientReport // in the order in which they appeared
	Received int            // datagrams
	Sent     int
}

// Last returns the newest client, or a zero value.
func (r Report) Last() ClientReport {
	if len(r.Clients) == 0 {
		return ClientReport{}
	}
	return r.Clients[len(r.Clients)-1]
}

// ClientReport is what the gateway knows of one IKE_SA.
type ClientReport struct {
	Addr        netip.AddrPort // newest authenticated address
	Started     time.Time
	Identity    string // IDi
	EAPIdentity string // inner identity
	IKEProposal string
	ESPProposal string
	TLSVersion  uint16
	State       State
	Failure     string // why, where State is Failed
	Requests    int    // IKE requests answered, retransmissions not counted
	Retransmits int    // requests that came again
	Batches     int    // PB-TNC batches, both directions
	VirtualIP   netip.Addr
	LocalTS     []string // traffic selectors of the gateway's side
	RemoteTS    []string // traffic selectors of the client's side
	Echoes      int      // pings answered
	PacketsIn   int      // ESP packets that were authentic
	PacketsBad  int      // ESP packets that were not

	Assessment imv.Report
}

// State is how far a client came.
type State int

const (
	Connecting  State = iota // keys agreed
	Established              // IKE_SA and CHILD_SA stand
	Deleted                  // was established, then deleted by either side
	Failed                   // never came to stand
)

func (s State) String() string {
	switch s {
	case Established:
		return "established"
	case Deleted:
		return "deleted"
	case Failed:
		return "failed"
	}
	return "connecting"
}
