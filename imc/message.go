package imc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
)

// maxMessageSize is the largest PA-TNC message that the Agent builds whatever
// the host allows; a host that reports no limit gets messages of any size.
const maxMessageSize = 1 << 30

// maxContracts bounds the segmentation contracts of a connection.
const maxContracts = 64

// Bounds of one received message, whatever a verifier puts into it.
const (
	maxTurn  = 2 * time.Minute // for all its measurements
	maxReply = 64 << 20        // octets of the attributes that answer it
	// Evidence of functional components is as long as the machine's logs, not as
	// a verifier likes; its collector bounds what one request collects.
	maxEvidence = 256 << 20
)

// connection is the state of one connection.
type connection struct {
	id uint32

	closed atomic.Bool // deleted, or a call of it failed beyond repair

	mu           sync.Mutex // held by the call that works on the connection
	state        ConnectionState
	retried      bool // imc-attestation.retry was used
	requests     bool // segmentation contracts are requested of IMVs
	machine      *pts.Machine
	hasLong      bool
	hasExclusive bool
	maxMessage   int                                // octets of a PA-TNC message; 0 = no limit
	contracts    map[contractKey]*patnc.Segmenter   // that IMVs requested
	requested    map[MessageType]bool               // contracts that were requested of IMVs
	incoming     map[contractKey]*patnc.Reassembler // under those
}

// enter begins a call's work on the connection; false where another call is at
// it, on another thread or around this one. Every true enter has its leave.
func (c *connection) enter() bool { return c.mu.TryLock() }

// leave ends it, and drops the state of a connection that was closed meanwhile.
func (c *connection) leave() {
	if c.closed.Load() {
		c.drop()
	}
	c.mu.Unlock()
	// Closed between the two lines above: nobody else drops it.
	if c.closed.Load() && c.mu.TryLock() {
		c.drop()
		c.mu.Unlock()
	}
}

func (c *connection) drop() {
	c.machine.Close()
	c.contracts, c.incoming = nil, nil
}

// errReplySize ends a turn that asks for too much at once.
var errReplySize = fmt.Errorf("the answers to one message exceed %d octets", maxReply)

// contractKey names a segmentation contract: it holds for one message type and
// one IMV (TCG IF-M Segmentation 1.0).
type contractKey struct {
	messageType MessageType
	imv         uint32
}

// close may be called at any time; a call that works on the connection drops
// the state when it leaves.
func (c *connection) close() {
	c.closed.Store(true)
	if c.mu.TryLock() {
		c.drop()
		c.mu.Unlock()
	}
}

// BeginHandshake is TNC_IMC_BeginHandshake (IF-IMC 1.3 §3.9.3). Unless
// imc-attestation.os_info or imc-os.push_info is off it sends the operating
// system's attributes in one message.
func (a *Agent) BeginHandshake(imcID, connectionID uint32) Result {
	l, r := a.get(imcID)
	if r != ResultSuccess {
		return r
	}
	c, ok := a.connection(l, connectionID)
	if !ok {
		return ResultFatal
	}
	if !c.enter() {
		return a.busy(l, c)
	}
	var request []patnc.Attribute
	if c.requests {
		request = a.requestContract(c)
	}
	c.leave()
	if len(request) > 0 {
		if r := a.send(l, c, outgoing{messageType: TypePTS, source: imcID, destination: AnyIMV}, request); r != ResultSuccess {
			return r
		}
	}
	if !l.os || a.beside("imc-os") || !a.cfg.Settings.Bool("plugins.imc-os.push_info", true) {
		return ResultSuccess
	}
	out := a.platformAttributes(l.ctx, pushed)
	return a.send(l, c, outgoing{messageType: TypeOperatingSystem, source: imcID, destination: AnyIMV}, out)
}

// beside reports whether strongSwan's IMC of that name is loaded too. It tells
// the verifier what this one would, and one of them is enough.
func (a *Agent) beside(name string) bool { return a.cfg.Beside != nil && a.cfg.Beside(name) }

