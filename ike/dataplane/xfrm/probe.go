package xfrm

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike/crypto"
)

// ErrNoESP: the kernel cannot carry ESP.
var ErrNoESP = errors.New("the kernel has no ESP: load the modules esp4, esp6 and xfrm_user, or use data plane tun")

// execute sends a request to the kernel and reads its answer.
func execute(r request) error {
	q := nl.NewNetlinkRequest(int(r.kind), int(r.flags))
	q.AddRawData(r.body)
	_, err := q.Execute(unix.NETLINK_XFRM, 0)
	return err
}

// Probe reports why the kernel's ESP cannot be used; nil where it can. For a
// moment a state between two loopback addresses exists.
func Probe() error { return probe(execute) }

func probe(send func(request) error) error {
	lo := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	ps, err := crypto.ParseProposal(3, "aes128gcm16")
	if err != nil {
		return err
	}
	suite, err := crypto.SuiteOf(ps[0])
	if err != nil {
		return err
	}
	s := State{Src: lo, Dst: lo, SPI: 0x746e6300, ReqID: 0x746e6300, Suite: suite, Encr: make([]byte, 20), ReplayWindow: 32}
	r, err := newState(s)
	if err != nil {
		return err
	}
	err = send(r)
	switch {
	case err == nil:
		return send(deleteState(s))
	case errors.Is(err, unix.EEXIST):
		return nil
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("the right CAP_NET_ADMIN is missing (%w): run as root, or setcap cap_net_admin+ep", err)
	}
	return fmt.Errorf("%w (adding a state: %w)", ErrNoESP, err)
}
