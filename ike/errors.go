package ike

import "errors"

// Reasons why an IKE_SA fails or ends; Failed.Err and what ike/udp returns
// wrap one of them.
var (
	// ErrNoAnswer: the gateway does not answer (any more).
	ErrNoAnswer = errors.New("no answer from the gateway")
	// ErrProposal: the gateway accepts none of our proposals.
	ErrProposal = errors.New("no proposal chosen")
	// ErrAuthFailed: the gateway refused us.
	ErrAuthFailed = errors.New("the gateway refused our authentication")
	// ErrGatewayAuth: the gateway did not prove who it is.
	ErrGatewayAuth = errors.New("the gateway could not be authenticated")
	// ErrEAP: the EAP conversation failed.
	ErrEAP = errors.New("EAP authentication failed")
	// ErrProtocol: the gateway broke the protocol.
	ErrProtocol = errors.New("the gateway broke the protocol")
	// ErrRefused: the gateway answered with an error notify.
	ErrRefused = errors.New("the gateway refused the exchange")
	// ErrTimeout: Timers.EstablishTimeout is over.
	ErrTimeout = errors.New("the connection was not established in time")
	// ErrPeerDeleted: the gateway deleted the IKE_SA.
	ErrPeerDeleted = errors.New("the gateway closed the connection")
	// ErrMoved: our address changed before the IKE_SA was established.
	ErrMoved = errors.New("our address changed")
	// ErrRetransmission: a value of Config.Retransmission is out of range.
	ErrRetransmission = errors.New("ike: retransmission schedule out of range")
	// ErrChild: the CHILD_SA could not be set up; the IKE_SA stays.
	ErrChild = errors.New("no CHILD_SA")
)
