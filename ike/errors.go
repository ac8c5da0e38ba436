package ike

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

// Reasons why an IKE_SA fails or ends; Failed.Err and what ike/transport returns
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
	// ErrSignature: our private key did not sign.
	ErrSignature = errors.New("our private key did not sign")
	// ErrEAP: the EAP conversation failed.
	ErrEAP = errors.New("EAP authentication failed")
	// ErrProtocol: the gateway broke the protocol.
	ErrProtocol = errors.New("the gateway broke the protocol")
	// ErrRefused: the gateway answered with an error notify.
	ErrRefused = errors.New("the gateway refused the exchange")
	// ErrTimeout: Timers.EstablishTimeout is over.
	ErrTimeout = errors.New("the connection was not established in time")
	// ErrExpired: the IKE_SA came to the end of its lifetime and was not rekeyed.
	ErrExpired = errors.New("the IKE_SA reached the end of its lifetime")
	// ErrPeerDeleted: the gateway deleted the IKE_SA.
	ErrPeerDeleted = errors.New("the gateway closed the connection")
	// ErrMoved: our address changed before the IKE_SA was established.
	ErrMoved = errors.New("our address changed")
	// ErrChild: the CHILD_SA could not be set up; the IKE_SA stays.
	ErrChild = errors.New("no CHILD_SA")
)

// Details of ErrGatewayAuth and ErrRefused that tell two configurations apart
// which do not fit.
var (
	// ErrNoSignature: the gateway sent no AUTH where it has to sign.
	ErrNoSignature = errors.New("it sent no signature")
	// ErrNoEAPRequest: the gateway does not ask for EAP, which is how we
	// authenticate.
	ErrNoEAPRequest = errors.New("it asks for no EAP authentication")
	// ErrUnproved: the gateway asks for an EAP method that gives a hash of the
	// password, or the password, away, and has not proved who it is.
	ErrUnproved = errors.New("it has not proved who it is")
	// ErrPPK: the gateway does without the PPK that is required.
	ErrPPK = errors.New("it does not use the PPK, which is required")
	// ErrNoVirtualIP: the gateway assigned none, though one was asked for, and
	// allows no CHILD_SA without one.
	ErrNoVirtualIP = errors.New("the gateway assigned no virtual IP")
)

// ConfigError is a field of Config that New does not accept.
type ConfigError struct {
	Field   string // "RemoteRounds.PSK"
	Problem string
}

func (e *ConfigError) Error() string { return "ike: " + e.Problem }

// IdentityError is a gateway that shows another identity than expected. It is an
// ErrGatewayAuth.
type IdentityError struct {
	Shown, Want Identity
}

func (e *IdentityError) Error() string {
	return fmt.Sprintf("%v: it says it is '%s', expected '%s'", ErrGatewayAuth, e.Shown, e.Want)
}

func (e *IdentityError) Unwrap() error { return ErrGatewayAuth }

// RoundsError is a gateway that authenticates in fewer rounds than configured. It
// is an ErrGatewayAuth.
type RoundsError struct {
	Done, Want int
}

func (e *RoundsError) Error() string {
	return fmt.Sprintf("%v: it authenticated in %d of %d rounds", ErrGatewayAuth, e.Done, e.Want)
}

func (e *RoundsError) Unwrap() error { return ErrGatewayAuth }

// LocalMethod is how we authenticate in a round.
type LocalMethod int

// Ways of our authentication.
const (
	LocalSignature LocalMethod = iota
	LocalPSK
	LocalEAP
)

// method returns how the round authenticates us.
func (l *LocalRound) method() LocalMethod {
	switch {
	case l.EAP != nil:
		return LocalEAP
	case len(l.PSK) > 0:
		return LocalPSK
	}
	return LocalSignature
}

// AuthRefusedError is a gateway that answers our authentication with
// AUTHENTICATION_FAILED. It is an ErrAuthFailed.
type AuthRefusedError struct {
	Method LocalMethod
}

func (e *AuthRefusedError) Error() string {
	return fmt.Sprintf("%v (%s)", ErrAuthFailed, message.AuthenticationFailed)
}

func (e *AuthRefusedError) Unwrap() error { return ErrAuthFailed }

// NoAnswerError is a gateway that does not answer. It is an ErrNoAnswer.
type NoAnswerError struct {
	Gateway         netip.AddrPort
	Exchange        message.ExchangeType // that was not answered
	Retransmissions int
	Dropped         string // why its last packet was not usable; "" = there was none
}

func (e *NoAnswerError) Error() string {
	times := "retransmissions"
	if e.Retransmissions == 1 {
		times = "retransmission"
	}
	s := fmt.Sprintf("%v %s after %d %s", ErrNoAnswer, endpoint(e.Gateway), e.Retransmissions, times)
	if e.Dropped != "" {
		s += "; its last packet was not usable: " + e.Dropped
	}
	return s
}

func (e *NoAnswerError) Unwrap() error { return ErrNoAnswer }

// ChildError is the error notify with which the gateway refuses a CHILD_SA.
type ChildError struct {
	Notify        message.NotifyType
	Local, Remote []TrafficSelector  // that were asked for
	Proposals     []message.Proposal // that were offered
}

func (e *ChildError) Error() string {
	switch e.Notify {
	case message.TSUnacceptable:
		return fmt.Sprintf("the gateway refused the traffic selectors %s === %s (%s)", selectors(e.Local), selectors(e.Remote), e.Notify)
	case message.NoProposalChosen:
		return fmt.Sprintf("the gateway accepts none of %s (%s)", crypto.ProposalString(e.Proposals...), e.Notify)
	case message.InternalAddressFailure:
		return fmt.Sprintf("the gateway has no virtual IP for us (%s)", e.Notify)
	case message.FailedCPRequired:
		return fmt.Sprintf("the gateway requires a virtual IP (%s)", e.Notify)
	}
	return fmt.Sprintf("the gateway refused it: %s", e.Notify)
}

// refused returns the notify that refuses what j asks for.
func (j *createJob) refused(t message.NotifyType) error {
	return &ChildError{Notify: t, Local: j.local, Remote: j.remote, Proposals: j.proposals}
}
