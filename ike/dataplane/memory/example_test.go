package memory_test

import (
	"fmt"
	"net/netip"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/dataplanetest"
	"github.com/gotnc/gotnc/ike/dataplane/memory"
	"github.com/gotnc/gotnc/ike/esp"
)

// Two planes carry a ping to each other: here over sockets in memory, else over
// those of ike/transport. Each event of an IKE_SA goes to Handle.
func Example() {
	here, there := dataplanetest.NewSockets()
	client := memory.New(dataplane.Config{}, nil)
	defer client.Close()
	gateway := memory.New(dataplane.Config{}, func(packet []byte) {
		echo, err := esp.ParseEcho(packet)
		fmt.Println(echo.Src, "pings", echo.Dst, err)
	})
	defer gateway.Close()
	_ = client.Attach(here)
	_ = gateway.Attach(there)

	a, b := dataplanetest.Children("aes128gcm16", 0xc0000001, 0xc0000002, 1)
	fmt.Println(dataplane.Handle(client, ike.ChildEstablished{Child: a}))
	fmt.Println(dataplane.Handle(gateway, ike.ChildEstablished{Child: b}))

	packet, _ := esp.Echo{Src: netip.MustParseAddr("10.3.0.1"), Dst: netip.MustParseAddr("10.1.0.1")}.Append(nil)
	fmt.Println(client.Send(packet))
	fmt.Println(client.Stats())
	// Output:
	// <nil>
	// <nil>
	// 10.3.0.1 pings 10.1.0.1 <nil>
	// <nil>
	// in 0 packets, 0 bytes; out 1 packets, 28 bytes
}
