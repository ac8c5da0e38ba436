package ike

import (
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
)

// How long ESP may stay unanswered, behind a NAT, until something is done about it.
const (
	// silenceAfter is since the first packet without an answer.
	silenceAfter = 15 * time.Second
	// silencePause is between one remedy and the next, and doubles after each round.
	silencePause = 10 * time.Second
	maxSilence   = 30 * time.Minute
)

// espSilence notices that the gateway's ESP has stopped while IKE goes on: our NAT
// gave us another mapping, and the gateway sends ESP to the one that is gone. An
// answer to DPD shows that only where the gateway puts NAT detection into it (RFC 4555
// section 3.8); libreswan does not. So the gateway is told of our addresses again, and
// where that changes nothing new CHILD_SAs are made, which go to where IKE comes from
// (RFC 7296 section 2.23). Traffic that nobody answers does the same, at pauses that
// become longer.
type espSilence struct {
	*core
	mobile   *mobility
	children *childSet

	heard   time.Time // the last packet that authenticated; zero = none ever
	sent    time.Time // the last one sent
	since   time.Time // the first one sent after heard; zero = none
	next    time.Time // of the next remedy; zero = none is due
	pause   time.Duration
	updated bool // the gateway was told in this round
}

// received notes an ESP packet of the gateway.
func (s *espSilence) received(at time.Time) {
	if at.After(s.heard) {
		s.heard = at
		s.since, s.next, s.pause, s.updated = time.Time{}, time.Time{}, 0, false
	}
}

// sends notes an ESP packet to the gateway.
func (s *espSilence) sends(at time.Time) {
	if !at.After(s.heard) || !at.After(s.sent) {
		return
	}
	s.sent = at
	if s.since.IsZero() {
		s.since, s.next, s.pause = at, at.Add(silenceAfter), silencePause
	}
}

// deadline returns when tick has something to do; zero = never.
func (s *espSilence) deadline() time.Time {
	if s.state != stateEstablished || !s.path.translated || s.heard.IsZero() || !s.sent.After(s.since) {
		return time.Time{}
	}
	return s.next
}

// tick does what is due.
func (s *espSilence) tick() {
	if !due(s.deadline(), s.now) {
		return
	}
	quiet := int(s.now.Sub(s.heard).Seconds())
	s.next = s.now.Add(s.pause)
	if s.mobile.enabled && !s.updated {
		s.updated = true
		log.Infof(s.ike, "no ESP packet from the gateway for %ds while it answers IKE, telling it our addresses again", quiet)
		s.mobile.update, s.mobile.tries = true, 0
		return
	}
	log.Infof(s.ike, "no ESP packet from the gateway for %ds while it answers IKE, making new CHILD_SAs", quiet)
	for _, c := range s.children.list {
		if c.rekeyable() && !c.rekeying && !c.closing {
			c.rekeyAt = s.now
		}
	}
	s.updated, s.pause = false, min(max(2*s.pause, time.Minute), maxSilence)
	s.next = s.now.Add(s.pause)
}
