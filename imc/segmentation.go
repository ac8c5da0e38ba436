package imc

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Bounds of the segmentation of a connection.
const (
	maxContracts = 64
	maxPending   = maxReply // octets whose rest IMVs have not requested yet, the newest base message excepted
)

// contractKey names a segmentation contract: it holds for one message type and
// one IMV (TCG IF-M Segmentation 1.0).
type contractKey struct {
	messageType MessageType
	imv         uint32
}

// trimPending drops base messages of which IMVs requested some segments but not
// the rest, until at most maxPending octets are left: those of other contracts
// than the one in use first.
func (c *connection) trimPending(inUse *patnc.Segmenter) {
	pending := 0
	for _, s := range c.contracts {
		pending += s.Pending()
	}
	for _, s := range c.contracts {
		if had := s.Pending(); s != inUse && pending > maxPending {
			s.DropOldest(max(had-(pending-maxPending), 0), 0)
			pending -= had - s.Pending()
		}
	}
	if inUse != nil && pending > maxPending {
		inUse.DropOldest(maxPending, 1)
	}
}

// requestContract asks all IMVs of TCG/PTS for segments that fit a message.
func (a *Agent) requestContract(c *connection) []patnc.Attribute {
	segment := patnc.NoLimit
	if c.sizeLimit > patnc.SegmentOverhead {
		segment = uint32(c.sizeLimit - patnc.SegmentOverhead)
	}
	if c.requested == nil {
		c.requested = map[MessageType]bool{}
	}
	c.requested[TypePTS] = true
	return []patnc.Attribute{patnc.NoSkip(patnc.ContractRequest{Contract: patnc.Contract{MaxMessage: patnc.MaxReassembly, MaxSegment: segment}})}
}

// reassemble adds a segment of an IMV to its base message, under the contract that
// was requested. A base message that is malformed is answered, and the segments
// that would follow are cancelled.
func (t *turn) reassemble(key contractKey, v patnc.SegmentEnvelope) (out []patnc.Attribute, complete *patnc.Attribute) {
	a, c := t.agent, t.conn
	r := c.incoming[key]
	if r == nil {
		if len(c.incoming) >= maxContracts {
			log.Infof(a.log, "segments of %d IMVs are under way already", maxContracts)
			return []patnc.Attribute{patnc.Skip(patnc.NextSegment{Cancel: true, BaseMessageID: v.BaseMessageID})}, nil
		}
		if c.incoming == nil {
			c.incoming = map[contractKey]*patnc.Reassembler{}
		}
		r = patnc.NewReassembler(pts.Attributes)
		c.incoming[key] = r
	}
	complete, next, err := r.Add(v)
	if err != nil {
		log.Infof(a.tnc, "%v", err)
		var pe *patnc.ParseError
		if errors.As(err, &pe) && pe.Answer != nil {
			out = append(out, patnc.Skip(*pe.Answer))
		}
		if v.More {
			out = append(out, patnc.Skip(patnc.NextSegment{Cancel: true, BaseMessageID: v.BaseMessageID}))
		}
		return out, nil
	}
	if next != nil {
		out = append(out, patnc.Skip(*next))
	}
	if complete != nil && isSegmentation(complete.Value) {
		log.Infof(a.log, "segmented PA-TNC attribute %v is not processed", complete.Value.Type())
		complete = nil
	}
	return out, complete
}

// logContract logs a segmentation contract that an IMV requested or agreed to.
func (t *turn) logContract(what string, c patnc.Contract) {
	l := t.agent.log
	null := ""
	if c.MaxMessage == patnc.NoLimit && c.MaxSegment == patnc.NoLimit {
		null = "null"
	}
	from := ""
	if t.imv != AnyIMV {
		from = fmt.Sprintf("from IMV %d ", t.imv)
	}
	log.Detailf(l, "IMC %d received a %ssegmentation contract %s %sfor PA message type %v", t.source, null, what, from, t.messageType)
	if null != "" {
		return
	}
	message, segment := "no message size limit,", "no segmentation"
	if c.MaxMessage != patnc.NoLimit {
		message = fmt.Sprintf("maximum message size of %d bytes", c.MaxMessage) + ", with"
	}
	if c.MaxSegment != patnc.NoLimit {
		segment = fmt.Sprintf("maximum segment size of %d bytes", c.MaxSegment)
	}
	log.Detailf(l, "  %s %s", message, segment)
}

