package tlspeer

import "github.com/gotnc/gotnc/ike/eap"

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
// makes what speaks in it, with the peer of the inner conversation.
func NewTunnel(kind Kind, cfg TunnelConfig, inside func(*eap.Peer) Inside) (*Tunnel, error) {
	cfg.Inner.Sequence = true
	if cfg.Inner.Log == nil {
		cfg.Inner.Log = cfg.Log
	}
	peer := eap.NewPeer(cfg.Inner)
	c, err := New(kind, cfg.Config, inside(peer))
	if err != nil {
		return nil, err
	}
	return &Tunnel{Conn: c, peer: peer}, nil
}

// Explain names the likely cause of a Failure.
func (t *Tunnel) Explain() string {
	if s := t.Conn.Explain(); s != "" {
		return s
	}
	return t.peer.Explain()
}

// Close ends TLS and the method inside, and zeroes keys. It may be called again.
func (t *Tunnel) Close() {
	t.peer.Close()
	t.Conn.Close()
}
