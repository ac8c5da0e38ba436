package tlspeer

import (
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/internal/tlskind"
)

// TunnelConfig is what a Tunnel needs.
type TunnelConfig struct {
	Config
	// Inner is the authentication inside the tunnel; its Sequence is implied.
	Inner eap.Config
}

// Tunnel is a Conn with another EAP conversation inside. It belongs to one
// goroutine. Close it.
type Tunnel struct {
	*Conn
	peer *eap.Peer
}

// NewTunnel returns a Tunnel that waits for the server's start packet. Inside
// returns what goes on in it, given the peer of the inner conversation.
func NewTunnel(kind tlskind.Kind, cfg TunnelConfig, inside func(*eap.Peer) Inside) (*Tunnel, error) {
	cfg.Inner.Sequence = true
	if cfg.Inner.Logger == nil {
		cfg.Inner.Logger = cfg.Logger
	}
	peer := eap.NewPeer(cfg.Inner)
	c, err := New(kind, cfg.Config, inside(peer))
	if err != nil {
		return nil, err
	}
	return &Tunnel{Conn: c, peer: peer}, nil
}

// Explain returns the probable cause of a Failure.
func (t *Tunnel) Explain() error {
	if cause := t.Conn.Explain(); cause != nil {
		return cause
	}
	return t.peer.Explain()
}

// Close ends TLS and the method inside, and zeroes keys. It may be called again.
func (t *Tunnel) Close() {
	t.peer.Close()
	t.Conn.Close()
}
