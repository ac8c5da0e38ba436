package tnccs_test

import (
	"fmt"
	"log"

	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/pb"
	"github.com/gotnc/gotnc/tnccs/server"
)

// hello is an IMC that sends one message and answers each with another.
type hello struct {
	id   uint32
	host tnccs.TNCC
}

const (
	vendor  = 0x00902a // a Private Enterprise Number
	subtype = 1
)

func (h *hello) Initialize(id uint32, host tnccs.TNCC) error {
	h.id, h.host = id, host
	return tnccs.ErrorOf(host.ReportMessageTypesLong(id, []uint32{vendor}, []uint32{subtype}))
}

func (h *hello) send(connection uint32, text string) error {
	return tnccs.ErrorOf(h.host.SendMessageLong(h.id, connection, 0, []byte(text), vendor, subtype, tnccs.AnyIMV))
}

func (h *hello) BeginHandshake(connection uint32) error { return h.send(connection, "hello") }

func (h *hello) ReceiveMessage(connection uint32, m tnccs.Message) error {
	fmt.Printf("the IMV asks: %s\n", m.Data)
	return h.send(connection, "fine")
}

func (h *hello) NotifyConnectionChange(connection uint32, state tnccs.ConnectionState) error {
	fmt.Printf("connection %d: %s\n", connection, state)
	return nil
}

func (h *hello) BatchEnding(uint32) error { return nil }
func (h *hello) Terminate() error         { return nil }

// greeter is an IMV that accepts a client that is fine.
type greeter struct{ said string }

func (g *greeter) Begin()          { g.said = "" }
func (g *greeter) Receive(m pb.PA) { g.said = string(m.Body) }

func (g *greeter) BatchEnding() []pb.PA {
	if g.said != "hello" {
		return nil
	}
	return []pb.PA{{Vendor: vendor, Subtype: subtype, Collector: pb.AnyID, Validator: 1, Body: []byte("how are you?")}}
}

func (g *greeter) Result() (server.Result, bool) {
	return server.Result{Assessment: pb.Compliant, Access: pb.AccessAllowed}, g.said == "fine"
}

// A TNC client with one IMC talks to a TNC server; the batches that a transport
// would carry are passed by function calls.
func Example() {
	client, err := tnccs.NewClient(tnccs.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	if err := client.Add("Hello", &hello{}); err != nil {
		log.Fatal(err)
	}
	session := client.NewSession()
	defer session.Close()
	peer := server.New(server.Config{}, &greeter{})
	batch, err := session.Begin(0, tnccs.TransportEAP, "1.1")
	for err == nil && len(batch) > 0 {
		var answer []byte
		if answer, err = peer.Receive(batch); err == nil && len(answer) > 0 {
			batch, err = session.Receive(answer)
		} else {
			batch = nil
		}
	}
	if err != nil {
		log.Fatal(err)
	}
	o := session.Outcome()
	fmt.Printf("recommendation: %s, assessment: %s, %d messages sent\n", o.Recommendation, o.Assessment, o.MessagesSent)
	// Output:
	// connection 1: Create
	// connection 1: Handshake
	// the IMV asks: how are you?
	// connection 1: Allowed
	// recommendation: allow, assessment: compliant, 2 messages sent
	// connection 1: Delete
}
