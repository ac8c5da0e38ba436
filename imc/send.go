package imc

import (
	"encoding/binary"
	"io"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
)

// maxMessageSize is the largest PA-TNC message that the Agent builds whatever
// the host allows; a host that reports no limit gets messages of any size.
const maxMessageSize = 1 << 30

// oneMessageSize is how large the Agent makes the only message of a batch where
// a segmentation contract lets it choose, in octets: wpa_supplicant and hostapd
// carry batches of 75,000 octets, which hold the message in Base64.
const oneMessageSize = 45000

// maxMessage returns how large a message may be under a segmentation contract, in
// octets; 0 is no limit.
func (c *connection) maxMessage() int {
	switch {
	case !c.oneMessage:
		return c.sizeLimit
	case c.sizeLimit == 0:
		return oneMessageSize
	}
	return min(c.sizeLimit, oneMessageSize)
}

// outgoing is where attributes go.
type outgoing struct {
	messageType MessageType
	source      uint32 // IMC ID
	destination uint32 // IMV ID
	exclusive   bool   // wanted; effective to a known IMV where the host can
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
		log.Infof(a.log, "IMC %d %q has no TNC client to send to: it was not provided with a bind function", l.id, a.name)
		return ResultFatal
	}
	if c.closed.Load() {
		return a.connectionClosed(l, c)
	}
	c.mu.Lock()
	contract := c.contracts[contractKey{messageType: to.messageType, imv: to.destination}]
	if contract == nil || contract.Contract().MaxSegment == patnc.NoLimit {
		as = splitPackages(as, c.sizeLimit)
	}
	var messages []patnc.Message
	var dropped []patnc.Type
	var err error
	if c.oneMessage {
		var m patnc.Message
		m, err = patnc.PackOne(as, c.maxMessage(), contract)
		messages = []patnc.Message{m}
	} else {
		messages, dropped, err = patnc.Pack(as, c.maxMessage(), contract)
	}
	c.trimPending(contract)
	long := c.hasLong && host.Has(FuncSendMessageLong)
	exclusive := to.exclusive && c.hasExclusive && to.destination != AnyIMV
	c.mu.Unlock()
	if err != nil {
		log.Infof(a.log, "IMC %d %q: %v", l.id, a.name, err)
		return ResultFatal
	}
	for _, t := range dropped {
		log.Infof(a.log, "PA-TNC attribute %v too large to send, deleted", t)
	}
	for _, m := range messages {
		var id [4]byte
		if _, err := io.ReadFull(a.cfg.Rand, id[:]); err != nil {
			log.Infof(a.tnc, "failed to generate random PA-TNC message identifier: %v", err)
			return ResultFatal
		}
		m.ID = binary.BigEndian.Uint32(id[:])
		b, err := m.AppendBinary(nil)
		if err != nil {
			log.Infof(a.log, "IMC %d %q: %v", l.id, a.name, err)
			return ResultFatal
		}
		log.Infof(a.tnc, "creating PA-TNC message with ID 0x%08x", m.ID)
		for _, at := range m.Attributes {
			if v, ok := at.Value.(patnc.SegmentEnvelope); ok {
				log.Detailf(a.tnc, "creating %s segment for base message ID %d (%d bytes)", segmentPosition(v), v.BaseMessageID, len(v.Data))
			}
			log.Detailf(a.tnc, "creating PA-TNC attribute type %v", at.Value.Type())
			a.dumpValue(at.Value)
		}
		dump(a.log, "created PA-TNC message:", b)
		if c.closed.Load() {
			return a.connectionClosed(l, c)
		}
		if r := a.sendMessage(l, c, host, to, b, long, exclusive); r != ResultSuccess {
			log.Infof(a.log, "IMC %d %q could not send a PA-TNC message of %d bytes: %v", l.id, a.name, len(b), r)
			return r
		}
	}
	return ResultSuccess
}

// connectionClosed answers a call whose connection ended while it worked: the
// host may have given the ID to another one.
func (a *Agent) connectionClosed(l *loaded, c *connection) Result {
	log.Infof(a.log, "IMC %d %q sends nothing more: Connection ID %d is closed", l.id, a.name, c.id)
	return ResultFatal
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
