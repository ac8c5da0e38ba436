package ike

import (
	"time"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

// purpose says what an exchange of the established IKE_SA is for.
type purpose uint8

const (
	doNothing     purpose = iota // IKE_AUTH, error notifies
	doDPD                        // is the peer there?
	doDelete                     // DELETE of the IKE_SA
	doRekeyIKE                   // CREATE_CHILD_SA for a new IKE_SA
	doChild                      // CREATE_CHILD_SA for a new or rekeyed CHILD_SA
	doDeleteChild                // DELETE of a CHILD_SA
	doUpdate                     // MOBIKE UPDATE_SA_ADDRESSES
)

// request is an exchange that we start, before it has a message ID.
type request struct {
	exchange message.ExchangeType
	payloads []message.Payload
	what     purpose
	job      *createJob  // of doRekeyIKE and doChild
	child    *childState // of doDeleteChild
	cookie2  []byte      // of doUpdate
}

// exchange is a request that is out.
type exchange struct {
	request
	id      uint32
	packets [][]byte
	sent    int // transmissions
	due     time.Time
	asm     crypto.Reassembler // of the response
}
