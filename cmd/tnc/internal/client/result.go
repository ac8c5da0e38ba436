package client

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/tnccs"
)

// Result is what one connection came to.
type Result struct {
	Connection  string         // its name in swanctl.conf
	Gateway     netip.AddrPort // zero until it is looked up
	Transport   string         // of IKE and ESP: TransportUDP or TransportTCP; "" before
	GatewayID   string         // as authenticated; "" before
	Identity    string         // this end's; "" before the first IKE_SA
	IKEProposal string         // of the current IKE_SA, "IKE:AES_GCM_16_128/…"; "" before
	IMCs        []string       // that were loaded, by name
	Attempts    []Attempt      // addresses of the gateway that failed since it was last up, newest last
	Child       *Child         // the CHILD_SA of the newest IKE_SA; nil before

	// Outcome is that of the attestation; the zero value where the gateway asked
	// for none. Mutual says what mutual measurement came to.
	Outcome tnccs.Outcome
	Mutual  MutualVerdict

	Exchanges     int   // IKE requests of this end that were answered
	BytesSent     int64 // octets of IKE, headers of UDP and IP left out
	BytesReceived int64
	Duration      time.Duration // until the tunnel was up, or the connection failed

	Up      bool // the tunnel was up
	Trapped bool // a trap was laid, which waits for packets
}

// Recommendation is what the gateway's verifier decided.
type Recommendation string

// Recommendations.
const (
	None     Recommendation = "none" // no attestation was asked for, or none was decided
	Allowed  Recommendation = "allowed"
	Isolated Recommendation = "isolated" // only the remediation network is reachable
	Denied   Recommendation = "denied"
)

// RecommendationOf names the recommendation of a session.
func RecommendationOf(r tnccs.Recommendation) Recommendation {
	switch r {
	case tnccs.RecommendAllow:
		return Allowed
	case tnccs.RecommendIsolate:
		return Isolated
	case tnccs.RecommendDeny:
		return Denied
	}
	return None
}

// Recommendation returns what the gateway's verifier decided.
func (r *Result) Recommendation() Recommendation { return RecommendationOf(r.Outcome.Recommendation) }

// MutualVerdict is what this end, where it measures the gateway, came to.
type MutualVerdict string

// Verdicts of mutual measurement.
const (
	MutualNone       MutualVerdict = ""           // there was none, and none is required
	MutualAccepted   MutualVerdict = "accepted"   // this end's verifier accepted the gateway
	MutualRefused    MutualVerdict = "refused"    // it refused the gateway
	MutualUnmeasured MutualVerdict = "unmeasured" // the gateway was not measured, which is required
)

// VerdictOf returns the verdict of a session.
func VerdictOf(s *tnccs.Session) MutualVerdict {
	switch err := s.PeerVerdict(); {
	case errors.Is(err, tnccs.ErrPeerRefused):
		return MutualRefused
	case err != nil:
		return MutualUnmeasured
	case s.Outcome().Mutual:
		return MutualAccepted
	}
	return MutualNone
}

// Child describes a CHILD_SA. Its JSON names are an interface for scripts
// (docs/json.md).
type Child struct {
	Name     string   `json:"name"`
	SPIIn    string   `json:"spi_in"` // 8 hexadecimal digits
	SPIOut   string   `json:"spi_out"`
	Proposal string   `json:"proposal"` // "ESP:AES_GCM_16_128/NO_EXT_SEQ"
	LocalTS  []string `json:"local_ts"`
	RemoteTS []string `json:"remote_ts"`
}

func newChild(sa *ike.ChildSA) Child {
	return Child{
		Name:     sa.Name,
		SPIIn:    fmt.Sprintf("%08x", sa.SPIIn),
		SPIOut:   fmt.Sprintf("%08x", sa.SPIOut),
		Proposal: sa.ESP.String(),
		LocalTS:  selectorNames(sa.LocalTS),
		RemoteTS: selectorNames(sa.RemoteTS),
	}
}

func selectorNames(ts []ike.TrafficSelector) []string {
	names := make([]string, len(ts))
	for i, t := range ts {
		names[i] = t.String()
	}
	return names
}
