package dataplane

import "github.com/gotnc/gotnc/ike"

// Carry returns the function for transport.Connect that gives a plane the socket of a
// connection, before the first event, and every event after that (Handle). fail
// gets each error, one at a time; it may end the connection.
func Carry[S Socket](p Plane, fail func(error)) func(S, ike.Event) {
	attached := false
	return func(sock S, e ike.Event) {
		if !attached {
			attached = true
			if err := p.Attach(sock); err != nil {
				fail(err)
			}
		}
		if err := Handle(p, e); err != nil {
			fail(err)
		}
	}
}