// segmentPosition says which segment of its base message v is.
func segmentPosition(v patnc.SegmentEnvelope) string {
	switch {
	case v.Start:
		return "first"
	case v.More:
		return "next"
	}
	return "last"
}

// segmentBudget divides the one message that a host keeps among the segments that
// a message of an IMV requests: it returns the octets of data for each, 0 where the
// host keeps every message.
func (c *connection) segmentBudget(as []patnc.Attribute) int {
	n := 0
	for _, at := range as {
		if v, ok := at.Value.(patnc.NextSegment); ok && !v.Cancel {
			n++
		}
	}
	if !c.oneMessage || n == 0 {
		return 0
	}
	return max((c.maxMessage()-patnc.MessageHeaderSize)/n-patnc.EnvelopeSize, 1)
}

// isSegmentation reports whether v is an attribute of segmentation itself, which
// never comes in segments.
func isSegmentation(v patnc.Value) bool {
	switch v.(type) {
	case patnc.ContractRequest, patnc.ContractResponse, patnc.SegmentEnvelope, patnc.NextSegment:
		return true
	}
	return false
}

// segmentation handles the attributes of TCG IF-M Segmentation 1.0, and returns
// the attribute that a segment completed. Contracts are requested of IMVs only
// where imc-attestation.segmentation says so: strongSwan's module requests none.
func (t *turn) segmentation(at patnc.Attribute) (out []patnc.Attribute, complete *patnc.Attribute) {
	a, c := t.agent, t.conn
	key := contractKey{messageType: t.messageType, imv: t.imv}
	switch v := at.Value.(type) {
	case patnc.ContractRequest:
		agreed := patnc.Accept(v.Contract, c.maxMessage())
		s := c.contracts[key]
		switch {
		case s != nil:
			s.SetContract(agreed)
		case len(c.contracts) >= maxContracts:
			log.Infof(a.log, "IMC %d %q keeps %d segmentation contracts already", t.loaded.id, a.name, maxContracts)
			agreed.MaxSegment = patnc.NoLimit
		default:
			if c.contracts == nil {
				c.contracts = map[contractKey]*patnc.Segmenter{}
			}
			c.contracts[key] = patnc.NewSegmenter(agreed)
		}
		t.logContract("request", v.Contract)
		if agreed.MaxSegment != v.MaxSegment {
			log.Detailf(a.log, "  lowered maximum segment size to %d bytes", agreed.MaxSegment)
		}
		return []patnc.Attribute{patnc.Skip(patnc.ContractResponse{Contract: agreed})}, nil
	case patnc.ContractResponse:
		if !c.requested[t.messageType] {
			log.Infof(a.log, "no contract for this PA message type found")
			return nil, nil
		}
		t.logContract("response", v.Contract)
	case patnc.SegmentEnvelope:
		if !c.requested[t.messageType] {
			log.Detailf(a.log, "no contract for received segment with base message ID %d", v.BaseMessageID)
			return nil, nil
		}
		log.Detailf(a.tnc, "received %s segment for base message ID %d (%d bytes)", segmentPosition(v), v.BaseMessageID, len(v.Data))
		return t.reassemble(key, v)
	case patnc.NextSegment:
		s := c.contracts[key]
		if s == nil {
			log.Infof(a.log, "no contract for received next segment request with base message ID %d", v.BaseMessageID)
			return nil, nil
		}
		next, ok := s.Next(v, t.budget)
		if !ok {
			if !v.Cancel {
				log.Infof(a.log, "no more segments found for base message ID %d", v.BaseMessageID)
			}
			return nil, nil
		}
		return []patnc.Attribute{next}, nil
	}
	return nil, nil
}
