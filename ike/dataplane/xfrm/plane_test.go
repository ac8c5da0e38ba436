package xfrm

import (
	"net/netip"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/internal/base/log"
)

// fakeKernel notes what it is asked.
type fakeKernel struct {
	kinds []uint16
	err   error
}

func (k *fakeKernel) send(r request) error {
	k.kinds = append(k.kinds, r.kind)
	return k.err
}

func child(t *testing.T, spi uint32) Child {
	return Child{
		Name: "home", SPIIn: spi, SPIOut: spi + 1, Suite: suite(t, "aes128gcm16"), ReplayWindow: 32,
		Keys:    &crypto.ChildKeys{Ei: count(20), Er: count(20)},
		LocalTS: []esp.Selector{esp.SelectorOf(netip.MustParsePrefix("10.3.0.1/32"))}, RemoteTS: []esp.Selector{esp.SelectorOf(netip.MustParsePrefix("10.1.0.0/16"))},
		Local: netip.MustParseAddrPort("192.0.2.1:4500"), Remote: netip.MustParseAddrPort("192.0.2.2:4500"), Encap: true,
	}
}

// The order is what keeps packets from being lost: inbound first, the old
// outbound state until the new one is active.
func TestLifeOfAPlane(t *testing.T) {
	k := &fakeKernel{}
	p := &Plane{log: log.Discard(), send: k.send, reqID: reqIDOf("home"), states: map[uint32][]State{}, waiting: map[uint32]Child{}}
	require.NoError(t, p.Install(child(t, 0xc0000001)))
	newSA, delSA, pol, delPol := uint16(nl.XFRM_MSG_NEWSA), uint16(nl.XFRM_MSG_DELSA), uint16(nl.XFRM_MSG_UPDPOLICY), uint16(nl.XFRM_MSG_DELPOLICY)
	require.Equal(t, []uint16{newSA, newSA, pol, pol, pol}, k.kinds)
	k.kinds = nil
	c := child(t, 0xc0000011)
	c.Standby = true
	require.NoError(t, p.Install(c))
	require.Equal(t, []uint16{newSA}, k.kinds, "inbound only")
	require.NoError(t, p.Activate(0xc0000011))
	require.Equal(t, []uint16{newSA, newSA, pol, pol, pol, delSA}, k.kinds, "the old one no longer sends")
	k.kinds = nil
	p.Remove(0xc0000001)
	require.Equal(t, []uint16{delSA}, k.kinds)
	k.kinds = nil
	other := child(t, 0xc0000021)
	other.Name = "other"
	other.RemoteTS = []esp.Selector{esp.SelectorOf(netip.MustParsePrefix("10.9.0.0/16"))}
	require.NoError(t, p.Install(other))
	require.Equal(t, []uint16{newSA, newSA, pol, pol, pol}, k.kinds, "another CHILD_SA stands beside it")
	require.NotEqual(t, p.states[0xc0000021][1].ReqID, p.states[0xc0000011][1].ReqID)
	p.Remove(0xc0000021)
	// The outer address changes: the policies of the old path go.
	moved := child(t, 0xc0000031)
	moved.Local = netip.MustParseAddrPort("192.0.2.9:4500")
	moved.LocalTS = []esp.Selector{esp.SelectorOf(netip.MustParsePrefix("192.0.2.9/32"))}
	k.kinds = nil
	require.NoError(t, p.Install(moved))
	require.Equal(t, []uint16{newSA, newSA, pol, pol, pol, delSA, delPol, delPol, delPol}, k.kinds)
	p.Remove(0xc0000011)
	p.policies = p.policies[len(p.policies)-3:]
	k.kinds = nil
	require.NoError(t, p.Close())
	require.Equal(t, []uint16{delPol, delPol, delPol, delSA, delSA}, k.kinds)
	require.ErrorIs(t, p.Install(child(t, 5)), esp.ErrClosed)
}

func TestKernelWithoutESP(t *testing.T) {
	require.ErrorIs(t, probe((&fakeKernel{err: unix.EPROTONOSUPPORT}).send), ErrNoESP)
	require.ErrorContains(t, probe((&fakeKernel{err: unix.EPERM}).send), "run as root")
	k := &fakeKernel{}
	require.NoError(t, probe(k.send))
	require.Equal(t, []uint16{nl.XFRM_MSG_NEWSA, nl.XFRM_MSG_DELSA}, k.kinds)
	p := &Plane{log: log.Discard(), send: (&fakeKernel{err: unix.EPROTONOSUPPORT}).send, states: map[uint32][]State{}}
	require.ErrorIs(t, p.Install(child(t, 0xc0000001)), ErrNoESP)
}

// The kernel of this machine either has ESP, or says what is missing.
func TestProbeHere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP needs root: run `sudo make test`")
	}
	if err := Probe(); err != nil {
		require.ErrorContains(t, err, "load the modules esp4")
	}
}
