// Package device reaches TPMs: the character devices of the kernel, and
// emulators over TCP and Unix sockets, in swtpm's plain framing and in that of
// Microsoft's reference simulator. A Config names the TPM as strongSwan's tpm
// plugin does (plugins.tpm.tcti.name and .opts); its zero value finds it.
//
// Every exchange is bounded in time. A TPM that does not answer leaves its
// transport unusable: later exchanges fail at once with tpm.ErrGone.
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

// Config says which TPM to use. The zero value finds /dev/tpmrm0, else /dev/tpm0.
type Config struct {
	// Name is strongSwan's setting plugins.tpm.tcti.name: "device", "swtpm" or
	// "mssim". Empty means "device".
	Name string
	// Opts is plugins.tpm.tcti.opts: a path for device; "host=…,port=…" or
	// "path=…" for swtpm and mssim. Empty means what it means to the TCTI library
	// of that name: /dev/tpmrm0 or /dev/tpm0; localhost, port 2321.
	Opts string
	// Timeout bounds one command; 0 means DefaultTimeout.
	Timeout time.Duration
}

// Causes, which errors of this package wrap besides those of package tpm.
var (
	// ErrNoDevice is the tpm.ErrNoTPM of a machine without TPM device.
	ErrNoDevice = fmt.Errorf("%w", tpm.ErrNoTPM)
	// ErrNotDevice is the tpm.ErrNoTPM of a path that is not a character device.
	ErrNotDevice = fmt.Errorf("%w", tpm.ErrNoTPM)
	// ErrNoEmulator is the tpm.ErrNoTPM of an address where no emulator listens.
	ErrNoEmulator = fmt.Errorf("%w", tpm.ErrNoTPM)
	// ErrSilent is the tpm.ErrTimeout of an emulator, which serves one program at a
	// time and lets others wait.
	ErrSilent = fmt.Errorf("%w", tpm.ErrTimeout)
	// ErrBroker is returned for "tabrmd".
	ErrBroker = errors.New("the access broker tabrmd is not supported")
	// ErrPermission is returned where the user may not open the device.
	ErrPermission = errors.New("no permission to use the TPM")
)

// DefaultTimeout bounds one command. It is longer than a TPM needs for a quote
// with a self-test before it, and shorter than a gateway waits for a client.
// Making a key may take longer.
const DefaultTimeout = 15 * time.Second

// Limits of opening.
const (
	dialTimeout = 5 * time.Second
	busyTries   = 20 // opens of a device that another program holds
	busyWait    = 100 * time.Millisecond
)

// devices are the kernel's devices in the order of preference: the first one is
// behind the kernel's resource manager, so that programs can share it.
var devices = []string{"/dev/tpmrm0", "/dev/tpm0"}

// ParseTCTI decodes "name:options", the form of TPM2TOOLS_TCTI of tpm2-tools.
func ParseTCTI(s string) Config {
	name, opts, _ := strings.Cut(strings.TrimSpace(s), ":")
	if strings.HasPrefix(name, "/") {
		return Config{Name: "device", Opts: s}
	}
	return Config{Name: name, Opts: opts}
}

// Validate returns an error where name and options name no transport, without
// opening it.
func (c Config) Validate() error {
	switch c.Name {
	case "", "device":
		return nil
	case "swtpm", "mssim":
		a, err := parseAddress(c.Opts)
		if err == nil && c.Name == "mssim" {
			err = a.checkSimulator()
		}
		return err
	case "tabrmd":
		return ErrBroker
	}
	return fmt.Errorf("unknown plugins.tpm.tcti.name %q: it must be device, swtpm or mssim", c.Name)
}

// String returns name and options in the form that ParseTCTI decodes, "default"
// where there is no name.
func (c Config) String() string {
	switch {
	case c.Name == "":
		return "default"
	case c.Opts == "":
		return c.Name
	}
	return c.Name + ":" + c.Opts
}

// Open finds and opens the TPM. The error wraps tpm.ErrNoTPM where the machine
// has none.
func Open(ctx context.Context, cfg Config) (tpm.TPM, error) {
	t, err := OpenTransport(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return tpm.Open(ctx, t, tpm.Config{})
}

// OpenTransport opens the transport to the TPM without sending a command.
func OpenTransport(ctx context.Context, cfg Config) (tpm.Transport, error) {
	t, err := openTransport(ctx, cfg)
	if err != nil && cfg.Name+cfg.Opts != "" {
		return nil, fmt.Errorf("open TPM %s: %w", cfg, err)
	}
	return t, err
}

func openTransport(ctx context.Context, cfg Config) (tpm.Transport, error) {
	timeout := cfg.Timeout
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	switch name := cfg.Name; name {
	case "swtpm", "mssim":
		addr, _ := parseAddress(cfg.Opts)
		if name == "mssim" {
			return openSimulator(ctx, addr, timeout)
		}
		c, err := addr.dial(ctx, 0)
		if err != nil {
			return nil, err
		}
		return newStream(c, plainFrame{}, timeout), nil
	default:
		path := cfg.Opts
		if path == "" {
			var err error
			if path, err = find(); err != nil {
				return nil, err
			}
		}
		return openCharacter(ctx, path, timeout)
	}
}

// find returns the path of the first device that exists.
func find() (string, error) {
	for _, d := range devices {
		if _, err := os.Stat(d); err == nil {
			return d, nil
		}
	}
	return "", fmt.Errorf("%w: there is no %s", ErrNoDevice, strings.Join(devices, " and no "))
}

// address is where an emulator listens: a path, or host and port.
type address struct {
	path, host string
	port       int
}

const defaultPort = 2321

// parseAddress decodes "host=…,port=…" or "path=…". A bare word is a host, with or
// without port, or a path.
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

// dial connects to the address, with offset added to its port.
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
		return nil, fmt.Errorf("%w: %w", ErrNoEmulator, err)
	}
	return c, nil
}
