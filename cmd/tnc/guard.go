package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/cmd/tnc/internal/resolvconf"
	"github.com/gotnc/gotnc/ike/dataplane/xfrm"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Where connections that are up can be spoken to, and what they would leave
// behind if they were killed.
const (
	defaultRunDir = "/run/tnc"
	runDirEnv     = "TNC_RUN_DIR"

	controlTimeout = 10 * time.Second
	downTimeout    = 30 * time.Second
	maxRunFile     = 1 << 20
)

func runDir() string {
	if d := os.Getenv(runDirEnv); d != "" {
		return d
	}
	return defaultRunDir
}

func runFile(name, ext string) string {
	return filepath.Join(runDir(), resolvconf.SafeName(name)+ext)
}

// leftovers is what outlives a process that is killed. It is written before it
// is made.
type leftovers struct {
	NetNS     string         `json:"netns"` // where rules and addresses are
	Gateway   netip.AddrPort `json:"gateway"`
	Table     int            `json:"table"`
	Priority  int            `json:"priority"`
	Resolv    string         `json:"resolv_conf,omitempty"`
	Resolvcmd string         `json:"resolvconf,omitempty"`
	// Of the kernel's data plane, whose device stays: virtual IPs, and routes.
	Kernel    bool           `json:"kernel,omitempty"`
	Addresses []netip.Addr   `json:"addresses,omitempty"`
	Routes    []netip.Prefix `json:"routes,omitempty"`
}

func netNS() string {
	s, _ := os.Readlink("/proc/thread-self/ns/net")
	return s
}

// guard keeps a connection from being up twice, and cleans up after a run that
// was killed.
type guard struct {
	name string
	lock *os.File
	ln   net.Listener
}

// newGuard takes the lock of the connection. Without the right to write the
// run folder there is neither lock nor control socket, and nothing that could
// be left behind.
func newGuard(c *connection) (*guard, error) {
	if err := os.MkdirAll(runDir(), 0o755); err != nil {
		return nil, fmt.Errorf("make the run folder: %w: run as root, or set %s", err, runDirEnv)
	}
	f, err := os.OpenFile(runFile(c.Connection.Name, ".lock"), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of connection %q: %w", c.Connection.Name, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("connection %q is up already: see tnc status, end it with tnc down %s", c.Connection.Name, c.Connection.Name)
	}
	g := &guard{name: c.Connection.Name, lock: f}
	if err := g.sweep(c); err != nil {
		g.close()
		return nil, fmt.Errorf("remove what an earlier run left: %w", err)
	}
	return g, nil
}

// sweep removes what a killed run left.
func (g *guard) sweep(c *connection) error {
	b, err := readLimited(runFile(g.name, ".json"), maxRunFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var l leftovers
	if err := json.Unmarshal(b, &l); err == nil && l.NetNS == netNS() {
		log.Group(c.logger, log.DMN).Info("an earlier run was killed, removing what it left")
		if l.Gateway.IsValid() {
			if err := esp.RemoveStale(esp.Config{Gateway: l.Gateway, Table: l.Table, Priority: l.Priority}); err != nil {
				return err
			}
			if err := esp.RemoveStale(esp.Config{Table: l.Table, Priority: l.Priority}); err != nil {
				return err
			}
		}
		if l.Kernel {
			if err := xfrm.RemoveStale(xfrm.Config{Name: g.name, Table: l.Table}, l.Routes); err != nil {
				return err
			}
		}
		if err := xfrm.RemoveAddresses(l.Addresses); err != nil {
			return err
		}
		if l.Resolv != "" {
			r := &resolvconf.Resolver{File: l.Resolv, Command: l.Resolvcmd, Name: g.name}
			if err := r.Remove(); err != nil {
				return err
			}
		}
	}
	return ignoreMissing(os.Remove(runFile(g.name, ".json")))
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, limit))
}

// leave notes what the data plane is about to make: rules, and with the
// kernel's virtual IPs and the routes to remote.
func (c *connection) leave(gateway netip.AddrPort, virtual []netip.Prefix, remote []esp.Selector) error {
	c.left = leftovers{Gateway: gateway, Table: c.Charon.RoutingTable, Priority: c.Charon.RoutingTablePrio, Resolv: c.left.Resolv, Resolvcmd: c.left.Resolvcmd}
	if _, kernel := c.plane.(*kernelPlane); kernel {
		c.left.Kernel = true
		for _, a := range virtual {
			c.left.Addresses = append(c.left.Addresses, a.Addr())
		}
		for _, s := range remote {
			c.left.Routes = append(c.left.Routes, s.Prefixes()...)
		}
	}
	return c.guard.note(c.left)
}

// note writes down what is about to be made.
func (g *guard) note(l leftovers) error {
	if g == nil {
		return nil
	}
	l.NetNS = netNS()
	b, err := json.Marshal(l)
	if err != nil {
		return err
	}
	tmp := runFile(g.name, ".json.new")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, runFile(g.name, ".json"))
}

// close gives everything back.
func (g *guard) close() {
	if g == nil {
		return
	}
	if g.ln != nil {
		_ = g.ln.Close()
		_ = os.Remove(runFile(g.name, ".sock"))
	}
	_ = os.Remove(runFile(g.name, ".json"))
	_ = g.lock.Close() // the file stays: removing it would race with another run
}
