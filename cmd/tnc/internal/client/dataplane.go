package client

import (
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/tun"
	"github.com/gotnc/gotnc/ike/dataplane/xfrm"
	"github.com/gotnc/gotnc/internal/base/log"
)

// backends are the data planes of this program. TUN comes first: it works the
// same on every kernel, and it is the one that the tests send traffic through.
func backends() []dataplane.Backend {
	return []dataplane.Backend{tun.Backend(), xfrm.Backend()}
}

// deviceName is that of the TUN devices.
const deviceName = "tnc%d"

// PlaneError is why a data plane cannot be used.
type PlaneError struct{ Err error }

func (e *PlaneError) Error() string { return e.Err.Error() }
func (e *PlaneError) Unwrap() error { return e.Err }

// choosePlane decides who carries the packets, before anything is sent: what
// cannot work is an error at once.
func (c *Client) choosePlane() (dataplane.Plane, error) {
	cfg := c.planeConfig()
	cfg.Kind = dataplane.None
	if c.cfg.Dataplane != "" {
		var err error
		if cfg.Kind, err = dataplane.ParseKind(c.cfg.Dataplane); err != nil {
			return nil, err
		}
	}
	plane, err := dataplane.Open(cfg, backends()...)
	if err != nil {
		return nil, &PlaneError{err}
	}
	return plane, nil
}

// planeConfig returns what the files say about the data plane.
func (c *Client) planeConfig() dataplane.Config {
	charon, conn := c.profile.Charon, c.profile.Connection
	cfg := dataplane.Config{
		Logger: c.logger, Name: conn.Name, Acquire: c.trap.acquire, Device: deviceName,
		NoRoutes: !charon.InstallRoutes, NoAddresses: !charon.InstallVirtualIP, Table: charon.RoutingTable, Priority: charon.RoutingTablePrio,
		Child:    dataplane.ChildConfig{IfIDIn: conn.IfIDIn, IfIDOut: conn.IfIDOut},
		Children: map[string]dataplane.ChildConfig{},
	}
	for _, ch := range conn.Children {
		x := cfg.Child
		x.ReplayWindow, x.NoReplayWindow = ch.ReplayWindow, ch.ReplayWindow == 0
		x.MarkIn, x.MarkOut = dataplane.Mark(ch.MarkIn), dataplane.Mark(ch.MarkOut)
		x.Outer = dataplane.OuterHeader{NoDF: !ch.CopyDF, NoECN: !ch.CopyECN, DSCP: dscpCopies[ch.CopyDSCP]}
		if ch.IfIDIn != 0 {
			x.IfIDIn = ch.IfIDIn
		}
		if ch.IfIDOut != 0 {
			x.IfIDOut = ch.IfIDOut
		}
		cfg.Children[ch.Name] = x
	}
	return cfg
}

// dscpCopies are the values of copy_dscp.
var dscpCopies = map[string]dataplane.DSCPCopy{"out": dataplane.DSCPOut, "in": dataplane.DSCPIn, "yes": dataplane.DSCPBoth, "no": dataplane.DSCPNone}

// warnPlane logs an error of the data plane that does not end the connection.
func (c *Client) warnPlane(err error) {
	if err != nil {
		log.Warnf(log.Group(c.logger, log.KNL), "%v", err)
	}
}
