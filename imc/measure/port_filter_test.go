package measure

import (
	"context"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
)

const socketHead = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"

func TestPortFilter(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("SKIP needs a little-endian machine: the tables below are of one")
	}
	root := t.TempDir()
	dir := filepath.Join(root, "proc", "net")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(socketHead+text), 0o644))
	}
	p := NewPlatform(PlatformConfig{Root: root})
	_, err := p.Attribute(context.Background(), patnc.TypePortFilter)
	require.ErrorIs(t, err, ErrUnknown, "no table")
	write("tcp", "   0: 0100007F:0CEA 00000000:0000 0A 0\n   1: 0101007F:0035 00000000:0000 0A 0\n")
	_, err = p.Attribute(context.Background(), patnc.TypePortFilter)
	require.ErrorIs(t, err, ErrUnknown, "nothing but loopback")
	write("tcp", "   0: 0100007F:0CEA 00000000:0000 0A 0\n   1: 00000000:0016 00000000:0000 0A 0\n   2: 0A00A8C0:0016 01020304:0400 01 0\nrubbish\n  3: zz:1 0 0A\n  4: 00000000:99999 0 0A\n")
	write("tcp6", "   0: 00000000000000000000000000000000:0016 0:0 0A\n   1: 00000000000000000000000001000000:0277 0:0 0A\n   2: B80D0120000000000000000002000000:01BB 0:0 0A\n")
	write("udp", "   0: 00000000:07E8 00000000:0000 07 0\n   1: 00000000:07E9 0A000001:0035 01 0\n")
	v, err := p.Attribute(context.Background(), patnc.TypePortFilter)
	require.NoError(t, err)
	require.Equal(t, patnc.PortFilter{Ports: []patnc.Port{{Protocol: 6, Port: 22}, {Protocol: 6, Port: 443}, {Protocol: 17, Port: 2024}}}, v)
	b, err := patnc.Skip(patnc.PortFilter{Ports: v.(patnc.PortFilter).Ports[2:]}).AppendBinary(nil)
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0x10, 0, 0x11, 0x07, 0xe8}, b)
}

// A socket of this process is in the list.
func TestPortFilterOfThisMachine(t *testing.T) {
	c, err := net.ListenPacket("udp4", "0.0.0.0:0")
	require.NoError(t, err)
	defer c.Close()
	ports, err := NewPlatform(PlatformConfig{}).ports()
	require.NoError(t, err)
	require.Contains(t, ports, patnc.Port{Protocol: 17, Port: uint16(c.LocalAddr().(*net.UDPAddr).Port)})
}
