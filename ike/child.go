package ike

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/log"
)

// ChildSA is what a data plane needs to carry packets in tunnel mode. Its
// keys belong to the receiver of the event, which zeroes them when they are
// installed or of no more use.
type ChildSA struct {
	Name          string
	SPIIn, SPIOut uint32
	ESP           crypto.Suite      // the chosen ESP algorithms
	Keys          *crypto.ChildKeys // Ei/Ai protect what we send (we are the initiator), Er/Ar what we receive
	LocalTS       []TrafficSelector
	RemoteTS      []TrafficSelector
	Internal      Internal
	// Encap: ESP travels in UDP between Local and Remote.
	Encap         bool
	Local, Remote netip.AddrPort
}

// Zero forgets the keys.
func (c *ChildSA) Zero() {
	if c.Keys != nil {
		c.Keys.Zero()
	}
}

// Ciphers makes the packet ciphers of both directions, as ike/esp takes them.
// They copy the keys: Zero may follow. A nil source means crypto/rand.
func (c *ChildSA) Ciphers(rand io.Reader) (in, out *crypto.PacketCipher, err error) {
	if out, err = crypto.NewPacketCipher(c.ESP, c.Keys.Ei, c.Keys.Ai, rand); err != nil {
		return nil, nil, err
	}
	if in, err = crypto.NewPacketCipher(c.ESP, c.Keys.Er, c.Keys.Ar, rand); err != nil {
		out.Zero()
		return nil, nil, err
	}
	return in, out, nil
}

// childPayloads are CP, SA, TSi, TSr of the first IKE_AUTH request, in the
// order that RFC 7296 §1.2 and strongSwan give.
func (m *Machine) childPayloads() ([]message.Payload, error) {
	var err error
	if m.spiIn, err = m.newChildSPI(); err != nil {
		return nil, err
	}
	var ps []message.Payload
	if len(m.cfg.VirtualIPs) > 0 {
		ps = append(ps, m.cpRequest())
	}
	local, remote := m.cfg.Child.LocalTS, m.cfg.Child.RemoteTS
	if len(local) == 0 {
		local = []TrafficSelector{DynamicSelector}
	}
	if len(remote) == 0 {
		remote = []TrafficSelector{DynamicSelector}
	}
	m.localTS, m.remoteTS = nil, nil
	for _, t := range local {
		if !IsDynamic(t) {
			m.localTS = append(m.localTS, t)
			continue
		}
		for _, p := range m.dynamicOffer() {
			m.localTS = append(m.localTS, withAddr(t, p))
		}
	}
	for _, t := range remote {
		if IsDynamic(t) {
			t = withAddr(t, host(m.remote.Addr()))
		}
		m.remoteTS = append(m.remoteTS, t)
	}
	ps = append(ps,
		crypto.SAPayload(m.espProposals, binary.BigEndian.AppendUint32(nil, m.spiIn)),
		&message.TSi{Selectors: m.localTS},
		&message.TSr{Selectors: m.remoteTS})
	if !m.cfg.NoMOBIKE && m.natt {
		ps = append(ps, &message.Notify{NotifyType: message.MOBIKESupported})
	}
	return ps, nil
}

