package imc

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
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

// shed drops base messages that IMVs began to take and left, those of other
// contracts than the one in use first, where all together are too large.
func (c *connection) shed(inUse *patnc.Segmenter) {
	pending := 0
	for _, s := range c.contracts {
		pending += s.Pending()
	}
	for _, s := range c.contracts {
		if had := s.Pending(); s != inUse && pending > maxPending {
			s.Shed(max(had-(pending-maxPending), 0), 0)
			pending -= had - s.Pending()
		}
	}
	if inUse != nil && pending > maxPending {
		inUse.Shed(maxPending, 1)
	}
}

// requestContract asks all IMVs of TCG/PTS for segments that fit a message.
func (a *Agent) requestContract(c *connection) []patnc.Attribute {
	segment := patnc.NoLimit
	if c.maxMessage > patnc.SegmentOverhead {
		segment = uint32(c.maxMessage - patnc.SegmentOverhead)
	}
	if c.requested == nil {
		c.requested = map[MessageType]bool{}
	}
	c.requested[TypePTS] = true
	return []patnc.Attribute{patnc.NoSkip(patnc.ContractRequest{Contract: patnc.Contract{MaxMessage: patnc.MaxReassembly, MaxSegment: segment}})}
}

// reassemble takes a segment of an IMV under the contract that was requested.
// What cannot be put together is answered, and its rest cancelled.
func (a *Agent) reassemble(c *connection, key contractKey, v patnc.SegmentEnvelope) (out []patnc.Attribute, complete *patnc.Attribute) {
	r := c.incoming[key]
	if r == nil {
		if len(c.incoming) >= maxContracts {
			a.infof("segments of %d IMVs are under way already", maxContracts)
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
		a.tnc.Info(err.Error())
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
	if complete != nil && segments(complete.Value) {
		a.infof("segmented PA-TNC attribute %v is not processed", complete.Value.Type())
		complete = nil
	}
	return out, complete
}

// contractLines logs a segmentation contract that an IMV requested or agreed to.
func (a *Agent) contractLines(what string, c patnc.Contract, source, imv uint32, t MessageType) {
	null := ""
	if c.MaxMessage == patnc.NoLimit && c.MaxSegment == patnc.NoLimit {
		null = "null"
	}
	from := ""
	if imv != AnyIMV {
		from = fmt.Sprintf("from IMV %d ", imv)
	}
	a.detailf("IMC %d received a %ssegmentation contract %s %sfor PA message type %v", source, null, what, from, t)
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
	a.detailf("  %s %s", message, segment)
}

// place says where a segment stands in its base message.
func place(v patnc.SegmentEnvelope) string {
	switch {
	case v.Start:
		return "first"
	case v.More:
		return "next"
	}
	return "last"
}

// share divides the one message that a host keeps among the segments that a
// message of an IMV requests; 0 where there is no need to.
func (c *connection) share(as []patnc.Attribute) int {
	n := 0
	for _, at := range as {
		if v, ok := at.Value.(patnc.NextSegment); ok && !v.Cancel {
			n++
		}
	}
	if !c.oneMessage || n == 0 {
		return 0
	}
	return max((c.largest()-patnc.MessageHeaderSize)/n-patnc.EnvelopeSize, 1)
}

// segments reports whether v belongs to segmentation itself: never in segments.
func segments(v patnc.Value) bool {
	switch v.(type) {
	case patnc.ContractRequest, patnc.ContractResponse, patnc.SegmentEnvelope, patnc.NextSegment:
		return true
	}
	return false
}

// segmentation handles the attributes of TCG IF-M Segmentation 1.0, and returns
// the attribute that a segment completed. Contracts are requested of IMVs only
// where imc-attestation.segmentation says so: strongSwan's module requests none.
// share bounds the data of one segment, in octets; 0 does not.
func (a *Agent) segmentation(l *loaded, c *connection, at patnc.Attribute, t MessageType, imv, source uint32, share int) (out []patnc.Attribute, complete *patnc.Attribute) {
	key := contractKey{messageType: t, imv: imv}
	switch v := at.Value.(type) {
	case patnc.ContractRequest:
		agreed := patnc.Accept(v.Contract, c.largest())
		s := c.contracts[key]
		switch {
		case s != nil:
			s.SetContract(agreed)
		case len(c.contracts) >= maxContracts:
			a.infof("IMC %d %q keeps %d segmentation contracts already", l.id, a.name, maxContracts)
			agreed.MaxSegment = patnc.NoLimit
		default:
			if c.contracts == nil {
				c.contracts = map[contractKey]*patnc.Segmenter{}
			}
			c.contracts[key] = patnc.NewSegmenter(agreed)
		}
		a.contractLines("request", v.Contract, source, imv, t)
		if agreed.MaxSegment != v.MaxSegment {
			a.detailf("  lowered maximum segment size to %d bytes", agreed.MaxSegment)
		}
		return []patnc.Attribute{patnc.Skip(patnc.ContractResponse{Contract: agreed})}, nil
	case patnc.ContractResponse:
		if !c.requested[t] {
			a.infof("no contract for this PA message type found")
			return nil, nil
		}
		a.contractLines("response", v.Contract, source, imv, t)
	case patnc.SegmentEnvelope:
		if !c.requested[t] {
			a.detailf("no contract for received segment with base message ID %d", v.BaseMessageID)
			return nil, nil
		}
		detail(a.tnc, "received %s segment for base message ID %d (%d bytes)", place(v), v.BaseMessageID, len(v.Data))
		return a.reassemble(c, key, v)
	case patnc.NextSegment:
		s := c.contracts[key]
		if s == nil {
			a.infof("no contract for received next segment request with base message ID %d", v.BaseMessageID)
			return nil, nil
		}
		next, ok := s.Next(v, share)
		if !ok {
			if !v.Cancel {
				a.infof("no more segments found for base message ID %d", v.BaseMessageID)
			}
			return nil, nil
		}
		return []patnc.Attribute{next}, nil
	}
	return nil, nil
}
