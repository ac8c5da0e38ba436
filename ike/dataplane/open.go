package dataplane

import (
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/internal/base/log"
)

// Backend is an implementation that Open can choose: tun.Backend(),
// xfrm.Backend().
type Backend struct {
	Kind Kind
	// Works says why it can be used, for the log: "TUN devices work here".
	Works string
	// Probe reports why it cannot be used on this machine; nil where it can.
	Probe func() error
	// New makes a Plane.
	New func(Config) Plane
	// RemoveLeftovers removes what a killed process left.
	RemoveLeftovers func(Leftovers) error
}

// Open makes the plane that cfg.Kind names, or with Auto the first of backends
// that works on this machine, and logs which and why. None needs no backend.
func Open(cfg Config, backends ...Backend) (Plane, error) {
	if cfg.Kind == None {
		logChoice(cfg, None, "as asked, no traffic is carried")
		return nonePlane{}, nil
	}
	b, reason, err := choose(cfg.Kind, backends)
	if err != nil {
		return nil, err
	}
	logChoice(cfg, b.Kind, reason)
	return b.New(cfg), nil
}

func logChoice(cfg Config, kind Kind, reason string) {
	log.Infof(log.Group(cfg.Logger, log.KNL), "using data plane %s: %s", kind, reason)
}

// choose returns the backend to use, and why.
func choose(want Kind, backends []Backend) (Backend, string, error) {
	if want != Auto && want != "" {
		for _, b := range backends {
			if b.Kind != want {
				continue
			}
			if err := b.Probe(); err != nil {
				return Backend{}, "", fmt.Errorf("use data plane %s: %w", want, err)
			}
			return b, "as asked", nil
		}
		return Backend{}, "", fmt.Errorf("use data plane %s: it is not part of this program", want)
	}
	failed := &NoneWorksError{}
	for _, b := range backends {
		err := b.Probe()
		if err != nil {
			failed.Kinds, failed.Errs = append(failed.Kinds, b.Kind), append(failed.Errs, err)
			continue
		}
		reason := b.Works
		for i, kind := range failed.Kinds {
			reason += fmt.Sprintf(", and %s does not work: %v", kind, failed.Errs[i])
		}
		return b, reason, nil
	}
	return Backend{}, "", failed
}

// NoneWorksError is why none of the planes that Open was given works.
type NoneWorksError struct {
	Kinds []Kind
	Errs  []error // of Probe, of each Kind
}

func (e *NoneWorksError) Error() string {
	var b strings.Builder
	b.WriteString("no data plane works here")
	for i, kind := range e.Kinds {
		fmt.Fprintf(&b, "; %s: %v", kind, e.Errs[i])
	}
	return b.String()
}

func (e *NoneWorksError) Unwrap() []error { return e.Errs }
