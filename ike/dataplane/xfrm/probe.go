package xfrm

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/message"
)

// ErrNoESP: the kernel cannot carry ESP.
var ErrNoESP = errors.New("the kernel has no ESP")

// execute sends a request to the kernel and reads its answer.
func execute(r request) error {
	q := nl.NewNetlinkRequest(int(r.kind), int(r.flags))
	q.AddRawData(r.body)
	_, err := q.Execute(unix.NETLINK_XFRM, 0)
	return err
}

// The state of Probe: "tnc" as SPI and ReqID, aes128gcm16 with its salt.
const (
	probeSPI     = 0x746e6300
	probeKeySize = 16 + 4
)

// Probe reports why the kernel's ESP cannot be used; nil where it can. For a
// moment a state between two loopback addresses exists.
func Probe() error { return probe(execute) }

func probe(send func(request) error) error {
	lo := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	ps, err := crypto.ParseProposal(message.ProtocolESP, "aes128gcm16")
	if err != nil {
		return err
	}
	suite, err := crypto.SuiteOf(ps[0])
	if err != nil {
		return err
	}
	s := xfrmState{Src: lo, Dst: lo, SPI: probeSPI, ReqID: probeSPI, Suite: suite, Encr: make([]byte, probeKeySize), ReplayWindow: defaultReplayWindow}
	r, err := newState(s)
	if err != nil {
		return err
	}
	err = send(r)
	switch {
	case err == nil, errors.Is(err, unix.EEXIST): // there: of one that was killed, or that probes now
		if err := send(deleteState(s)); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("remove a state: %w", err)
		}
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("add a state: %w: %w", err, dataplane.ErrNoRight)
	}
	return fmt.Errorf("add a state: %w: %w", err, ErrNoESP)
}
