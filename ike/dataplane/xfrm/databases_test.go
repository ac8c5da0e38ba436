package xfrm

import (
	"net/netip"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/dataplanetest"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/message"
)

// fakeKernel records the requests that it gets.
type fakeKernel struct {
	kinds []uint16
	err   error
}

func (k *fakeKernel) send(r request) error {
	k.kinds = append(k.kinds, r.kind)
	return k.err
}

func testDatabases(k *fakeKernel) *databases {
	return newDatabases(dataplane.Config{Name: "home"}, k.send)
}

func child(spi uint32) entry {
	return entry{
		name: "home", spiIn: spi, spiOut: spi + 1, suite: dataplanetest.Suite("aes128gcm16"),
		keys:    &crypto.ChildKeys{Ei: count(20), Er: count(20)},
		localTS: selectors("10.3.0.1/32"), remoteTS: selectors("10.1.0.0/16"),
		local: netip.MustParseAddrPort("192.0.2.1:4500"), remote: netip.MustParseAddrPort("192.0.2.2:4500"), encap: true,
	}
}

func selectors(prefix string) []ike.TrafficSelector {
	return []ike.TrafficSelector{message.SelectorFromPrefix(netip.MustParsePrefix(prefix))}
}

// The order is what keeps packets from being lost: inbound first, the old
// outbound state until the new one is active.
func TestLifeOfDatabases(t *testing.T) {
	k := &fakeKernel{}
	d := testDatabases(k)
	require.NoError(t, d.install(child(0xc0000001), false))
	newSA, delSA, pol, delPol := uint16(nl.XFRM_MSG_NEWSA), uint16(nl.XFRM_MSG_DELSA), uint16(nl.XFRM_MSG_UPDPOLICY), uint16(nl.XFRM_MSG_DELPOLICY)
	require.Equal(t, []uint16{newSA, newSA, pol, pol, pol}, k.kinds)
	k.kinds = nil
	require.NoError(t, d.install(child(0xc0000011), true))
	require.Equal(t, []uint16{newSA}, k.kinds, "inbound only")
	require.NoError(t, d.activate(0xc0000011))
	require.Equal(t, []uint16{newSA, newSA, pol, pol, pol, delSA}, k.kinds, "the old one no longer sends")
	k.kinds = nil
	require.NoError(t, d.remove(0xc0000001))
	require.Equal(t, []uint16{delSA}, k.kinds)
	k.kinds = nil
	other := child(0xc0000021)
	other.name = "other"
	other.remoteTS = selectors("10.9.0.0/16")
	require.NoError(t, d.install(other, false))
	require.Equal(t, []uint16{newSA, newSA, pol, pol, pol}, k.kinds, "another CHILD_SA is installed beside it")
	require.NotEqual(t, d.states[0xc0000021][1].ReqID, d.states[0xc0000011][1].ReqID)
	require.NoError(t, d.remove(0xc0000021))
	// The outer address changes: the policies of the old path go.
	moved := child(0xc0000031)
	moved.local = netip.MustParseAddrPort("192.0.2.9:4500")
	moved.localTS = selectors("192.0.2.9/32")
	k.kinds = nil
	require.NoError(t, d.install(moved, false))
	require.Equal(t, []uint16{newSA, newSA, pol, pol, pol, delSA, delPol, delPol, delPol}, k.kinds)
	require.NoError(t, d.remove(0xc0000011))
	d.policies = d.policies[len(d.policies)-3:]
	k.kinds = nil
	require.NoError(t, d.close())
	require.Equal(t, []uint16{delPol, delPol, delPol, delSA, delSA}, k.kinds)
	require.ErrorIs(t, d.install(child(5), false), esp.ErrClosed)
}

func TestKernelWithoutESP(t *testing.T) {
	require.ErrorIs(t, probe((&fakeKernel{err: unix.EPROTONOSUPPORT}).send), ErrNoESP)
	require.ErrorIs(t, probe((&fakeKernel{err: unix.EPERM}).send), dataplane.ErrNoRight)
	k := &fakeKernel{}
	require.NoError(t, probe(k.send))
	require.Equal(t, []uint16{nl.XFRM_MSG_NEWSA, nl.XFRM_MSG_DELSA}, k.kinds)
	d := testDatabases(&fakeKernel{err: unix.EPROTONOSUPPORT})
	require.ErrorIs(t, d.install(child(0xc0000001), false), ErrNoESP)
}

// The state of a probe that was killed goes with the next one; so does one that
// another process has removed meanwhile.
func TestProbeRemovesWhatIsThere(t *testing.T) {
	var kinds []uint16
	for _, removed := range []error{nil, unix.ESRCH} {
		kinds = nil
		require.NoError(t, probe(func(r request) error {
			kinds = append(kinds, r.kind)
			if r.kind == nl.XFRM_MSG_NEWSA {
				return unix.EEXIST
			}
			return removed
		}))
		require.Equal(t, []uint16{nl.XFRM_MSG_NEWSA, nl.XFRM_MSG_DELSA}, kinds)
	}
}

// The kernel of this machine either has ESP, or says what is missing.
func TestProbeHere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP needs root: run `sudo make test`")
	}
	if err := Probe(); err != nil {
		require.ErrorIs(t, err, ErrNoESP)
	}
}

// What the outer header takes of the inner one, as the flags of the kernel say it
// (linux/xfrm.h): DF and ECN in both directions, DSCP in each.
func TestOuterHeader(t *testing.T) {
	const noECN, decapDSCP, noPMTUDisc = 1, 2, 4
	for _, c := range []struct {
		outer    dataplane.OuterHeader
		in, out  uint8
		keepDSCP bool
	}{
		{dataplane.OuterHeader{}, 0, 0, false},
		{dataplane.OuterHeader{NoDF: true}, noPMTUDisc, noPMTUDisc, false},
		{dataplane.OuterHeader{NoECN: true}, noECN, noECN, false},
		{dataplane.OuterHeader{DSCP: dataplane.DSCPIn}, decapDSCP, 0, true},
		{dataplane.OuterHeader{DSCP: dataplane.DSCPBoth}, decapDSCP, 0, false},
		{dataplane.OuterHeader{DSCP: dataplane.DSCPNone, NoDF: true, NoECN: true}, noECN | noPMTUDisc, noECN | noPMTUDisc, true},
	} {
		d := testDatabases(&fakeKernel{})
		ch := child(0xc0000001)
		ch.config.Outer = c.outer
		require.NoError(t, d.install(ch, false))
		s := d.states[0xc0000001]
		require.Equal(t, [2]uint8{c.in, c.out}, [2]uint8{s[0].Flags, s[1].Flags}, "%+v", c.outer)
		require.Equal(t, [2]bool{false, c.keepDSCP}, [2]bool{s[0].KeepDSCP, s[1].KeepDSCP}, "%+v", c.outer)
	}
}
