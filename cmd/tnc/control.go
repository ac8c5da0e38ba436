package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/xfrm"
	"github.com/gotnc/gotnc/internal/log"
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
	return filepath.Join(runDir(), strings.Map(safeName, name)+ext)
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
	Addresses []netip.Addr   `json:"addresses,omitempty"` // virtual IPs on a device that stays
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
	f, err := os.OpenFile(runFile(c.conn.Name, ".lock"), os.O_RDWR|os.O_CREATE|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the lock of connection %q: %w", c.conn.Name, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("connection %q is up already: see tnc status, end it with tnc down %s", c.conn.Name, c.conn.Name)
	}
	g := &guard{name: c.conn.Name, lock: f}
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
		if err := xfrm.RemoveAddresses(l.Addresses); err != nil {
			return err
		}
		if l.Resolv != "" {
			r := &resolver{file: l.Resolv, command: l.Resolvcmd, name: g.name}
			if err := r.remove(); err != nil {
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

// serve answers on the control socket.
func (g *guard) serve(c *connection) error {
	path := runFile(g.name, ".sock")
	if err := ignoreMissing(os.Remove(path)); err != nil {
		return err
	}
	old := unix.Umask(0o077)
	ln, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return fmt.Errorf("open the control socket: %w", err)
	}
	g.ln = ln
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go answerControl(c, conn)
		}
	}()
	return nil
}

func answerControl(c *connection, conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(controlTimeout))
	line, err := bufio.NewReader(io.LimitReader(conn, 256)).ReadString('\n')
	if err != nil {
		return
	}
	switch strings.TrimSpace(line) {
	case "status":
		_ = json.NewEncoder(conn).Encode(c.status())
	case "down":
		fmt.Fprintln(conn, "{}")
		c.end(errDown)
	case "rekey":
		c.life.mu.Lock()
		if r := c.life.current; r != nil && r.handle != nil {
			r.handle.Rekey()
			r.handle.RekeyChildren()
		}
		c.life.mu.Unlock()
		fmt.Fprintln(conn, "{}")
	case "attest":
		select {
		case c.life.reauth <- "tnc attest asks for it":
		default:
		}
		fmt.Fprintln(conn, "{}")
	}
}

// connectionStatus is what tnc status shows; its JSON names are an interface.
type connectionStatus struct {
	Connection     string    `json:"connection"`
	State          string    `json:"state"` // connecting, up, reconnecting
	PID            int       `json:"pid"`
	Since          time.Time `json:"since,omitzero"`
	Attested       time.Time `json:"attested,omitzero"`
	Gateway        string    `json:"gateway"`
	GatewayID      string    `json:"gateway_id,omitempty"`
	Identity       string    `json:"identity"`
	Recommendation string    `json:"recommendation"`
	Assessment     string    `json:"assessment,omitempty"`
	IKEProposal    string    `json:"ike_proposal,omitempty"`
	Dataplane      string    `json:"dataplane"`
	Device         string    `json:"device,omitempty"`
	VirtualIPs     []string  `json:"virtual_ips,omitempty"`
	DNS            []string  `json:"dns,omitempty"`
	Children       []child   `json:"children,omitempty"`
	Rekeyings      int       `json:"rekeyings"`
	Reconnects     int       `json:"reconnects"`
	PacketsIn      uint64    `json:"packets_in"`
	BytesIn        uint64    `json:"bytes_in"`
	PacketsOut     uint64    `json:"packets_out"`
	BytesOut       uint64    `json:"bytes_out"`
}

func (c *connection) status() connectionStatus {
	c.life.mu.Lock()
	defer c.life.mu.Unlock()
	s := connectionStatus{
		Connection: c.conn.Name, State: c.life.state, PID: os.Getpid(), Since: c.life.since, Attested: c.life.attested,
		Gateway: c.out.Gateway, GatewayID: c.out.GatewayID, Identity: c.out.Identity, Recommendation: c.out.Recommendation,
		Assessment: c.out.Assessment, IKEProposal: c.out.IKEProposal, Dataplane: "none", Rekeyings: c.life.rekeys, Reconnects: c.life.reconnects,
	}
	for _, a := range c.life.internal.Addresses {
		s.VirtualIPs = append(s.VirtualIPs, a.Addr().String())
	}
	for _, d := range c.life.internal.DNS {
		s.DNS = append(s.DNS, d.String())
	}
	for _, ch := range c.life.children {
		s.Children = append(s.Children, *ch)
	}
	sort.Slice(s.Children, func(i, j int) bool { return s.Children[i].SPIIn < s.Children[j].SPIIn })
	switch p := c.plane.(type) {
	case *devicePlane:
		s.Dataplane = string(p.kind)
		if p.plane != nil {
			st := p.plane.Stats()
			s.Device = p.plane.Device()
			s.PacketsIn, s.BytesIn, s.PacketsOut, s.BytesOut = st.InPackets, st.InBytes, st.OutPackets, st.OutBytes
		}
	case *kernelPlane:
		s.Dataplane = string(esp.XFRM)
	}
	return s
}

