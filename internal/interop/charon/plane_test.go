package charon

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/dataplane/xfrm"
	"github.com/gotnc/gotnc/internal/interop/netns"
	"github.com/gotnc/gotnc/internal/need"
	"github.com/gotnc/gotnc/internal/testpki"
)

// dataplane is who carries the client's packets: tun, or what GOTNC_DATAPLANE
// says. With xfrm the gateway has its kernel carry them too: so these tests run
// in the virtual machine of internal/interop/vm.
func dataplane() string {
	if p := os.Getenv("GOTNC_DATAPLANE"); p != "" {
		return p
	}
	return "tun"
}

func kernelESP() bool { return dataplane() == "xfrm" }

// gatewayPlane is charon's plugin that carries ESP; "" = the kernel.
func gatewayPlane() string {
	if kernelESP() {
		return ""
	}
	return "kernel-libipsec"
}

// keyKind is that of the certificates: an emulated machine takes long to make
// RSA keys.
func keyKind() testpki.Key {
	if kernelESP() {
		return testpki.ECDSA
	}
	return testpki.RSA
}

func needPlane(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/dev/net/tun"); err != nil && !kernelESP() {
		need.Program(t, "/dev/net/tun", "a kernel with TUN")
	}
}

// nothingInKernel asserts that no state or policy remains, where there can be any.
func (s *site) nothingInKernel() {
	s.t.Helper()
	if !kernelESP() {
		return
	}
	for _, what := range []string{"state", "policy"} {
		out, err := netns.Run(s.Client, "ip", "xfrm", what)
		require.NoError(s.t, err, out)
		require.Empty(s.t, strings.TrimSpace(out), "an XFRM %s was left behind", what)
	}
	addrs, err := netns.Run(s.Client, "ip", "-o", "addr")
	require.NoError(s.t, err)
	require.NotContains(s.t, addrs, "10.3.0.", "a virtual IP was left behind")
}

// Packets cross the tunnel with every algorithm, in both directions.
func TestESPAlgorithms(t *testing.T) {
	all := []string{"aes128gcm16", "aes256gcm8", "aes128-sha256", "aes256-sha384", "aes256-sha512", "aes128-sha1", "aes256ccm16", "aes128-aesxcbc", "aes128ctr-sha256", "chacha20poly1305"}
	if kernelESP() {
		all = append(all, "aes128gcm16-esn", "aes128-sha256-esn")
	}
	s := newSite(t, options{proposals: usualIKE, esp: strings.Join(all, ",")})
	before := "esp_proposals = " + strings.Join(all, ",")
	for _, a := range all {
		t.Run(a, func(t *testing.T) {
			s.edit("cl/swanctl/swanctl.conf", before, "esp_proposals = "+a)
			before = "esp_proposals = " + a
			r := s.up()
			out, err := netns.Run(s.Client, "ping", "-c", "3", "-i", "0.05", "-W", "2", inside)
			require.NoError(t, err, out)
			out, err = netns.Run(s.Client, "ping", "-c", "2", "-i", "0.05", "-W", "2", "-s", "1200", inside)
			require.NoError(t, err, out)
			require.NoError(t, r.stop())
			s.nothingLeft()
		})
	}
}

// Where the kernel has no ESP the error says so, with the way out, before
// anything is sent; auto says what it takes instead.
func TestKernelWithoutESP(t *testing.T) {
	if xfrm.Probe() == nil {
		t.Skip("SKIP needs a kernel without ESP: this one has it")
	}
	s := newSite(t, options{proposals: usualIKE, esp: usualESP})
	_, stderr, code := s.run("up", "--dataplane", "xfrm")
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "the kernel has no ESP: load the modules esp4, esp6 and xfrm_user, or use data plane tun")
	require.NotContains(t, stderr, "initiating IKE_SA")
	r := s.up("--dataplane", "auto")
	require.Contains(t, r.out.String(), "using data plane tun: ")
	require.NoError(t, r.stop())
	s.nothingLeft()
}
