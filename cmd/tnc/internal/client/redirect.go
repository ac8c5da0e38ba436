package client

import (
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike"
)

// redirects is where REDIRECTs of gateways sent this end (RFC 5685).
type redirects struct {
	times   []time.Time // of those in the last RedirectPeriodSeconds
	gateway string      // name or address; "" = as configured
	from    netip.Addr  // who sent us there
}

// follow records a REDIRECT and enforces the limit of RFC 5685 section 4.
func (r *redirects) follow(e *ike.RedirectError, now time.Time) error {
	r.times = slices.DeleteFunc(r.times, func(t time.Time) bool {
		return now.Sub(t) > ike.RedirectPeriodSeconds*time.Second
	})
	if len(r.times) >= ike.MaxRedirects {
		return fmt.Errorf("%w: that is the %dth redirect within %d s, the gateways send us in circles", e, ike.MaxRedirects+1, ike.RedirectPeriodSeconds)
	}
	r.times = append(r.times, now)
	r.gateway, r.from = e.To, e.From
	return nil
}

// forget makes the configured gateway count again. Anybody on the way can
// redirect (RFC 5685 section 3): where it led nowhere, and for the next
// connection anyway.
func (r *redirects) forget() { r.gateway, r.from = "", netip.Addr{} }
