package demo

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/memory"
	"github.com/gotnc/gotnc/ike/esp"
)

// echoPlane is the demo's data plane: it sends one ping through the first
// CHILD_SA, without a device.
type echoPlane struct {
	*memory.Plane
	to, or netip.Addr // the first one that the CHILD_SA reaches

	id     uint16
	target netip.Addr
	got    chan int // the size of the answer
	once   sync.Once

	answered bool
	size     int
	rtt      time.Duration
}

const (
	echoTries = 5
	echoWait  = 300 * time.Millisecond
	echoSize  = 64
)

func newEchoPlane(to, or netip.Addr) (*echoPlane, error) {
	var id [2]byte
	if _, err := rand.Read(id[:]); err != nil {
		return nil, err
	}
	p := &echoPlane{to: to, or: or, id: binary.BigEndian.Uint16(id[:]), got: make(chan int, 1)}
	p.Plane = memory.New(dataplane.Config{}, p.receive)
	return p, nil
}

// rows says what answered, where something did.
func (p *echoPlane) rows() [][2]string {
	if !p.answered {
		return nil
	}
	return [][2]string{{"ESP echo", fmt.Sprintf("%s answered %d octets through the CHILD_SA in %v", p.target, p.size, p.rtt.Round(time.Microsecond))}}
}

func (p *echoPlane) receive(packet []byte) {
	if r, err := esp.ParseEcho(packet); err == nil && r.Reply && r.ID == p.id && r.Src == p.target {
		p.once.Do(func() { p.got <- len(packet) })
	}
}

// Install waits for the answer to a ping: its lack is an error.
func (p *echoPlane) Install(child *ike.ChildSA, standby bool) error {
	if len(child.LocalTS) == 0 {
		child.Zero()
		return errors.New("CHILD_SA " + child.Name + " has no local address")
	}
	reached := func(ts ike.TrafficSelector) bool { return ts.ContainsAddr(p.to) }
	if p.target = p.or; slices.ContainsFunc(child.RemoteTS, reached) {
		p.target = p.to
	}
	if err := p.Plane.Install(child, standby); err != nil {
		return err
	}
	if p.answered {
		return nil
	}
	echo := esp.Echo{Src: child.LocalTS[0].Start, Dst: p.target, ID: p.id, Data: make([]byte, echoSize)}
	begin := time.Now()
	for seq := range uint16(echoTries) {
		echo.Seq = seq + 1
		packet, err := echo.Append(nil)
		if err != nil {
			return err
		}
		if err := p.Send(packet); err != nil {
			return err
		}
		select {
		case p.size = <-p.got:
			p.answered, p.rtt = true, time.Since(begin)
			return nil
		case <-time.After(echoWait):
		}
	}
	return fmt.Errorf("no answer from %s through the CHILD_SA: the gateway's data plane does not work", p.target)
}
