// Package device reaches TPMs: the character devices of the kernel, and
// emulators over TCP and Unix sockets, in swtpm's plain framing and in that of
// Microsoft's reference simulator. What to use is said as strongSwan's tpm
// plugin says it (plugins.tpm.tcti.name and .opts), or found.
//
// Every exchange is bounded in time. A TPM that does not answer leaves its
// transport dead: later exchanges fail at once with tpm.ErrGone.
package device

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/gotnc/gotnc/tpm"
)

// Settings say which TPM to use: strongSwan's plugins.tpm.tcti.name and
// plugins.tpm.tcti.opts. The zero value looks for /dev/tpmrm0, then /dev/tpm0.
type Settings struct {
	// Name is "device", "swtpm" or "mssim"; empty: found.
	Name string
	// Opts are the options: a path for device; "host=…,port=…" or "path=…" for
	// swtpm and mssim. Empty ones mean what the TCTI library of that name
	// means: /dev/tpmrm0 or /dev/tpm0, localhost port 2321.
	Opts string
	// Timeout bounds one command; 0 is DefaultTimeout.
	Timeout time.Duration
}

// DefaultTimeout bounds one command. It is longer than a TPM needs for a quote
// and for a self-test before it, and shorter than a gateway waits for a client;
// making a key may take longer.
const DefaultTimeout = 15 * time.Second

// Limits of opening.
const (
	dialTimeout = 5 * time.Second
	busyTries   = 20 // opens of a device that another program holds
	busyWait    = 100 * time.Millisecond
)

// The kernel's devices, in the order in which they are looked for: the one
// behind the kernel's resource manager, which programs share, is better.
var devices = []string{"/dev/tpmrm0", "/dev/tpm0"}

// ParseTCTI reads "name:options" as tpm2-tools' TPM2TOOLS_TCTI has it.
func ParseTCTI(s string) Settings {
	name, opts, _ := strings.Cut(strings.TrimSpace(s), ":")
	if strings.HasPrefix(name, "/") {
		return Settings{Name: "device", Opts: s}
	}
	return Settings{Name: name, Opts: opts}
}

// String returns the settings as ParseTCTI reads them.
func (s Settings) String() string {
	switch {
	case s.Name == "":
		return "default"
	case s.Opts == "":
		return s.Name
	}
	return s.Name + ":" + s.Opts
}

// Open finds and opens the TPM. The error wraps tpm.ErrNoTPM where the machine
// has none.
func Open(ctx context.Context, s Settings) (tpm.TPM, error) {
	t, err := OpenTransport(ctx, s)
	if err != nil {
		return nil, err
	}
	return tpm.Open(ctx, t)
}

// OpenTransport opens the way to the TPM without a word to it.
func OpenTransport(ctx context.Context, s Settings) (tpm.Transport, error) {
	t, err := openTransport(ctx, s)
	if err != nil && s.Name+s.Opts != "" {
		return nil, fmt.Errorf("open TPM %s: %w", s, err)
	}
	return t, err
}

func openTransport(ctx context.Context, s Settings) (tpm.Transport, error) {
	timeout := s.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	switch name := s.Name; name {
	case "", "device":
		path := s.Opts
		if path == "" {
			var err error
			if path, err = find(); err != nil {
				return nil, err
			}
		}
		return openCharacter(ctx, path, timeout)
	case "swtpm", "mssim":
		addr, err := parseAddress(s.Opts)
		if err != nil {
			return nil, err
		}
		if name == "mssim" {
			return openSimulator(ctx, addr, timeout)
		}
		c, err := addr.dial(ctx, 0)
		if err != nil {
			return nil, err
		}
		return newStream(c, plainFrame{}, timeout), nil
	case "tabrmd":
		return nil, errors.New("the access broker tabrmd is not supported: set plugins.tpm.tcti.name = device and opts = /dev/tpmrm0, the kernel's resource manager")
	default:
		return nil, fmt.Errorf("unknown plugins.tpm.tcti.name %q: it must be device, swtpm or mssim", name)
	}
}

// find returns the first device that is there.
func find() (string, error) {
	for _, d := range devices {
		if _, err := os.Stat(d); err == nil {
			return d, nil
		}
	}
	return "", fmt.Errorf("%w: there is no %s; enable the TPM in the firmware's setup, or name it with plugins.tpm.tcti", tpm.ErrNoTPM, strings.Join(devices, " and no "))
}

// address is where an emulator listens: a path, or host and port.
type address struct {
	path, host string
	port       int
}

const defaultPort = 2321

// parseAddress reads "host=…,port=…" or "path=…". A bare word is a host, with
// or without port, or a path.
func parseAddress(opts string) (address, error) {
	a := address{host: "localhost", port: defaultPort}
	for opt := range strings.SplitSeq(opts, ",") {
		if opt = strings.TrimSpace(opt); opt == "" {
			continue
		}
		key, value, ok := strings.Cut(opt, "=")
		if !ok {
			if strings.HasPrefix(opt, "/") {
				a.path = opt
				continue
			}
			if h, p, err := net.SplitHostPort(opt); err == nil {
				key, value, opt = "port", p, "port="+p
				a.host = h
			} else {
				a.host = opt
				continue
			}
		}
		switch strings.TrimSpace(key) {
		case "host":
			a.host = strings.TrimSpace(value)
		case "port":
			n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 16)
			if err != nil || n == 0 {
				return a, fmt.Errorf("plugins.tpm.tcti.opts: bad port in %q", opt)
			}
			a.port = int(n)
		case "path":
			a.path = strings.TrimSpace(value)
		default:
			return a, fmt.Errorf("plugins.tpm.tcti.opts: unknown option %q: known are host, port, path", opt)
		}
	}
	return a, nil
}

// dial connects to the address, the port by offset higher.
func (a address) dial(ctx context.Context, offset int) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	var c net.Conn
	var err error
	if a.path != "" {
		c, err = d.DialContext(ctx, "unix", a.path)
	} else {
		c, err = d.DialContext(ctx, "tcp", net.JoinHostPort(a.host, strconv.Itoa(a.port+offset)))
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w; is the emulator running?", tpm.ErrNoTPM, err)
	}
	return c, nil
}
