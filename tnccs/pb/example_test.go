package pb_test

import (
	"errors"
	"fmt"
	"log"

	"github.com/gotnc/gotnc"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// A batch with one PA-TNC message, from its sender to its receiver.
func Example() {
	b := pb.NewBuilder(pb.CDATA, pb.Client, pb.DefaultMaxBatchEAP)
	fits, err := b.Add(pb.PA{Vendor: pb.VendorTCG, Subtype: 1, Collector: 1, Validator: pb.AnyID, Body: []byte("evidence")})
	if err != nil || !fits {
		log.Fatal(fits, err)
	}
	batch := b.Bytes()

	h, err := pb.ParseHeader(batch, pb.Server)
	if err != nil {
		log.Fatal(err)
	}
	next, verdict := pb.Init.Next(pb.Client, h.Type)
	if verdict != pb.Accept {
		log.Fatalf("%s batch in state %s", h.Type, pb.Init)
	}
	messages, err := pb.ParseMessages(h, batch)
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range messages {
		fmt.Printf("%s: %s\n", m.MessageType(), m.(pb.PA).Body)
	}
	fmt.Println("state:", next)
	// Output:
	// IETF/PB-PA: evidence
	// state: Server Working
}

// A whole batch as one value, and the error of one that breaks the protocol.
func ExampleParse() {
	batch, err := pb.Batch{FromServer: true, Type: pb.RESULT, Messages: []pb.Message{
		pb.AssessmentResult{Result: pb.MinorFailure},
		pb.AccessRecommendation{Code: pb.Quarantined},
		pb.ReasonString{Text: "the firewall is off", Language: "en"},
	}}.AppendBinary(nil)
	if err != nil {
		log.Fatal(err)
	}
	x, err := pb.Parse(batch, pb.Client)
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range x.Messages {
		fmt.Printf("%+v\n", m)
	}

	batch[51] = 200 // the length of the reason string
	_, err = pb.Parse(batch, pb.Client)
	var pe *pb.ProtocolError
	fmt.Println(errors.As(err, &pe), pe.Code, pe.Offset, errors.Is(err, gotnc.ErrTruncated))
	// Output:
	// {Result:non-compliant minor}
	// {Code:Quarantined}
	// {Text:the firewall is off Language:en}
	// true Invalid Parameter 48 true
}
