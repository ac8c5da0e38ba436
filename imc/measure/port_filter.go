package measure

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/patnc"
)

// maxSockets bounds the octets read of one socket table, about 100,000 lines.
const maxSockets = 16 << 20

// tcpListen is the state LISTEN of /proc/net/tcp; an unconnected UDP socket has
// udpOpen.
const (
	tcpListen = "0A"
	udpOpen   = "07"
)

// ports lists the ports that other machines reach, as strongSwan's Scanner IMC
// does: sockets that listen, those on 127.0.0.1, 127.0.1.1 and ::1 left out, each
// protocol and port once.
func (p *Platform) ports() ([]patnc.Port, error) {
	var out []patnc.Port
	seen := map[patnc.Port]bool{}
	found := false
	for _, t := range [...]struct {
		file, state string
		protocol    uint8
	}{
		{"/proc/net/tcp", tcpListen, unix.IPPROTO_TCP}, {"/proc/net/tcp6", tcpListen, unix.IPPROTO_TCP},
		{"/proc/net/udp", udpOpen, unix.IPPROTO_UDP}, {"/proc/net/udp6", udpOpen, unix.IPPROTO_UDP},
	} {
		b, err := p.read(t.file, maxSockets)
		if err != nil {
			continue
		}
		found = true
		for line := range strings.Lines(string(b)) {
			f := strings.Fields(line)
			if len(f) < 4 || f[3] != t.state {
				continue
			}
			port, ok := openPort(f[1])
			if v := (patnc.Port{Protocol: t.protocol, Port: port}); ok && !seen[v] {
				seen[v] = true
				out = append(out, v)
			}
		}
	}
	if !found {
		return nil, fmt.Errorf("listening ports: %w", ErrUnknown)
	}
	if len(out) == 0 {
		// RFC 5792 section 4.2.6: a Port Filter holds at least one port.
		return nil, fmt.Errorf("no listening ports: %w", ErrUnknown)
	}
	return out, nil
}

// openPort reads "0100007F:0016", the address in words of the machine's order.
func openPort(local string) (port uint16, ok bool) {
	address, number, found := strings.Cut(local, ":")
	n, err := strconv.ParseUint(number, 16, 16)
	raw, errHex := hex.DecodeString(address)
	if !found || err != nil || errHex != nil || n == 0 || len(raw) != 4 && len(raw) != 16 {
		return 0, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	for _, l := range [...][]byte{{127, 0, 0, 1}, {127, 0, 1, 1}, append(make([]byte, 15), 1)} {
		if bytes.Equal(raw, l) {
			return 0, false
		}
	}
	return uint16(n), true
}
