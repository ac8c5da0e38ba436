package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
)

// Service tells systemd of one connection that stays.
type Service struct {
	notifier *Notifier
	journal  string // socket
	ready    bool
}

// New returns a Service that writes to the journal behind that socket.
func New(journal string) *Service { return &Service{notifier: NewNotifier(), journal: journal} }

// extend is how long systemd waits for a service that starts, beyond what it was told
// before: longer than the pause between two tries and a try.
const extend = 10 * time.Minute

var extendTimeout = fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d", extend.Microseconds())

// Happened tells of an event. It is called for one at a time.
func (s *Service) Happened(e client.Event) error {
	tell := []string{"STATUS=" + report.EventLine(e)}
	switch {
	case e.Kind == client.EventEnded:
		tell = append(tell, "STOPPING=1")
	case !s.ready && (e.Kind == client.EventUp || e.Kind == client.EventTrapped):
		s.ready = true
		tell = append(tell, "READY=1")
	case !s.ready: // a gateway that is not there yet is no reason to end the service
		tell = append(tell, extendTimeout)
	}
	return errors.Join(s.notifier.Tell(tell...), WriteJournal(s.journal, e))
}

// Run tells that the service starts, and feeds its watchdog until ctx is done.
func (s *Service) Run(ctx context.Context, alive func()) {
	_ = s.notifier.Tell("STATUS=connecting", extendTimeout)
	s.notifier.Watch(ctx, alive)
}
