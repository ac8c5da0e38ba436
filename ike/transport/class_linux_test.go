package transport

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/transport/batch"
)

// IKE has the configured DSCP, ESP the class of each packet, over both families; what
// arrives comes with its class.
func TestTrafficClass(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		for _, dscp := range []uint8{0, 46} {
			gw, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.ParseIP(host)})
			if err != nil {
				t.Skipf("SKIP needs UDP on %s: %v", host, err)
			}
			defer gw.Close()
			at := gw.LocalAddr().(*net.UDPAddr).AddrPort()
			c, err := Open(Config{Remote: at, Local: netip.MustParseAddr(host), DSCP: dscp})
			require.NoError(t, err)
			defer c.Close()
			c.espTo.Store(&at)
			require.NoError(t, c.ClearDF())

			c.send(ike.Packet{To: at, Data: []byte("IKE")})
			require.NoError(t, c.SendESP([]byte("one"), []byte("two")))
			require.NoError(t, c.SendESPClass(0x2a, []byte("three"), []byte("three")))
			require.NoError(t, c.SendESPClass(2, []byte("four")))
			r, err := batch.NewReader(gw)
			require.NoError(t, err)
			want := []byte{dscp << 2, 0, 0, 0x2a, 0x2a, 2}
			require.NoError(t, gw.SetReadDeadline(time.Now().Add(10*time.Second)))
			var got []byte
			for len(got) < len(want) {
				n, err := r.Read()
				require.NoError(t, err)
				for i := range n {
					b, size, class, _ := r.Message(i)
					for range batch.Segments(nil, b, size) {
						got = append(got, class)
					}
				}
			}
			require.Equal(t, want, got, "%s, DSCP %d", host, dscp)

			classes := make(chan byte, 10)
			c.OnESPClass(func(class byte, packets ...[]byte) {
				for range packets {
					classes <- class
				}
			})
			w, err := batch.NewWriter(gw)
			require.NoError(t, err)
			for _, class := range []byte{0, 0xb8, 3, 3, 0} {
				require.NoError(t, w.WriteClass(class, c.LocalNATT(), []byte("ESP packet")))
			}
			for _, class := range []byte{0, 0xb8, 3, 3, 0} {
				select {
				case got := <-classes:
					require.Equal(t, class, got)
				case <-time.After(10 * time.Second):
					require.Fail(t, "a packet is missing")
				}
			}
		}
	}
}
