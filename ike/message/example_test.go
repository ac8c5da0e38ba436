package message_test

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc"
	"github.com/gotnc/gotnc/ike/message"
)

// A message is a header and a list of payloads; Parse reads what AppendBinary
// writes.
func Example() {
	m := message.Message{
		Header: message.Header{SPIi: 0x1122334455667788, Exchange: message.IKESAInit, Flags: message.FlagInitiator},
		Payloads: []message.Payload{
			&message.Nonce{Data: make([]byte, 32)},
			&message.Notify{NotifyType: message.FragmentationSupported},
		},
	}
	b, err := m.AppendBinary(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	got, err := message.Parse(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(got.Summary())
	if nonce, ok := message.First[*message.Nonce](got.Payloads); ok {
		fmt.Println(len(nonce.Data), "octets of nonce")
	}
	_, err = message.Parse(b[:len(b)-1])
	var bad *gotnc.DecodeError
	fmt.Println(errors.As(err, &bad))
	// Output:
	// IKE_SA_INIT request 0 [ No N(FRAG_SUP) ]
	// 32 octets of nonce
	// true
}