// ReceiveMessage is TNC_IMC_ReceiveMessage (IF-IMC 1.3 §3.9.4). The Agent keeps
// no view of message.
func (a *Agent) ReceiveMessage(imcID, connectionID uint32, message []byte, messageType uint32) Result {
	return a.receive(imcID, connectionID, message, TypeOfShort(messageType), AnyIMV, AnyIMC)
}

// ReceiveMessageLong is TNC_IMC_ReceiveMessageLong (IF-IMC 1.3 §3.9.6).
func (a *Agent) ReceiveMessageLong(imcID, connectionID, flags uint32, message []byte, vendor, subtype, sourceIMVID, destinationIMCID uint32) Result {
	return a.receive(imcID, connectionID, message, MessageType{Vendor: vendor, Subtype: subtype}, sourceIMVID, destinationIMCID)
}

// ReceiveMessageSOH is TNC_IMC_ReceiveMessageSOH (IF-IMC 1.3 §3.9.5): no message
// of IF-TNCCS-SOH is received.
func (a *Agent) ReceiveMessageSOH(imcID, connectionID uint32) Result {
	if _, r := a.get(imcID); r != ResultSuccess {
		return r
	}
	a.infof("IMC %d %q does not receive IF-TNCCS-SOH messages: Connection ID %d", imcID, a.name, connectionID)
	return ResultNoSOHSupport
}

// BatchEnding is TNC_IMC_BatchEnding (IF-IMC 1.3 §3.9.7). Replies have left
// with the messages that asked for them.
func (a *Agent) BatchEnding(imcID, connectionID uint32) Result {
	_, r := a.get(imcID)
	return r
}

// outgoing is where attributes go.
type outgoing struct {
	messageType MessageType
	source      uint32 // IMC ID
	destination uint32 // IMV ID
	exclusive   bool   // wanted; effective to a known IMV where the host can
}

func (a *Agent) receive(imcID, connectionID uint32, message []byte, t MessageType, imv, destination uint32) Result {
	l, r := a.get(imcID)
	if r != ResultSuccess {
		return r
	}
	c, ok := a.connection(l, connectionID)
	if !ok {
		return ResultFatal
	}
	reply, source, r := a.turn(l, c, message, t, imv, destination)
	if r != ResultSuccess {
		return r
	}
	return a.send(l, c, outgoing{messageType: t, source: source, destination: imv, exclusive: true}, reply)
}

// turn works on one received message. A panic on the way closes the connection
// and goes on: the others are not touched.
func (a *Agent) turn(l *loaded, c *connection, message []byte, t MessageType, imv, destination uint32) (reply []patnc.Attribute, source uint32, r Result) {
	if !c.enter() {
		return nil, 0, a.busy(l, c)
	}
	whole := false
	defer func() {
		if !whole {
			c.closed.Store(true)
		}
		c.leave()
	}()
	if c.closed.Load() {
		whole = true
		a.infof("IMC %d %q has closed Connection ID %d", l.id, a.name, c.id)
		return nil, 0, ResultFatal
	}
	switch {
	case !c.hasLong:
		a.detailf("IMC %d %q received message for Connection ID %d", l.id, a.name, c.id)
	case destination != AnyIMC:
		a.detailf("IMC %d %q received message for Connection ID %d from IMV %d to IMC %d", l.id, a.name, c.id, imv, destination)
	default:
		a.detailf("IMC %d %q received message for Connection ID %d from IMV %d", l.id, a.name, c.id, imv)
	}
	source = l.id
	if destination != AnyIMC {
		source = destination
	}
	reply, r = a.answer(l, c, message, t, imv, source)
	whole = true
	return reply, source, r
}