func (s *connectionStatus) write(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(t, "  %s\t%s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	fmt.Fprintf(t, "%s\t%s\n", s.Connection, s.State)
	if !s.Since.IsZero() {
		row("since", "%s (%v)", s.Since.Format(time.DateTime), time.Since(s.Since).Round(time.Second))
	}
	row("gateway", "%s, %s", s.GatewayID, s.Gateway)
	row("identity", "%s", s.Identity)
	decision := s.Recommendation
	if s.Assessment != "" {
		decision += ", " + s.Assessment
	}
	row("decision", "%s", decision)
	if s.IKEProposal != "" {
		row("IKE_SA", "%s", strings.TrimPrefix(s.IKEProposal, "IKE:"))
	}
	for _, c := range s.Children {
		row("CHILD_SA", "%s: %s, %s === %s, SPIs %s_i %s_o", c.Name, strings.TrimPrefix(c.Proposal, "ESP:"),
			strings.Join(c.LocalTS, " "), strings.Join(c.RemoteTS, " "), c.SPIIn, c.SPIOut)
	}
	if len(s.VirtualIPs) > 0 {
		row("virtual IP", "%s", strings.Join(s.VirtualIPs, " "))
	}
	if len(s.DNS) > 0 {
		row("DNS", "%s", strings.Join(s.DNS, " "))
	}
	row("data plane", "%s %s", s.Dataplane, s.Device)
	row("traffic", "in %d packets, %d bytes; out %d packets, %d bytes", s.PacketsIn, s.BytesIn, s.PacketsOut, s.BytesOut)
	row("rekeyings", "%d, reconnections %d", s.Rekeyings, s.Reconnects)
	_ = t.Flush()
}

// ask sends a word to a connection that is up.
func ask(ctx context.Context, path, word string) ([]byte, error) {
	d := net.Dialer{Timeout: controlTimeout}
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(controlTimeout))
	if _, err := fmt.Fprintln(conn, word); err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(conn, maxRunFile))
}

// isUp reports whether somebody holds the lock of a connection.
func isUp(name string) bool {
	f, err := os.Open(runFile(name, ".lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	if unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB) != nil {
		return true
	}
	return false
}

func newStatus() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status [NAME]",
		Short: "Show the connections that are up",
		Example: `  tnc status
  tnc status home --json | jq -r .[0].state`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			names, err := filepath.Glob(filepath.Join(runDir(), "*.sock"))
			if err != nil {
				return err
			}
			all := []connectionStatus{}
			for _, path := range names {
				b, err := ask(cmd.Context(), path, "status")
				if errors.Is(err, os.ErrPermission) {
					return fmt.Errorf("ask the connection behind %s: %w: run as root", path, err)
				}
				var s connectionStatus
				if err != nil || json.Unmarshal(b, &s) != nil {
					continue // it was killed
				}
				if len(args) == 0 || s.Connection == args[0] {
					all = append(all, s)
				}
			}
			w := cmd.OutOrStdout()
			if asJSON {
				enc := json.NewEncoder(w)
				enc.SetIndent("", "  ")
				if err := enc.Encode(all); err != nil {
					return err
				}
			}
			switch {
			case len(all) == 0 && len(args) == 1:
				return fmt.Errorf("connection %q is not up: start it with tnc up %s", args[0], args[0])
			case len(all) == 0 && !asJSON:
				fmt.Fprintln(w, "no connection is up")
			case !asJSON:
				for i := range all {
					all[i].write(w)
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newDown() *cobra.Command {
	return &cobra.Command{
		Use:     "down NAME",
		Short:   "End a connection in order",
		Long:    "Ends a connection that tnc up keeps: the gateway is told, and what was made is\nremoved. Returns when all of it is done.",
		Example: "  sudo tnc down home",
		Args:    oneConnection,
		RunE: func(cmd *cobra.Command, args []string) error {
			_, err := ask(cmd.Context(), runFile(args[0], ".sock"), "down")
			switch {
			case errors.Is(err, os.ErrPermission):
				return fmt.Errorf("end connection %q: %w: run as root", args[0], err)
			case err != nil && !isUp(args[0]):
				return fmt.Errorf("connection %q is not up", args[0])
			case err != nil:
				return fmt.Errorf("end connection %q: %w", args[0], err)
			}
			end := time.Now().Add(downTimeout)
			for isUp(args[0]) {
				if time.Now().After(end) {
					return fmt.Errorf("connection %q did not end within %v", args[0], downTimeout)
				}
				select {
				case <-cmd.Context().Done():
					return cmd.Context().Err()
				case <-time.After(50 * time.Millisecond):
				}
			}
			return nil
		},
	}
}
