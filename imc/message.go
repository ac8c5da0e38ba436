package imc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
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

	mu           sync.Mutex
	state        ConnectionState
	closed       bool
	machine      *pts.Machine
	hasLong      bool
	hasExclusive bool
	maxMessage   int // octets of a PA-TNC message; 0 = no limit
	contracts    map[contractKey]*patnc.Segmenter
}

// errReplySize ends a turn that asks for too much at once.
var errReplySize = fmt.Errorf("the answers to one message exceed %d octets", maxReply)

// contractKey names a segmentation contract: it holds for one message type and
// one IMV (TCG IF-M Segmentation 1.0).
type contractKey struct {
	messageType MessageType
	imv         uint32
}

func (c *connection) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	c.machine.Close()
	c.contracts = nil
}

// BeginHandshake is TNC_IMC_BeginHandshake (IF-IMC 1.3 §3.9.3). Unless
// imc-attestation.os_info or imc-os.push_info is off it sends the operating
// system's attributes in one message.
func (a *Agent) BeginHandshake(imcID, connectionID uint32) Result {
	l, ok := a.get()
	if !ok {
		return ResultNotInitialized
	}
	c, ok := a.connection(l, connectionID)
	if !ok {
		return ResultFatal
	}
	if !l.os || !a.cfg.Settings.Bool("plugins.imc-os.push_info", true) {
		return ResultSuccess
	}
	out := a.platformAttributes(l.ctx, pushed)
	return a.send(l, c, outgoing{messageType: TypeOperatingSystem, source: imcID, destination: AnyIMV}, out)
}

// ReceiveMessage is TNC_IMC_ReceiveMessage (IF-IMC 1.3 §3.9.4). The Agent keeps
// no view of message.
func (a *Agent) ReceiveMessage(imcID, connectionID uint32, message []byte, messageType uint32) Result {
	return a.receive(connectionID, message, TypeOfShort(messageType), AnyIMV, AnyIMC)
}

// ReceiveMessageLong is TNC_IMC_ReceiveMessageLong (IF-IMC 1.3 §3.9.6).
func (a *Agent) ReceiveMessageLong(imcID, connectionID, flags uint32, message []byte, vendor, subtype, sourceIMVID, destinationIMCID uint32) Result {
	return a.receive(connectionID, message, MessageType{Vendor: vendor, Subtype: subtype}, sourceIMVID, destinationIMCID)
}

// BatchEnding is TNC_IMC_BatchEnding (IF-IMC 1.3 §3.9.7). Replies have left
// with the messages that asked for them.
func (a *Agent) BatchEnding(imcID, connectionID uint32) Result {
	if _, ok := a.get(); !ok {
		return ResultNotInitialized
	}
	return ResultSuccess
}

// outgoing is where attributes go.
type outgoing struct {
	messageType MessageType
	source      uint32 // IMC ID
	destination uint32 // IMV ID
	exclusive   bool   // wanted; effective to a known IMV where the host can
}

func (a *Agent) receive(connectionID uint32, message []byte, t MessageType, imv, destination uint32) Result {
	l, ok := a.get()
	if !ok {
		return ResultNotInitialized
	}
	c, ok := a.connection(l, connectionID)
	if !ok {
		return ResultFatal
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return ResultFatal
	}
	switch {
	case !c.hasLong:
		a.detailf("IMC %d %q received message for Connection ID %d", l.id, a.name, c.id)
	case destination != AnyIMC:
		a.detailf("IMC %d %q received message for Connection ID %d from IMV %d to IMC %d", l.id, a.name, c.id, imv, destination)
	default:
		a.detailf("IMC %d %q received message for Connection ID %d from IMV %d", l.id, a.name, c.id, imv)
	}
	source := l.id
	if destination != AnyIMC {
		source = destination
	}
	reply, r := a.answer(l, c, message, t, imv, source)
	c.mu.Unlock()
	if r != ResultSuccess {
		return r
	}
	return a.send(l, c, outgoing{messageType: t, source: source, destination: imv, exclusive: true}, reply)
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
	for _, at := range m.Attributes {
		detail(a.tnc, "processing PA-TNC attribute type %v", at.Value.Type())
		reply = append(reply, a.segmentation(l, c, at, t, imv, source)...)
	}
	fatal := a.assessment(l, m.Attributes, t, imv, source)
	ctx, cancel := context.WithTimeout(l.ctx, maxTurn)
	defer cancel()
	size, evidence := 0, 0
	for _, at := range m.Attributes {
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

// segmentation handles the attributes of TCG IF-M Segmentation 1.0. The Agent
// requests no contract, so segments are never due to it.
func (a *Agent) segmentation(l *loaded, c *connection, at patnc.Attribute, t MessageType, imv, source uint32) []patnc.Attribute {
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
		return []patnc.Attribute{patnc.Skip(patnc.ContractResponse{Contract: agreed})}
	case patnc.ContractResponse:
		a.infof("no contract for this PA message type found")
	case patnc.SegmentEnvelope:
		a.detailf("no contract for received segment with base message ID %d", v.BaseMessageID)
	case patnc.NextSegment:
		s := c.contracts[key]
		if s == nil {
			a.infof("no contract for received next segment request with base message ID %d", v.BaseMessageID)
			return nil
		}
		next, ok := s.Next(v)
		if !ok {
			if !v.Cancel {
				a.infof("no more segments found for base message ID %d", v.BaseMessageID)
			}
			return nil
		}
		return []patnc.Attribute{next}
	}
	return nil
}

// assessment logs results, remediation and errors, and reports whether an error
// among them is fatal: TCG's for the Attestation IMC, the IETF's 1 to 3 for the
// operating system's part.
func (a *Agent) assessment(l *loaded, as []patnc.Attribute, t MessageType, imv, source uint32) (fatal bool) {
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
				fatal = fatal || t == TypePTS
			case v.Vendor == patnc.VendorIETF:
				a.tnc.Info("received " + v.String())
				fatal = fatal || t == TypeOperatingSystem && v.Code >= 1 && v.Code <= 3
			default:
				a.tnc.Info("received " + v.String())
			}
		}
	}
	if began {
		a.infof("***** end of assessment *****")
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
	case TypeOperatingSystem:
		return a.operatingSystem(ctx, at.Value), nil
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
