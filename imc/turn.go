package imc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Bounds of one received message, whatever a verifier puts into it.
const (
	maxTurn  = 2 * time.Minute // for all its measurements
	maxReply = 64 << 20        // octets of the attributes that answer it
	// Evidence of functional components is as long as the machine's logs, not as
	// a verifier likes; its collector bounds what one request collects.
	maxEvidence = 256 << 20
)

// errReplySize ends a turn that asks for too much at once.
var errReplySize = fmt.Errorf("the answers to one message exceed %d octets", maxReply)

// turn is the work on one received message.
type turn struct {
	agent       *Agent
	loaded      *loaded
	conn        *connection
	messageType MessageType
	imv         uint32 // that sent the message; AnyIMV where the host does not say
	source      uint32 // IMC ID under which it is answered
	budget      int    // octets of data of each segment that the message requests; 0: no limit
}

// run returns the attributes of the reply. A panic on the way closes the
// connection and goes on: the others are not touched.
func (t *turn) run(message []byte, destination uint32) (reply []patnc.Attribute, r Result) {
	a, l, c := t.agent, t.loaded, t.conn
	if !c.acquire() {
		return nil, a.busy(l, c)
	}
	whole := false
	defer func() {
		if !whole {
			c.closed.Store(true)
		}
		c.release()
	}()
	if c.closed.Load() {
		whole = true
		log.Infof(a.log, "IMC %d %q has closed Connection ID %d", l.id, a.name, c.id)
		return nil, ResultFatal
	}
	switch {
	case !c.hasLong:
		log.Detailf(a.log, "IMC %d %q received message for Connection ID %d", l.id, a.name, c.id)
	case destination != AnyIMC:
		log.Detailf(a.log, "IMC %d %q received message for Connection ID %d from IMV %d to IMC %d", l.id, a.name, c.id, t.imv, destination)
	default:
		log.Detailf(a.log, "IMC %d %q received message for Connection ID %d from IMV %d", l.id, a.name, c.id, t.imv)
	}
	dump(a.log, "", message)
	reply, r = t.answer(message)
	whole = true
	return reply, r
}

// answer decodes a message and returns the attributes of the reply. An error of
// the message's syntax is answered after the attributes that precede it.
func (t *turn) answer(message []byte) ([]patnc.Attribute, Result) {
	tnc := t.agent.tnc
	m, err := patnc.Parse(message, pts.Attributes)
	if errors.Is(err, patnc.ErrHeader) {
		log.Infof(tnc, "%d bytes insufficient to parse PA-TNC message header", len(message))
		return nil, ResultFatal
	}
	log.Infof(tnc, "processing PA-TNC message with ID 0x%08x", m.ID)
	reply, received := t.joinSegments(m.Attributes)
	fatal := t.assessment(received)
	answers, ok := t.process(received)
	if fatal || !ok {
		return nil, ResultFatal
	}
	reply = append(reply, answers...)
	var pe *patnc.ParseError
	if errors.As(err, &pe) {
		log.Infof(tnc, "%v", pe)
		if pe.Answer != nil {
			reply = append(reply, patnc.Skip(*pe.Answer))
		}
	}
	return reply, ResultSuccess
}

// joinSegments handles the attributes of segmentation. It returns the answers to
// them, and the received attributes with those that a segment completed.
func (t *turn) joinSegments(as []patnc.Attribute) (reply, received []patnc.Attribute) {
	a := t.agent
	received = as
	t.budget = t.conn.segmentBudget(as)
	for _, at := range as {
		log.Detailf(a.tnc, "processing PA-TNC attribute type %v", at.Value.Type())
		a.dumpValue(at.Value)
		out, complete := t.segmentation(at)
		reply = append(reply, out...)
		if complete != nil {
			log.Detailf(a.tnc, "processing PA-TNC attribute type %v", complete.Value.Type())
			received = append(received[:len(received):len(received)], *complete)
		}
	}
	return reply, received
}

// process answers the received attributes, in order and within the bounds of one
// message; ok is false where one of them ends the turn without an answer.
func (t *turn) process(received []patnc.Attribute) (reply []patnc.Attribute, ok bool) {
	ctx, cancel := t.agent.cfg.WithTimeout(t.loaded.ctx, maxTurn)
	defer cancel()
	t.conn.machine.BeginMessage()
	size, evidence := 0, 0
	for _, at := range received {
		out, err := t.handle(ctx, at.Value)
		for _, o := range out {
			var b []byte
			if b, err = o.AppendBinary(nil); err != nil {
				break
			}
			if o.Value.Type() == pts.TypeSimpleComponentEvidence {
				evidence += len(b)
			} else {
				size += len(b)
			}
			if size > maxReply || evidence > maxEvidence {
				err = errReplySize
			}
		}
		if err != nil {
			log.Infof(t.agent.log, "IMC %d %q cannot answer %v: %v", t.loaded.id, t.agent.name, at.Value.Type(), err)
			return nil, false
		}
		reply = append(reply, out...)
	}
	return reply, true
}

// handle answers one attribute: those of PTS under TCG/PTS, those of the
// operating system under IETF/Operating System.
func (t *turn) handle(ctx context.Context, v patnc.Value) ([]patnc.Attribute, error) {
	switch t.messageType {
	case TypePTS:
		return t.conn.machine.Handle(ctx, v)
	case TypeOperatingSystem, TypeFirewall:
		return t.agent.operatingSystem(ctx, v, t.messageType), nil
	}
	return nil, nil
}
