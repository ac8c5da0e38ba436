package tun

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/dataplanetest"
)

// classSocket is a ClassSocket in memory.
type classSocket struct {
	*dataplanetest.Socket
	mu      sync.Mutex
	sent    []byte // classes, one a packet
	packets [][]byte
	arrived chan struct{}
	receive func(class byte, packets ...[]byte)
	noDF    bool
}

func (s *classSocket) SendESPClass(class byte, packets ...[]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range packets {
		s.sent = append(s.sent, class)
		s.packets = append(s.packets, append([]byte(nil), p...))
		s.arrived <- struct{}{}
	}
	return nil
}

func (s *classSocket) OnESPClass(receive func(class byte, packets ...[]byte)) { s.receive = receive }
func (s *classSocket) ClearDF() error                                         { s.noDF = true; return nil }

// What passes between the outer and the inner header, as copy_dscp, copy_ecn and
// copy_df say: there in the packet that the device gives, back in the one it gets.
func TestTrafficClass(t *testing.T) {
	for _, r := range []struct {
		outer           dataplane.OuterHeader
		inner, sent     byte
		received, after byte
	}{
		{dataplane.OuterHeader{}, 0xb9, 0xb9, 0x07, 0xbb},
		{dataplane.OuterHeader{NoECN: true}, 0xb9, 0xb8, 0x07, 0xb9},
		{dataplane.OuterHeader{DSCP: dataplane.DSCPNone, NoECN: true, NoDF: true}, 0xb9, 0, 0x07, 0xb9},
		{dataplane.OuterHeader{DSCP: dataplane.DSCPBoth}, 0xb9, 0xb9, 0x04, 0x05},
		{dataplane.OuterHeader{DSCP: dataplane.DSCPIn}, 0xb9, 1, 0x0b, 0x0b},
	} {
		inNamespace(t, func(t *testing.T) {
			cc, gw := childPair(t, "aes128gcm16", childSPI, 1)
			s := &classSocket{Socket: dataplanetest.NewSocket(nil), arrived: make(chan struct{}, 100)}
			p := New(dataplane.Config{Device: "tnctest%d", Child: dataplane.ChildConfig{Outer: r.outer}}).(*plane)
			require.NoError(t, p.Attach(s))
			require.NoError(t, p.Install(cc, false))
			defer p.Close()
			require.Equal(t, r.outer.NoDF, s.noDF)
			fd, in := rawSockets(t)
			defer unix.Close(fd)
			defer unix.Close(in)

			b := ping(t, "10.3.0.1", "10.1.0.1", 100)
			b[1] = r.inner // the kernel fills the checksum in
			require.NoError(t, unix.Sendto(fd, b, 0, &unix.SockaddrInet4{Addr: [4]byte{10, 1, 0, 1}}))
			<-s.arrived
			s.mu.Lock()
			require.Equal(t, []byte{r.sent}, s.sent, "%+v", r)
			plain, err := gw.Open(s.packets[0])
			s.mu.Unlock()
			require.NoError(t, err)
			require.Equal(t, r.inner, plain[1], "the inner header of what is sent stays")

			back := ping(t, "10.1.0.1", "10.3.0.1", 100)
			sum := int(back[10])<<8 | int(back[11])
			sum -= int(r.inner) // of the octet that is set
			for sum < 0 {
				sum += 0xffff
			}
			back[1], back[10], back[11] = r.inner, byte(sum>>8), byte(sum)
			sealed, err := gw.Seal(nil, back)
			require.NoError(t, err)
			s.receive(r.received, sealed)
			require.NoError(t, unix.SetsockoptTimeval(in, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 5}))
			buf := make([]byte, 2000)
			for {
				_, _, err := unix.Recvfrom(in, buf, 0)
				require.NoError(t, err, "the packet arrives, its checksum is right")
				if buf[12] == 10 && buf[13] == 1 { // from 10.1.0.1
					break
				}
			}
			require.Equal(t, r.after, buf[1], "%+v", r)

			// Congestion that cannot be said to the receiver is a loss.
			if !r.outer.NoECN {
				before := p.Stats().InPackets
				sealed, err := gw.Seal(nil, ping(t, "10.1.0.1", "10.3.0.1", 9))
				require.NoError(t, err)
				s.receive(3, sealed)
				require.Equal(t, before, p.Stats().InPackets)
				require.EqualValues(t, 1, p.Stats().Failed)
			}
		})
	}
}
