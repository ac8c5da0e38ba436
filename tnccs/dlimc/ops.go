package dlimc

import (
	"fmt"

	"github.com/gotnc/gotnc/internal/base/imclink"
)

// op is an operation, answer what the other end answers.
type (
	op     = imclink.Op
	answer = imclink.Answer
)

// Operations, parent to child.
const (
	opLoad op = iota + 1
	opInitialize
	opNotify
	opBegin
	opReceive
	opEnding
	opTerminate
)

// Operations, child to parent.
const (
	opReportTypes op = iota + 64
	opReportTypesLong
	opRetry
	opSend
	opSendLong
	opGetAttribute
	opSetAttribute
	opReserve
)

var opNames = map[op]string{
	opLoad:       "dlopen",
	opInitialize: "TNC_IMC_Initialize",
	opNotify:     "TNC_IMC_NotifyConnectionChange",
	opBegin:      "TNC_IMC_BeginHandshake",
	opReceive:    "TNC_IMC_ReceiveMessage",
	opEnding:     "TNC_IMC_BatchEnding",
	opTerminate:  "TNC_IMC_Terminate",
}

// opName names an operation for people.
func opName(o op) string {
	if n, ok := opNames[o]; ok {
		return n
	}
	return fmt.Sprintf("operation %d", uint8(o))
}
