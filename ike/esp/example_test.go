package esp_test

import (
	"bytes"
	"fmt"
	"net/netip"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/message"
)

// The two ends of a CHILD_SA carry a packet. Keys come from an IKE_SA; here both
// directions share one.
func ExampleSA() {
	proposals, _ := crypto.ParseProposal(message.ProtocolESP, "aes128gcm16")
	suite, _ := crypto.SuiteOf(proposals[0])
	cipher := func() esp.Cipher {
		c, err := crypto.NewPacketCipher(suite, bytes.Repeat([]byte{7}, 20), nil, nil)
		if err != nil {
			fmt.Println(err)
		}
		return c
	}
	home := []message.TrafficSelector{message.SelectorFromPrefix(netip.MustParsePrefix("10.3.0.0/24"))}
	office := []message.TrafficSelector{message.SelectorFromPrefix(netip.MustParsePrefix("10.1.0.0/16"))}
	client, _ := esp.NewSA(esp.Config{SPIIn: 0xc0000001, SPIOut: 0xc0000002, In: cipher(), Out: cipher(), LocalTS: home, RemoteTS: office})
	defer client.Close()
	gateway, _ := esp.NewSA(esp.Config{SPIIn: 0xc0000002, SPIOut: 0xc0000001, In: cipher(), Out: cipher(), LocalTS: office, RemoteTS: home})
	defer gateway.Close()

	packet, _ := esp.Echo{Src: netip.MustParseAddr("10.3.0.1"), Dst: netip.MustParseAddr("10.1.0.1")}.Append(nil)
	sealed, err := client.Seal(nil, packet)
	fmt.Println(len(packet), "octets become", len(sealed), err)
	replay := bytes.Clone(sealed)
	inner, err := gateway.Open(sealed)
	fmt.Println(bytes.Equal(inner, packet), err)
	_, err = gateway.Open(replay)
	fmt.Println(err)
	// Output:
	// 28 octets become 64 <nil>
	// true <nil>
	// ESP packet received twice, or too old
}
