package demo

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/udp"
)

// echoPlane is the demo's data plane: it sends one ping through the CHILD_SA,
// ESP in user space, without a device.
type echoPlane struct {
	client.NoPlane
	to, or netip.Addr // the first one that the CHILD_SA reaches

	sa       *esp.SA
	target   netip.Addr
	answered bool
	size     int
	rtt      time.Duration
}

// NeedsUDP is true: the packets go through the socket of IKE.
func (p *echoPlane) NeedsUDP() bool { return true }

// rows says what answered, where something did.
func (p *echoPlane) rows() [][2]string {
	if !p.answered {
		return nil
	}
	return [][2]string{{"ESP echo", fmt.Sprintf("%s answered %d octets through the CHILD_SA in %v", p.target, p.size, p.rtt.Round(time.Microsecond))}}
}

const (
	echoTries = 5
	echoWait  = 300 * time.Millisecond
	echoSize  = 64
)

func (p *echoPlane) Start(child *ike.ChildSA, sock *udp.Conn) error {
	c, err := client.SA(child)
	if err != nil {
		return err
	}
	if p.sa, err = esp.NewSA(c); err != nil {
		return err
	}
	if len(c.LocalTS) == 0 {
		return fmt.Errorf("CHILD_SA %s has no address of ours", child.Name)
	}
	p.target = p.to
	if !reaches(c.RemoteTS, p.to) {
		p.target = p.or
	}
	var id [2]byte
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	echo := esp.Echo{Src: c.LocalTS[0].From, Dst: p.target, ID: binary.BigEndian.Uint16(id[:]), Data: make([]byte, echoSize)}
	var once sync.Once
	got := make(chan int, 1)
	sock.OnESP(func(packets ...[]byte) {
		for _, packet := range packets {
			inner, err := p.sa.Open(packet)
			if err != nil {
				continue
			}
			if r, err := esp.ParseEcho(inner); err == nil && r.Reply && r.ID == echo.ID && r.Src == p.target {
				once.Do(func() { got <- len(inner) })
			}
		}
	})
	begin := time.Now()
	for seq := range uint16(echoTries) {
		echo.Seq = seq + 1
		packet, err := echo.Append(nil)
		if err != nil {
			return err
		}
		sealed, err := p.sa.Seal(nil, packet)
		if err != nil {
			return err
		}
		if err := sock.SendESP(sealed); err != nil {
			return fmt.Errorf("send ESP packet: %w", err)
		}
		select {
		case p.size = <-got:
			p.answered, p.rtt = true, time.Since(begin)
			return nil
		case <-time.After(echoWait):
		}
	}
	return fmt.Errorf("no answer from %s through the CHILD_SA: the gateway's data plane does not work", p.target)
}

func (p *echoPlane) Close() error {
	if p.sa != nil {
		p.sa.Close()
	}
	return nil
}

func reaches(ts []esp.Selector, a netip.Addr) bool {
	for _, t := range ts {
		if t.Contains(a) {
			return true
		}
	}
	return false
}
