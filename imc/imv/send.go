package imv

import (
	"io"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
)

// reply queues an attribute for an IMC.
func (v *Verifier) reply(to pa, a patnc.Attribute) {
	if v.replies == nil {
		v.replies = make(map[pa][]patnc.Attribute)
	}
	if _, ok := v.replies[to]; !ok {
		v.order = append(v.order, to)
	}
	v.replies[to] = append(v.replies[to], a)
}

// flush packs what was queued into as few PA-TNC messages as possible.
func (v *Verifier) flush() (out []Message) {
	for _, to := range v.order {
		var body []byte
		for _, a := range v.replies[to] {
			encoded, err := a.AppendBinary(nil)
			if err != nil || len(encoded) > v.cfg.MaxMessage-patnc.MessageHeaderSize {
				log.Warnf(v.tnc, "leaving out PA-TNC attribute type %s: %v", a.Value.Type(), err)
				continue
			}
			if body != nil && len(body)+len(encoded) > v.cfg.MaxMessage {
				out = append(out, v.message(to, body))
				body = nil
			}
			if body == nil {
				body = v.header()
			}
			log.Infof(v.tnc, "creating PA-TNC attribute type %v", a.Value.Type())
			body = append(body, encoded...)
		}
		if body != nil {
			out = append(out, v.message(to, body))
		}
	}
	v.replies, v.order = nil, nil
	return out
}

func (v *Verifier) header() []byte {
	h := [patnc.MessageHeaderSize]byte{patnc.Version}
	_, _ = io.ReadFull(v.cfg.Rand, h[4:]) // crypto/rand never fails
	log.Infof(v.tnc, "creating PA-TNC message with ID 0x%08x", h[4:])
	return h[:]
}

func (v *Verifier) message(to pa, body []byte) Message {
	return Message{Exclusive: to.exclusive, Vendor: to.vendor, Subtype: to.subtype, Collector: to.imc, Validator: v.cfg.ID, Body: body}
}
