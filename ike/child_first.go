package ike

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

var errNoChild = errors.New("the gateway sent no CHILD_SA")

// firstPayloads makes CP, SA, TSi, TSr of the first IKE_AUTH request, in the
// order that RFC 7296 section 1.2 and strongSwan give.
func (set *childSet) firstPayloads() ([]message.Payload, error) {
	spiIn, err := set.newSPI()
	if err != nil {
		return nil, err
	}
	cfg := set.configured[0]
	j := &createJob{cfg: cfg, spiIn: spiIn, proposals: crypto.WithoutKE(cfg.proposals)}
	j.local, j.remote = set.selectors(cfg, set.dynamicOffer())
	set.first = j
	var ps []message.Payload
	if len(set.cfg.VirtualIPs.Wanted) > 0 {
		ps = append(ps, configRequest(set.cfg.requestedIPs()))
	}
	tsi, tsr := cfg.Trigger.offer(j.local, j.remote, len(set.cfg.VirtualIPs.Wanted) > 0)
	ps = append(ps,
		crypto.SAPayload(j.proposals, espSPI(j.spiIn)),
		&message.TSi{Selectors: tsi},
		&message.TSr{Selectors: tsr})
	if !set.cfg.NoMOBIKE && set.path.natt {
		ps = append(ps, &message.Notify{NotifyType: message.MOBIKESupported})
	}
	return ps, nil
}

// dynamicOffer returns what "dynamic" means while the virtual IP is not known:
// all of its family, for the gateway to narrow (RFC 7296 section 2.19). That holds
// for an address that is asked for, too: the gateway may assign another one.
func (set *childSet) dynamicOffer() []netip.Prefix {
	if len(set.cfg.VirtualIPs.Wanted) == 0 {
		return []netip.Prefix{host(set.path.local.Addr())}
	}
	var ps []netip.Prefix
	for _, v := range set.cfg.VirtualIPs.Wanted {
		whole := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		if v.Is4() {
			whole = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		}
		if !slices.Contains(ps, whole) {
			ps = append(ps, whole)
		}
	}
	return ps
}

// firstAnswer sets up the CHILD_SA of the last IKE_AUTH response. A failure
// leaves the IKE_SA as it is (RFC 7296 section 1.2); a CHILD_SA that the gateway
// has and we refuse is deleted there.
func (set *childSet) firstAnswer(sa *ikeSA, msg *message.Message, ni, nr []byte) {
	j := set.first
	refused := func(err error) {
		set.ike.Info("failed to establish CHILD_SA, keeping IKE_SA")
		set.emit(ChildFailed{Name: j.cfg.Name, Err: fmt.Errorf("%w: %w", ErrChild, err)})
	}
	if n := msg.ErrorNotify(); n != nil {
		log.Infof(set.ike, "received %s notify, no CHILD_SA built", n.NotifyType)
		refused(j.refused(n.NotifyType))
		return
	}
	child, err := set.buildFirst(sa, msg, ni, nr)
	if err != nil {
		refused(err)
		if !errors.Is(err, errNoChild) {
			sa.deleteESP(j.spiIn, nil)
		}
		return
	}
	log.Infof(set.conf, "selected proposal: %s", suiteName{"ESP", child.ESP})
	set.logUp(set.add(j.cfg, child), "")
	set.emit(ChildEstablished{Child: child})
}

// buildFirst makes the CHILD_SA of the last IKE_AUTH response. Its keys come
// from the nonces of IKE_SA_INIT.
func (set *childSet) buildFirst(sa *ikeSA, msg *message.Message, ni, nr []byte) (*ChildSA, error) {
	if _, ok := message.First[*message.SA](msg.Payloads); !ok {
		return nil, errNoChild
	}
	in, err := set.configReply(msg)
	if err != nil {
		return nil, err
	}
	set.assigned = in
	j := set.first
	local := j.local
	if len(set.cfg.VirtualIPs.Wanted) > 0 {
		local, _ = set.selectors(j.cfg, set.addresses())
	}
	g, err := j.accept(msg, local, j.remote)
	if err != nil && len(set.cfg.VirtualIPs.Wanted) > 0 && len(in.Addresses) == 0 {
		err = fmt.Errorf("%w: %w", ErrNoVirtualIP, err) // what the gateway allows may be for that address only
	}
	if err != nil {
		return nil, err
	}
	keys, err := crypto.DeriveChild(sa.prf, sa.keys.D, g.esp, nil, ni, nr)
	if err != nil {
		return nil, fmt.Errorf("derive CHILD_SA keys: %w", err)
	}
	return set.childSA(g, keys), nil
}