func host(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

// dynamicOffer is what "dynamic" stands for while the virtual IP is not known:
// all of its family, for the gateway to narrow (RFC 7296 §2.19).
func (m *Machine) dynamicOffer() []netip.Prefix {
	if len(m.cfg.VirtualIPs) == 0 {
		return []netip.Prefix{host(m.local.Addr())}
	}
	var ps []netip.Prefix
	for _, v := range m.cfg.VirtualIPs {
		if !v.IsUnspecified() {
			ps = append(ps, host(v))
		} else {
			ps = append(ps, netip.PrefixFrom(v, 0))
		}
	}
	return ps
}

func (m *Machine) cpRequest() *message.CP {
	cp := &message.CP{CPType: message.CPRequest}
	add := func(t message.CPAttributeType, v []byte) {
		cp.Attributes = append(cp.Attributes, message.CPAttribute{Type: t, Value: v})
	}
	var has4, has6 bool
	for _, v := range m.cfg.VirtualIPs {
		var value []byte
		if v.Is4() {
			has4 = true
			if !v.IsUnspecified() {
				value = v.AsSlice()
			}
			add(message.InternalIP4Address, value)
			continue
		}
		has6 = true
		if !v.IsUnspecified() {
			value = append(v.AsSlice(), 128)
		}
		add(message.InternalIP6Address, value)
	}
	if has4 {
		add(message.InternalIP4DNS, nil)
	}
	if has6 {
		add(message.InternalIP6DNS, nil)
	}
	return cp
}

// internal reads the CP reply. What was not asked for is ignored: addresses of
// another family, and without a request of ours name servers too.
func (m *Machine) internal(msg *message.Message) (in Internal, err error) {
	if len(m.cfg.VirtualIPs) == 0 {
		return Internal{}, nil
	}
	var want4, want6 bool
	for _, v := range m.cfg.VirtualIPs {
		want4 = want4 || v.Is4()
		want6 = want6 || !v.Is4()
	}
	for _, cp := range message.All[*message.CP](msg.Payloads) {
		if cp.CPType != message.CPReply {
			continue
		}
		for _, a := range cp.Attributes {
			v := a.Value
			switch {
			case a.Type == message.InternalIP4Address && len(v) == 4 && want4:
				in.Addresses = append(in.Addresses, host(netip.AddrFrom4([4]byte(v))))
			case a.Type == message.InternalIP6Address && len(v) == 17 && want6 && v[16] <= 128:
				in.Addresses = append(in.Addresses, host(netip.AddrFrom16([16]byte(v))))
			case a.Type == message.InternalIP4DNS && len(v) == 4, a.Type == message.InternalIP6DNS && len(v) == 16:
				d, _ := netip.AddrFromSlice(v)
				in.DNS = append(in.DNS, d)
			case a.Type == message.InternalIP4Subnet && len(v) == 8:
				if bits, ok := maskBits(v[4:]); ok {
					in.Subnets = append(in.Subnets, netip.PrefixFrom(netip.AddrFrom4([4]byte(v)), bits).Masked())
				}
			case a.Type == message.InternalIP6Subnet && len(v) == 17 && v[16] <= 128:
				in.Subnets = append(in.Subnets, netip.PrefixFrom(netip.AddrFrom16([16]byte(v)), int(v[16])).Masked())
			case a.Type == message.InternalDNSDomain && len(v) > 0:
				in.Domains = append(in.Domains, string(v))
			}
		}
	}
	for _, a := range in.Addresses {
		if x := a.Addr(); x.IsUnspecified() || x.IsMulticast() || x.IsLoopback() {
			return Internal{}, fmt.Errorf("the gateway assigned the unusable virtual IP %s", x)
		}
		m.ike.Info("installing new virtual IP " + a.Addr().String())
	}
	if len(in.Addresses) == 0 {
		return Internal{}, errors.New("the gateway assigned no virtual IP: check its address pool")
	}
	return in, nil
}

func maskBits(mask []byte) (int, bool) {
	v := binary.BigEndian.Uint32(mask)
	n := 0
	for v&0x80000000 != 0 {
		n++
		v <<= 1
	}
	return n, v == 0
}

// childAnswer takes the CHILD_SA out of the last IKE_AUTH response. A failure
// leaves the IKE_SA standing (RFC 7296 §1.2); a CHILD_SA that the gateway has
// and we refuse is deleted there.
func (m *Machine) childAnswer(msg *message.Message) {
	refused := func(err error) {
		m.ike.Info("failed to establish CHILD_SA, keeping IKE_SA")
		m.emit(ChildFailed{Name: m.configured[0].Name, Err: fmt.Errorf("%w: %w", ErrChild, err)})
	}
	m.settled(msg)
	if m.authRedirect(msg) {
		return
	}
	if n := msg.ErrorNotify(); n != nil {
		log.Infof(m.ike, "received %s notify, no CHILD_SA built", n.NotifyType)
		refused(childError(n.NotifyType, m.localTS, m.remoteTS, m.espProposals))
		return
	}
	sa, ok := message.First[*message.SA](msg.Payloads)
	if !ok {
		refused(errNoChild)
		return
	}
	child, err := m.buildChild(sa, msg)
	if err != nil {
		refused(err)
		if m.spiIn != 0 {
			m.request(request{exchange: message.Informational, payloads: []message.Payload{
				&message.Delete{Protocol: message.ProtocolESP, SPIs: [][]byte{binary.BigEndian.AppendUint32(nil, m.spiIn)}}}})
		}
		return
	}
	m.conf.Info("selected proposal: " + suiteName("ESP", child.ESP))
	m.childUp(m.addChild(m.configured[0], child), "")
	m.emit(ChildEstablished{Child: child})
}

// settled reads what the last IKE_AUTH response says of the IKE_SA itself, and
// starts its timers.
func (m *Machine) settled(msg *message.Message) {
	m.mobility.enabled = !m.cfg.NoMOBIKE && m.natt && msg.Notify(message.MOBIKESupported) != nil
	if m.mobility.enabled {
		m.ike.Info("peer supports MOBIKE")
		m.otherAddresses(msg)
	}
	m.scheduleIKE()
	var limit time.Duration
	if n := msg.Notify(message.AuthLifetime); n != nil && len(n.Data) == 4 {
		limit = time.Duration(binary.BigEndian.Uint32(n.Data)) * time.Second
		log.Infof(m.ike, "received AUTH_LIFETIME of %ds", int(limit.Seconds()))
	}
	m.scheduleReauth(limit)
}

func (m *Machine) buildChild(sa *message.SA, msg *message.Message) (*ChildSA, error) {
	esp, chosen, err := crypto.CheckChosen(m.espProposals, sa)
	if err != nil {
		return nil, err
	}
	if len(chosen.SPI) != 4 || binary.BigEndian.Uint32(chosen.SPI) < 256 {
		return nil, fmt.Errorf("%w: bad SPI of the CHILD_SA", ErrProtocol)
	}
	tsi, ok1 := message.First[*message.TSi](msg.Payloads)
	tsr, ok2 := message.First[*message.TSr](msg.Payloads)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("%w: CHILD_SA without traffic selectors", ErrProtocol)
	}
	if msg.Notify(message.UseTransportMode) != nil {
		return nil, fmt.Errorf("%w: transport mode was not asked for", ErrProtocol)
	}
	in, err := m.internal(msg)
	if err != nil {
		return nil, err
	}
	m.assigned = in
	// What the gateway widened, or did not narrow to the virtual IP, is cut to
	// what was asked for.
	local := narrow(tsi.Selectors, m.allowedLocal(in))
	remote := narrow(tsr.Selectors, m.remoteTS)
	if len(local) == 0 || len(remote) == 0 {
		return nil, fmt.Errorf("the gateway's traffic selectors %s === %s lie outside of ours, %s === %s",
			selectors(tsi.Selectors), selectors(tsr.Selectors), selectors(m.localTS), selectors(m.remoteTS))
	}
	keys, err := crypto.DeriveChild(m.prf, m.keys.D, esp, nil, m.ni, m.nr)
	if err != nil {
		return nil, fmt.Errorf("derive CHILD_SA keys: %w", err)
	}
	return &ChildSA{
		Name: m.configured[0].Name, SPIIn: m.spiIn, SPIOut: binary.BigEndian.Uint32(chosen.SPI), ESP: esp, Keys: keys,
		LocalTS: local, RemoteTS: remote, Internal: in,
		Encap: m.encap(), Local: m.local, Remote: m.remote,
	}, nil
}

