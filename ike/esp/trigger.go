package esp

import "github.com/gotnc/gotnc/ike/message"

// Selectors returns selectors that an IP packet, and those like it, fit: of its
// addresses, protocol and, where it has them, ports; false where it is no IP packet.
func Selectors(packet []byte) (local, remote message.TrafficSelector, ok bool) {
	_, f, err := parseIP(packet)
	if err != nil {
		return local, remote, false
	}
	local, remote = message.SelectorFromAddr(f.src), message.SelectorFromAddr(f.dst)
	local.Protocol, remote.Protocol = f.protocol, f.protocol
	if f.portsKnown {
		local.StartPort, local.EndPort = f.sport, f.sport
		remote.StartPort, remote.EndPort = f.dport, f.dport
	}
	return local, remote, true
}
