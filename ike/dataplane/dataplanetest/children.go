package dataplanetest

import (
	"bytes"
	"fmt"
	"net/netip"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

// Children returns the two ends of a CHILD_SA that was agreed on, with keys made
// of fill, the algorithms of an ESP proposal as "aes128gcm16", and the SPIs of the
// client. The client is 192.168.0.100, has the virtual IPs 10.3.0.1 and
// 2001:db8:3::1 and reaches 10.1.0.0/16 and 2001:db8:1::/64 behind 192.168.0.1.
func Children(proposal string, spiIn, spiOut uint32, fill byte) (client, gateway *ike.ChildSA) {
	suite := Suite(proposal)
	prf, err := crypto.NewPRF(message.PRFHMACSHA256)
	if err != nil {
		panic(err)
	}
	derive := func() *crypto.ChildKeys {
		k, err := crypto.DeriveChild(prf, bytes.Repeat([]byte{fill}, 32), suite, nil, make([]byte, 32), make([]byte, 32))
		if err != nil {
			panic(err)
		}
		return k
	}
	local := []ike.TrafficSelector{prefix("10.3.0.0/24"), prefix("2001:db8:3::/64")}
	remote := []ike.TrafficSelector{prefix("10.1.0.0/16"), prefix("2001:db8:1::/64")}
	client = &ike.ChildSA{
		Name: "home", SPIIn: spiIn, SPIOut: spiOut, ESP: suite, Keys: derive(), LocalTS: local, RemoteTS: remote, Encap: true,
		Local: netip.MustParseAddrPort("192.168.0.100:4500"), Remote: netip.MustParseAddrPort("192.168.0.1:4500"),
	}
	client.Internal.Addresses = []netip.Prefix{netip.MustParsePrefix("10.3.0.1/32"), netip.MustParsePrefix("2001:db8:3::1/128")}
	k := derive()
	gateway = &ike.ChildSA{
		Name: "rw", SPIIn: spiOut, SPIOut: spiIn, ESP: suite, Keys: &crypto.ChildKeys{Ei: k.Er, Ai: k.Ar, Er: k.Ei, Ar: k.Ai},
		LocalTS: remote, RemoteTS: local, Encap: true, Local: client.Remote, Remote: client.Local,
	}
	return client, gateway
}

// Suite returns the algorithms of an ESP proposal.
func Suite(proposal string) crypto.Suite {
	ps, err := crypto.ParseProposal(message.ProtocolESP, proposal)
	if err != nil {
		panic(fmt.Sprintf("proposal %q: %v", proposal, err))
	}
	suite, err := crypto.SuiteOf(ps[0])
	if err != nil {
		panic(fmt.Sprintf("proposal %q: %v", proposal, err))
	}
	return suite
}

func prefix(s string) ike.TrafficSelector {
	return message.SelectorFromPrefix(netip.MustParsePrefix(s))
}