// allowedLocal is m.localTS with the virtual IPs in place of "dynamic".
func (m *Machine) allowedLocal(in Internal) []TrafficSelector {
	if len(m.cfg.VirtualIPs) == 0 {
		return m.localTS
	}
	var ts []TrafficSelector
	local := m.cfg.Child.LocalTS
	if len(local) == 0 {
		local = []TrafficSelector{DynamicSelector}
	}
	for _, t := range local {
		if !IsDynamic(t) {
			ts = append(ts, t)
			continue
		}
		for _, p := range in.Addresses {
			ts = append(ts, withAddr(t, p))
		}
	}
	return ts
}

// narrow intersects what was received with what is allowed.
func narrow(got, allowed []TrafficSelector) (out []TrafficSelector) {
	for _, g := range got {
		for _, a := range allowed {
			if t, ok := a.Intersect(g); ok && !containsSelector(out, t) {
				out = append(out, t)
			}
			if len(out) == message.MaxTrafficSelectors {
				return out
			}
		}
	}
	return out
}

func containsSelector(ts []TrafficSelector, t TrafficSelector) bool {
	for _, o := range ts {
		if o.Contains(t) {
			return true
		}
	}
	return false
}

func childError(t message.NotifyType, local, remote []TrafficSelector, offered []message.Proposal) error {
	switch t {
	case message.TSUnacceptable:
		return fmt.Errorf("the gateway refused the traffic selectors %s === %s (%s): compare local_ts and remote_ts with its configuration",
			selectors(local), selectors(remote), t)
	case message.NoProposalChosen:
		return fmt.Errorf("the gateway accepts none of %s (%s): compare esp_proposals with its configuration",
			crypto.ProposalString(offered...), t)
	case message.InternalAddressFailure:
		return fmt.Errorf("the gateway has no virtual IP for us (%s): check its address pool", t)
	case message.FailedCPRequired:
		return fmt.Errorf("the gateway requires a virtual IP (%s): set vips = 0.0.0.0", t)
	}
	return fmt.Errorf("the gateway refused it: %s", t)
}

func suiteName(protocol string, s crypto.Suite) string {
	name := s.String()
	if len(name) > 4 && name[3] == ':' {
		return name
	}
	return protocol + ":" + name
}