// answer decodes a message and returns the attributes of the reply. An error
// of the message's syntax is answered after what stood before it.
func (a *Agent) answer(l *loaded, c *connection, message []byte, t MessageType, imv, source uint32) ([]patnc.Attribute, Result) {
	m, err := patnc.Parse(message, pts.Attributes)
	if errors.Is(err, patnc.ErrHeader) {
		a.tnc.Info(fmt.Sprintf("%d bytes insufficient to parse PA-TNC message header", len(message)))
		return nil, ResultFatal
	}
	a.tnc.Info(fmt.Sprintf("processing PA-TNC message with ID 0x%08x", m.ID))
	var reply []patnc.Attribute
	received := m.Attributes
	for _, at := range m.Attributes {
		detail(a.tnc, "processing PA-TNC attribute type %v", at.Value.Type())
		out, complete := a.segmentation(l, c, at, t, imv, source)
		reply = append(reply, out...)
		if complete != nil {
			detail(a.tnc, "processing PA-TNC attribute type %v", complete.Value.Type())
			received = append(received[:len(received):len(received)], *complete)
		}
	}
	fatal := a.assessment(l, c, received, t, imv, source)
	ctx, cancel := context.WithTimeout(l.ctx, maxTurn)
	defer cancel()
	size, evidence := 0, 0
	for _, at := range received {
		out, err := a.process(ctx, c, at, t)
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
			a.infof("IMC %d %q cannot answer %v: %v", l.id, a.name, at.Value.Type(), err)
			fatal = true
			break
		}
		reply = append(reply, out...)
	}
	if fatal {
		return nil, ResultFatal
	}
	var pe *patnc.ParseError
	if errors.As(err, &pe) {
		a.tnc.Info(pe.Error())
		if pe.Answer != nil {
			reply = append(reply, patnc.Skip(*pe.Answer))
		}
	}
	return reply, ResultSuccess
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
func (a *Agent) segmentation(l *loaded, c *connection, at patnc.Attribute, t MessageType, imv, source uint32) (out []patnc.Attribute, complete *patnc.Attribute) {
	key := contractKey{messageType: t, imv: imv}
	switch v := at.Value.(type) {
	case patnc.ContractRequest:
		agreed := patnc.Accept(v.Contract, c.maxMessage)
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
		a.detailf("IMC %d received a segmentation contract request from IMV %d for PA message type %v", source, imv, t)
		return []patnc.Attribute{patnc.Skip(patnc.ContractResponse{Contract: agreed})}, nil
	case patnc.ContractResponse:
		if !c.requested[t] {
			a.infof("no contract for this PA message type found")
			return nil, nil
		}
		a.detailf("IMC %d received a segmentation contract response from IMV %d for PA message type %v", source, imv, t)
	case patnc.SegmentEnvelope:
		if !c.requested[t] {
			a.detailf("no contract for received segment with base message ID %d", v.BaseMessageID)
			return nil, nil
		}
		return a.reassemble(c, key, v)
	case patnc.NextSegment:
		s := c.contracts[key]
		if s == nil {
			a.infof("no contract for received next segment request with base message ID %d", v.BaseMessageID)
			return nil, nil
		}
		next, ok := s.Next(v)
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

// assessment logs results, remediation and errors, and reports whether an error
// among them is fatal: TCG's for the Attestation IMC, the IETF's 1 to 3 for the
// operating system's part.
func (a *Agent) assessment(l *loaded, c *connection, as []patnc.Attribute, t MessageType, imv, source uint32) (fatal bool) {
	began := false
	header := func() {
		if began {
			return
		}
		began = true
		if imv == AnyIMV {
			a.infof("***** assessment of IMC %d %q *****", source, a.name)
		} else {
			a.infof("***** assessment of IMC %d %q from IMV %d *****", source, a.name, imv)
		}
	}
	for _, at := range as {
		switch v := at.Value.(type) {
		case patnc.AssessmentResult:
			header()
			a.infof("assessment result is '%v'", v.Result)
		case patnc.RemediationInstructions:
			header()
			switch {
			case v.Vendor == patnc.VendorIETF && v.Parameters == patnc.RemediationURI:
				a.infof("remediation uri: %s", printable(v.URI))
			case v.Vendor == patnc.VendorIETF && v.Parameters == patnc.RemediationString:
				a.infof("remediation string: [%s] %s", printable(v.Language), printable(v.String))
			default:
				a.infof("remediation parameters: %d bytes", len(v.Data))
			}
		case patnc.Error:
			switch {
			case v.Vendor == patnc.VendorTCG:
				a.infof("received TCG-PTS error '%v'", pts.ErrorCode(v.Code))
				if info, err := pts.ParseErrorInfo(v); err == nil {
					a.infof("error information: %v", info)
				}
				fatal = fatal || t == TypePTS
			case v.Vendor == patnc.VendorIETF:
				a.tnc.Info("received " + v.String())
				fatal = fatal || t != TypePTS && v.Code >= 1 && v.Code <= 3
			default:
				a.tnc.Info("received " + v.String())
			}
		}
	}
	if began {
		a.infof("***** end of assessment *****")
		a.showUser(l, c, as)
	}
	return fatal
}

// printable makes text from a gateway safe for a line of log.
func printable(s string) string {
	const limit = 2048
	if len(s) > limit {
		s = s[:limit]
	}
	q := fmt.Sprintf("%q", s)
	return q[1 : len(q)-1]
}

// process answers one attribute: those of PTS under TCG/PTS, those of the
// operating system under IETF/Operating System.
func (a *Agent) process(ctx context.Context, c *connection, at patnc.Attribute, t MessageType) ([]patnc.Attribute, error) {
	switch t {
	case TypePTS:
		return c.machine.Handle(ctx, at.Value)
	case TypeOperatingSystem, TypeFirewall:
		return a.operatingSystem(ctx, at.Value, t), nil
	}
	return nil, nil
}

// send packs attributes into as few messages as the connection's size and the
// IMV's segmentation contract allow, and hands them to the host. Without
// attributes nothing is sent.
func (a *Agent) send(l *loaded, c *connection, to outgoing, as []patnc.Attribute) Result {
	if len(as) == 0 {
		return ResultSuccess
	}
	a.mu.Lock()
	host := l.host
	a.mu.Unlock()
	if host == nil {
		a.infof("IMC %d %q has no TNC client to send to: it was not provided with a bind function", l.id, a.name)
		return ResultFatal
	}
	c.mu.Lock()
	contract := c.contracts[contractKey{messageType: to.messageType, imv: to.destination}]
	if contract == nil || contract.Contract().MaxSegment == patnc.NoLimit {
		as = splitPackages(as, c.maxMessage)
	}
	messages, dropped, err := patnc.Pack(as, c.maxMessage, contract)
	long := c.hasLong && host.Has(FuncSendMessageLong)
	exclusive := to.exclusive && c.hasExclusive && to.destination != AnyIMV
	c.mu.Unlock()
	if err != nil {
		a.infof("IMC %d %q: %v", l.id, a.name, err)
		return ResultFatal
	}
	for _, t := range dropped {
		a.infof("PA-TNC attribute %v too large to send, deleted", t)
	}
	for _, m := range messages {
		var id [4]byte
		if err := a.cfg.Random(id[:]); err != nil {
			a.tnc.Info(fmt.Sprintf("failed to generate random PA-TNC message identifier: %v", err))
			return ResultFatal
		}
		m.ID = binary.BigEndian.Uint32(id[:])
		b, err := m.AppendBinary(nil)
		if err != nil {
			a.infof("IMC %d %q: %v", l.id, a.name, err)
			return ResultFatal
		}
		a.tnc.Info(fmt.Sprintf("creating PA-TNC message with ID 0x%08x", m.ID))
		for _, at := range m.Attributes {
			detail(a.tnc, "creating PA-TNC attribute type %v", at.Value.Type())
		}
		if r := a.sendMessage(l, c, host, to, b, long, exclusive); r != ResultSuccess {
			a.infof("IMC %d %q could not send a PA-TNC message of %d bytes: %v", l.id, a.name, len(b), r)
			return r
		}
	}
	return ResultSuccess
}

func (a *Agent) sendMessage(l *loaded, c *connection, host Host, to outgoing, b []byte, long, exclusive bool) Result {
	if long || !host.Has(FuncSendMessage) {
		var flags uint32
		if exclusive {
			flags = FlagExclusive
		}
		return host.SendMessageLong(to.source, c.id, flags, b, to.messageType, to.destination)
	}
	short, ok := to.messageType.Short()
	if !ok {
		return ResultNoLongMessageTypes
	}
	return host.SendMessage(to.source, c.id, b, short)
}
