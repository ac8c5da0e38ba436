// Package tlspeer is what the peers of the EAP methods on TLS share (EAP-TLS,
// EAP-TTLS, PEAP): the verification of the server, and a TLS connection that is
// framed in EAP packets and stepped flight by flight. What goes on inside the
// tunnel is the method's.
package tlspeer

import (
	"log/slog"

	"github.com/gotnc/gotnc/ike/eap"
)

// Config is what a Conn needs.
type Config struct {
	TLS eap.TLSConfig
	// FragmentSize is the largest EAP packet that is sent, in octets; 0 is
	// tlskind.FragmentSize.
	FragmentSize int
	// Length sends the Message Length also in packets that are not fragmented.
	Length bool
	// MaxMessages limits the packets of the method that the server may send,
	// the start packet and acknowledgements included; 0 is no limit.
	MaxMessages int
	// Logger gets strongSwan's lines; nil discards.
	Logger *slog.Logger
}
