package imv

import (
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tnccs/pb"
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
func (v *Verifier) flush() (out []pb.PA) {
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
			v.tnc.Info("creating PA-TNC attribute type " + a.Value.Type().String())
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
	id := v.cfg.Random()
	log.Infof(v.tnc, "creating PA-TNC message with ID 0x%08x", id)
	return wire.AppendU32([]byte{patnc.Version, 0, 0, 0}, id)
}

func (v *Verifier) message(to pa, body []byte) pb.PA {
	if v.cfg.Rewrite != nil {
		body = v.cfg.Rewrite(v.sent, body)
	}
	v.sent++
	return pb.PA{Exclusive: to.exclusive, Vendor: to.vendor, Subtype: to.subtype, Collector: to.imc, Validator: v.cfg.ID, Body: body}
}
