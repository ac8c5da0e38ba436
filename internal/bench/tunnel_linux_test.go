package bench

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/curve25519"
	"golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	wgtun "golang.zx2c4.com/wireguard/tun"

	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/dataplanetest"
	"github.com/gotnc/gotnc/ike/dataplane/tun"
	"github.com/gotnc/gotnc/ike/transport/batch"
	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/need"
)

// tunnelEnd names, in the environment of a process of the benchmark, which end of
// which tunnel it is: "esp client", "wireguard gateway".
const tunnelEnd = "GOTNC_BENCH_TUNNEL_END"

const (
	tunnelClient  = "10.3.0.1" // what dataplanetest.Children has
	tunnelGateway = "10.1.0.1"
	tunnelESP     = "aes128gcm16"
	tunnelSeconds = 3
	tunnelRounds  = 5
)

func TestMain(m *testing.M) {
	if end, ok := os.LookupEnv(tunnelEnd); ok {
		if err := runTunnelEnd(end); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runTunnelEnd is one end of a tunnel, until the standard input ends.
func runTunnelEnd(end string) error {
	kind, side, _ := strings.Cut(end, " ")
	start := map[string]func(gateway bool) (io.Closer, error){"esp": startESPEnd, "wireguard": startWireGuardEnd}[kind]
	if start == nil {
		return fmt.Errorf("no tunnel is called %q", kind)
	}
	c, err := start(side == "gateway")
	if err != nil {
		return err
	}
	defer c.Close()
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// espSocket is the way of ESP packets of ike/transport without an IKE_SA.
type espSocket struct {
	fd *net.UDPConn
	w  *batch.Writer
	to netip.AddrPort
}

func (s *espSocket) SendESP(packets ...[]byte) error { return s.w.Write(s.to, packets...) }
func (s *espSocket) Alive()                          {}
func (s *espSocket) Sent()                           {}
func (s *espSocket) KernelESP() error                { return nil }
func (s *espSocket) Bypass() error                   { return nil }

func (s *espSocket) OnESP(receive func(packets ...[]byte)) {
	r, err := batch.NewReader(s.fd)
	if err != nil {
		panic(err)
	}
	go func() {
		var packets [][]byte
		for {
			n, err := r.Read()
			if err != nil {
				return
			}
			packets = packets[:0]
			for i := range n {
				b, size, _, _ := r.Message(i)
				packets = batch.Segments(packets, b, size)
			}
			receive(packets...)
		}
	}()
}

// startESPEnd carries a CHILD_SA with keys that both ends know over the TUN data
// plane of tnc.
func startESPEnd(gateway bool) (io.Closer, error) {
	child, other := dataplanetest.Children(tunnelESP, 0xc0000001, 0xc0000002, 1)
	if gateway {
		child = other
		child.Internal.Addresses = []netip.Prefix{netip.MustParsePrefix(tunnelGateway + "/32")}
	}
	fd, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(child.Local))
	if err != nil {
		return nil, err
	}
	w, err := batch.NewWriter(fd)
	if err != nil {
		return nil, err
	}
	plane := tun.New(dataplane.Config{Device: "esp0", Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	if err := plane.Attach(&espSocket{fd: fd, w: w, to: child.Remote}); err != nil {
		return nil, err
	}
	return plane, plane.Install(child, false)
}

type closer func()

func (c closer) Close() error { c(); return nil }

// startWireGuardEnd runs wireguard-go as its command does, with keys that both ends
// know.
func startWireGuardEnd(gateway bool) (io.Closer, error) {
	keys := [2][32]byte{{8}, {16}}
	mine, peer, addr, allowed, endpoint := keys[0], keys[1], tunnelClient, "10.1.0.0/16", "192.168.0.1:51820"
	if gateway {
		mine, peer, addr, allowed, endpoint = keys[1], keys[0], tunnelGateway, "10.3.0.0/24", "192.168.0.100:51820"
	}
	public, err := curve25519.X25519(peer[:], curve25519.Basepoint)
	if err != nil {
		return nil, err
	}
	t, err := wgtun.CreateTUN("wg0", device.DefaultMTU)
	if err != nil {
		return nil, err
	}
	d := device.NewDevice(t, conn.NewDefaultBind(), device.NewLogger(device.LogLevelError, ""))
	err = d.IpcSet(fmt.Sprintf("private_key=%s\nlisten_port=51820\npublic_key=%s\nendpoint=%s\nallowed_ip=%s\n",
		hex.EncodeToString(mine[:]), hex.EncodeToString(public), endpoint, allowed))
	if err == nil {
		err = d.Up()
	}
	for _, l := range []string{"addr add " + addr + "/32 dev wg0", "link set wg0 up", "route add " + allowed + " dev wg0"} {
		if err == nil {
			var out []byte
			if out, err = exec.Command("ip", strings.Fields(l)...).CombinedOutput(); err != nil {
				err = fmt.Errorf("ip %s: %w: %s", l, err, out)
			}
		}
	}
	if err != nil {
		d.Close()
		return nil, err
	}
	return closer(d.Close), nil
}

// tunnel is a pair of ends in two network namespaces, and what was measured.
type tunnel struct {
	name  string
	start func(testing.TB) (stop func()) // begins to carry packets
	pair  *netns.Pair
	gbits map[string][]float64 // by row
	rtt   []time.Duration      // of pings beside a flow
}

// startEnds starts both ends of a kind, and returns what ends them.
func startEnds(b testing.TB, pair *netns.Pair, kind string) (stop func()) {
	b.Helper()
	self, err := os.Executable()
	require.NoError(b, err)
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	var ends []*exec.Cmd
	var inputs []io.Closer
	for ns, side := range map[string]string{pair.Client: "client", pair.Gateway: "gateway"} {
		cmd := netns.Command(ctx, ns, self)
		cmd.Env = append(os.Environ(), tunnelEnd+"="+kind+" "+side)
		in, err := cmd.StdinPipe()
		require.NoError(b, err)
		out, err := cmd.StdoutPipe()
		require.NoError(b, err)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		require.NoError(b, cmd.Start())
		ready := make([]byte, 5)
		_, err = io.ReadFull(out, ready)
		require.NoError(b, err, "%s, %s: %s", kind, side, &stderr)
		ends, inputs = append(ends, cmd), append(inputs, in)
	}
	return func() {
		for _, in := range inputs {
			_ = in.Close()
		}
		for _, cmd := range ends {
			_ = cmd.Wait()
		}
		cancel()
	}
}

// iperf measures how many Gbit/s TCP gets through the tunnel.
func (w *tunnel) iperf(b testing.TB, more ...string) float64 {
	b.Helper()
	return netns.Iperf(b, w.pair.Gateway, w.pair.Client, tunnelGateway, tunnelSeconds, more...) / 1e9
}

var pingTime = regexp.MustCompile(`time=([0-9.]+) ms`)

// ping measures round trips beside a flow.
func (w *tunnel) ping(b testing.TB) {
	ctx, cancel := context.WithTimeout(b.Context(), 30*time.Second)
	defer cancel()
	out, err := netns.Command(ctx, w.pair.Client, "ping", "-i", "0.01", "-c", strconv.Itoa(tunnelSeconds*60), tunnelGateway).CombinedOutput()
	require.NoError(b, err, "%s", out)
	for _, m := range pingTime.FindAllSubmatch(out, -1) {
		ms, err := strconv.ParseFloat(string(m[1]), 64)
		require.NoError(b, err)
		w.rtt = append(w.rtt, time.Duration(ms*float64(time.Millisecond)))
	}
}

// Both ends of each kind carry packets.
func TestTunnelEnds(t *testing.T) {
	need.Root(t)
	need.Program(t, "ping", "iputils-ping")
	pair := netns.New(t)
	for _, kind := range []string{"esp", "wireguard"} {
		stop := startEnds(t, pair, kind)
		out, err := netns.Run(pair.Client, "ping", "-c", "3", "-i", "0.2", "-W", "5", tunnelGateway)
		stop()
		require.NoError(t, err, "%s: %s", kind, out)
		require.Contains(t, out, " 0% packet loss", kind)
	}
}

// BenchmarkTunnel carries TCP between two network namespaces, in turn through ESP
// in user space at both ends, through wireguard-go at both ends, and, where
// STRONGSWAN_PREFIX and GOTNC_RIG are set, through strongSwan's kernel-libipsec at
// both ends. All are limited by what the cores of the machine do in all: two ends,
// the sender and the receiver run on it.
func BenchmarkTunnel(b *testing.B) {
	need.Root(b)
	need.Program(b, "iperf3", "iperf3")
	pair := netns.New(b)
	tunnels := []*tunnel{
		{name: "gotnc " + tunnelESP, pair: pair, start: func(b testing.TB) func() { return startEnds(b, pair, "esp") }},
		{name: "wireguard-go", pair: pair, start: func(b testing.TB) func() { return startEnds(b, pair, "wireguard") }},
	}
	if t := libipsec(b); t != nil {
		tunnels = append(tunnels, t)
	}
	rows := []struct {
		name string
		args []string
	}{{"one flow", nil}, {"one flow back", []string{"-R"}}, {"four flows", []string{"-P", "4"}}}
	for range b.N {
		for range tunnelRounds {
			for _, w := range tunnels {
				if w.gbits == nil {
					w.gbits = map[string][]float64{}
				}
				stop := w.start(b)
				for _, r := range rows {
					w.gbits[r.name] = append(w.gbits[r.name], w.iperf(b, r.args...))
				}
				done := make(chan struct{})
				go func() { defer close(done); w.iperf(b) }()
				time.Sleep(500 * time.Millisecond)
				w.ping(b)
				<-done
				stop()
			}
		}
	}
	for _, w := range tunnels { // one line each: testing cuts long logs
		slices.Sort(w.rtt)
		var line strings.Builder
		for _, r := range rows {
			v := w.gbits[r.name]
			slices.Sort(v)
			fmt.Fprintf(&line, "%s %.2f (%.2f to %.2f), ", r.name, v[len(v)/2], v[0], v[len(v)-1])
			b.ReportMetric(v[len(v)/2], regexp.MustCompile(`\W`).ReplaceAllString(w.name+" "+r.name, "-")+"-Gbit/s")
		}
		b.Logf("%s, Gbit/s: %sping beside a flow %v, 99 of 100 within %v", w.name, &line, w.rtt[len(w.rtt)/2], w.rtt[len(w.rtt)*99/100])
	}
	b.ReportMetric(0, "ns/op")
}
