package xfrm

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/dataplanetest"
	"github.com/gotnc/gotnc/ike/message"
)

func count(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// Our requests against those that iproute2 sends for the command in the first
// line of each file (testdata/record.sh). Sequence number and port are left out.
func TestRequestsAreThoseOfIproute2(t *testing.T) {
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	state := xfrmState{Src: a, Dst: b, SPI: 0xc0000001, ReqID: 7, Suite: dataplanetest.Suite("aes128gcm16"), Encr: count(20), ReplayWindow: 32}
	udp := state
	udp.SrcPort, udp.DstPort = 4500, 4500
	cbc := state
	cbc.Suite, cbc.Encr, cbc.Integ = dataplanetest.Suite("aes128-sha256"), count(16), count(32)
	cbc.Mark, cbc.IfID = dataplane.Mark{Value: 0x2a, Mask: 0xff}, 0x11
	six := state
	six.Src, six.Dst, six.ReplayWindow, six.Suite = netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2"), 64, dataplanetest.Suite("aes128gcm16-esn")
	out := xfrmPolicy{Dir: dirOut, Src: netip.MustParsePrefix("10.3.0.1/32"), Dst: netip.MustParsePrefix("10.1.0.0/16"), Priority: 1000, TunnelSrc: a, TunnelDst: b, ReqID: 7}
	fwd := xfrmPolicy{Dir: dirForward, Src: out.Dst, Dst: out.Src, Protocol: 6, SrcPort: 443, SrcMask: 0xffff, Priority: 1000, TunnelSrc: b, TunnelDst: a, ReqID: 7,
		Mark: dataplane.Mark{Value: 0x2a, Mask: 0xff}, IfID: 0x11}
	outer := state
	outer.Flags, outer.KeepDSCP = nl.XFRM_STATE_DECAP_DSCP|outerFlags(dataplane.OuterHeader{NoDF: true, NoECN: true}), true
	made := func(s xfrmState) request {
		r, err := newState(s)
		require.NoError(t, err)
		return r
	}
	for name, r := range map[string]request{
		"state-gcm-udp": made(udp), "state-cbc-mark": made(cbc), "state-esn6": made(six), "state-outer": made(outer), "state-delete": deleteState(state),
		"policy-out": updatePolicy(out), "policy-fwd-tcp": updatePolicy(fwd), "policy-delete": deletePolicy(out),
	} {
		t.Run(name, func(t *testing.T) {
			file, err := os.ReadFile("testdata/" + name + ".hex")
			require.NoError(t, err)
			_, text, _ := strings.Cut(string(file), "\n")
			want, err := hex.DecodeString(strings.Join(strings.Fields(text), ""))
			require.NoError(t, err)
			require.Greater(t, len(want), 16)
			clear(want[8:16]) // sequence number, port
			require.Equal(t, hex.Dump(want), hex.Dump(r.message(0)))
		})
	}
}

func TestUnknownAlgorithm(t *testing.T) {
	_, err := newState(xfrmState{Suite: crypto.Suite{Encr: message.Transform{Type: message.ENCR, ID: 99}}})
	require.ErrorContains(t, err, "the kernel has no name")
}

// message is r with its netlink header, as the kernel gets it.
func (r request) message(seq uint32) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(r.body)))
	b = binary.NativeEndian.AppendUint16(b, r.kind)
	b = binary.NativeEndian.AppendUint16(b, r.flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	return append(b, r.body...)
}
