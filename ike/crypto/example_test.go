package crypto_test

import (
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

// Proposals are written as in swanctl.conf. A responder selects one of them.
func ExampleParseProposals() {
	ours, err := crypto.ParseProposals(message.ProtocolIKE, []string{"aes256gcm16-prfsha384-x25519", "aes128-sha256-modp2048"})
	if err != nil {
		fmt.Println(err)
		return
	}
	theirs, err := crypto.ParseProposals(message.ProtocolIKE, []string{"aes128-aes256-sha256-modp2048"})
	if err != nil {
		fmt.Println(err)
		return
	}
	suite, _, err := crypto.Select(ours, crypto.SAPayload(theirs, nil))
	fmt.Println(suite, err)
	// Output:
	// IKE:AES_CBC_128/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048 <nil>
}
