package eap_test

import (
	"fmt"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/md5"
)

// A server that asks for a method that is not on offer gets a Nak with those
// that are; then it asks for MD5.
func ExamplePeer() {
	peer := eap.NewPeer(eap.Config{Identity: "carol", Methods: []eap.Offer{md5.Offer([]byte("secret"))}})
	defer peer.Close()
	for _, packet := range [][]byte{
		{1, 1, 0, 5, 1},                     // Request/Identity
		{1, 2, 0, 6, 13, 0x20},              // Request/EAP-TLS, start
		[]byte("\x01\x03\x00\x07\x04\x01x"), // Request/MD5, challenge "x"
		{3, 3, 0, 4},                        // Success
	} {
		request, err := eap.Parse(packet)
		if err != nil {
			fmt.Println(err)
			return
		}
		b, status, err := peer.Handle(packet)
		if err != nil {
			fmt.Println(err)
			return
		}
		if status == eap.StatusSuccess {
			fmt.Println(request, status)
			return
		}
		response, err := eap.Parse(b)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(request, response, status)
	}
	// Output:
	// EAP/REQ/ID EAP/RES/ID continue
	// EAP/REQ/TLS EAP/RES/NAK continue
	// EAP/REQ/MD5 EAP/RES/MD5 continue
	// EAP/SUCC success
}

func ExampleParse() {
	p, err := eap.Parse([]byte("\x01\x07\x00\x0d\x06Password"))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s, identifier %d, %s: %s\n", p, p.ID, p.Type, p.Data)
	_, err = eap.Parse([]byte{1, 7, 0, 13, 6})
	fmt.Println(err)
	// Output:
	// EAP/REQ/GTC, identifier 7, EAP_GTC: Password
	// decode EAP packet at octet 4: message ends too early
}
