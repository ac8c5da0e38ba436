package ike_test

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

var (
	client = netip.MustParseAddrPort("192.0.2.2:500")
	server = netip.MustParseAddrPort("192.0.2.1:500")
)

// sharedKey authenticates both ends with a preshared key.
func sharedKey(local, remote netip.AddrPort, key string) ike.Config {
	return ike.Config{
		Local: local, Remote: remote,
		LocalRounds: []ike.LocalRound{{ID: ike.MustParseIdentity("carol@example.org"), PSK: []byte(key)}},
		RemoteRounds: []ike.RemoteRound{{ID: ike.MustParseIdentity("gw.example.org"), Method: ike.RemotePSK,
			PSK: func(ike.Identity) ([]byte, error) { return []byte(key), nil }}},
	}
}

// IKE_SA_INIT with a scripted gateway, which accepts no proposal.
func ExampleMachine() {
	m, err := ike.New(sharedKey(client, server, "secret"))
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Now()
	out := m.Start(now)
	request, err := message.Parse(out.Packets[0].Data)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(out.Packets[0].To, request.Summary())

	answer := message.Message{
		Header: message.Header{SPIi: request.SPIi, Exchange: message.IKESAInit, Flags: message.FlagResponse},
		Payloads: []message.Payload{
			&message.Notify{NotifyType: message.NoProposalChosen},
		},
	}
	data, err := answer.AppendBinary(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	out = m.Handle(now, ike.Datagram{From: server, To: client, Data: data})
	failed := out.Events[0].(ike.Failed)
	fmt.Printf("%T, finished: %v\n", failed, m.Done())
	// Output:
	// 192.0.2.1:500 IKE_SA_INIT request 0 [ SA KE No N(NATD_S_IP) N(NATD_D_IP) N(FRAG_SUP) N(HASH_ALG) ]
	// ike.Failed, finished: true
}

// A connection from IKE_SA_INIT to DELETE, with a gateway in memory.
func ExampleMachine_connection() {
	from, to := netip.MustParseAddrPort("192.0.2.2:4500"), netip.MustParseAddrPort("192.0.2.1:4500")
	ca, err := testpki.NewCA("example CA", testpki.ECDSA)
	if err != nil {
		fmt.Println(err)
		return
	}
	cert, err := ca.Issue("gw.example.org", testpki.ECDSA, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	var inbox [][]byte // what the gateway has sent
	gw, err := gateway.InMemory(gateway.Config{Identity: "gw.example.org", Certificate: cert, PSK: []byte("secret")}, to,
		func(_ netip.AddrPort, datagram []byte) { inbox = append(inbox, datagram) })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer gw.Close()

	cfg := sharedKey(from, to, "secret")
	remote, err := ike.ParseTrafficSelector("10.1.0.0/16")
	if err != nil {
		fmt.Println(err)
		return
	}
	cfg.Children = []ike.ChildConfig{{RemoteTS: []ike.TrafficSelector{remote}}}
	m, err := ike.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()

	const marker = 4 // octets of the non-ESP marker before IKE on port 4500
	var carry func(ike.Outputs)
	carry = func(out ike.Outputs) {
		for _, p := range out.Packets {
			gw.Deliver(time.Now(), from, append(make([]byte, marker), p.Data...))
		}
		for _, e := range out.Events {
			switch e := e.(type) {
			case ike.Established:
				fmt.Println("authenticated", e.RemoteID)
			case ike.ChildEstablished:
				fmt.Println("tunnel to", e.Child.RemoteTS[0])
				e.Child.Zero()
			case ike.Closed:
				fmt.Println("closed")
			case ike.Failed:
				fmt.Println("failed:", e.Err)
			}
		}
		for _, w := range out.Work {
			carry(m.Resume(time.Now(), w.Do(context.Background())))
		}
	}
	receive := func() {
		for len(inbox) > 0 {
			d := inbox[0]
			inbox = inbox[1:]
			carry(m.Handle(time.Now(), ike.Datagram{From: to, To: from, Data: d[marker:]}))
		}
	}
	carry(m.Start(time.Now()))
	receive()
	carry(m.Delete(time.Now()))
	receive()
	// Output:
	// authenticated gw.example.org
	// tunnel to 10.1.0.0/16
	// closed
}

func ExampleParseIdentity() {
	for _, s := range []string{"carol@example.org", "gw.example.org", "192.0.2.1", "C=CH, O=Example, CN=gw", "%any"} {
		id, err := ike.ParseIdentity(s)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(uint8(id.IDType), id)
	}
	// Output:
	// 3 carol@example.org
	// 2 gw.example.org
	// 1 192.0.2.1
	// 9 C=CH, O=Example, CN=gw
	// 0 %any
}

func ExampleParseTrafficSelector() {
	for _, s := range []string{"10.1.0.0/16", "192.0.2.7[tcp/443]"} {
		ts, err := ike.ParseTrafficSelector(s)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(ts)
	}
	// Output:
	// 10.1.0.0/16
	// 192.0.2.7/32[tcp/443]
}
