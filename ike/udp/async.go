package udp

import (
	"bytes"
	gocrypto "crypto"
	"errors"
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap"
)

// async runs the EAP methods and verifiers of an IKE_SA in goroutines. Only
// one runs at a time: IKE_AUTH is lock-step.
type async struct {
	eap  chan eapAnswer
	keys chan keysAnswer
	busy bool // used by the loop only
}

type eapAnswer struct {
	response []byte
	status   ike.EAPStatus
	err      error
}

type keysAnswer struct {
	keys []gocrypto.PublicKey
	err  error
}

// wrap puts itself before every EAP method and verifier of cfg.
func (a *async) wrap(cfg *ike.Config) {
	cfg.LocalRounds, cfg.RemoteRounds = slices.Clone(cfg.LocalRounds), slices.Clone(cfg.RemoteRounds)
	for i := range cfg.LocalRounds {
		if r := &cfg.LocalRounds[i]; r.EAP != nil {
			r.EAP = asyncEAP{r.EAP, a}
		}
	}
	for i := range cfg.RemoteRounds {
		if r := &cfg.RemoteRounds[i]; r.Verifier != nil {
			r.Verifier = asyncVerifier{r.Verifier, a}
		}
	}
}

// wait gives an answer that is being made some time, so that the caller can
// close the method without a race.
func (a *async) wait(limit time.Duration) {
	if !a.busy {
		return
	}
	t := time.NewTimer(limit)
	defer t.Stop()
	select {
	case <-a.eap:
	case <-a.keys:
	case <-t.C:
	}
}

// asyncEAP answers EAPPending at once; the real answer follows.
type asyncEAP struct {
	inner ike.EAP
	*async
}

func (a asyncEAP) Handle(request []byte) ([]byte, ike.EAPStatus, error) {
	if a.busy {
		return nil, ike.EAPFailure, errors.New("handle EAP packet: the one before is not answered yet")
	}
	a.busy = true
	request = bytes.Clone(request)
	go func() {
		response, status, err := a.inner.Handle(request)
		a.eap <- eapAnswer{response, status, err}
	}()
	return nil, ike.EAPPending, nil
}

func (a asyncEAP) MSK() []byte { return a.inner.MSK() }

// SetFragmentSize passes on what the IKE_SA can carry. It comes with the answer
// to IKE_SA_INIT, before the first Handle.
func (a asyncEAP) SetFragmentSize(octets int) {
	if s, ok := a.inner.(eap.Sizer); ok {
		s.SetFragmentSize(octets)
	}
}

// asyncVerifier answers ErrVerifyPending at once; the real answer follows.
type asyncVerifier struct {
	inner ike.Verifier
	*async
}

func (a asyncVerifier) Verify(p ike.PeerCertificates) ([]gocrypto.PublicKey, error) {
	a.busy = true
	go func() {
		keys, err := a.inner.Verify(p)
		a.keys <- keysAnswer{keys, err}
	}()
	return nil, ike.ErrVerifyPending
}
