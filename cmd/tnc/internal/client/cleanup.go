package client

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"os"

	"github.com/gotnc/gotnc/cmd/tnc/internal/resolvconf"
	"github.com/gotnc/gotnc/ike/dataplane/xfrm"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/internal/base/log"
)

// cleanupRecord is what outlives a process that is killed. It is written before
// that is made.
type cleanupRecord struct {
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

// recordCleanup records what the data plane is about to make: rules, and with the
// kernel's the virtual IPs and the routes to remote.
func (c *Client) recordCleanup(gateway netip.AddrPort, virtual []netip.Prefix, remote []esp.Selector) error {
	if c.runDir == nil {
		return nil
	}
	charon := c.profile.Charon
	c.record = cleanupRecord{Gateway: gateway, Table: charon.RoutingTable, Priority: charon.RoutingTablePrio, Resolv: c.record.Resolv, Resolvcmd: c.record.Resolvcmd}
	if c.plane.Kind() == esp.XFRM {
		c.record.Kernel = true
		for _, a := range virtual {
			c.record.Addresses = append(c.record.Addresses, a.Addr())
		}
		for _, s := range remote {
			c.record.Routes = append(c.record.Routes, s.Prefixes()...)
		}
	}
	return c.runDir.save(c.record)
}

// save writes the record; without run files there is none.
func (f *runFiles) save(r cleanupRecord) error {
	if f == nil {
		return nil
	}
	r.NetNS = netNS()
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	tmp := f.path(recordExt + ".new")
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, f.path(recordExt))
}

// cleanUp removes what a killed run left.
func (f *runFiles) cleanUp(logger *slog.Logger) error {
	b, err := readLimited(f.path(recordExt), maxRunFile)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var r cleanupRecord
	if err := json.Unmarshal(b, &r); err == nil && r.NetNS == netNS() {
		log.Group(logger, log.DMN).Info("an earlier run was killed, removing what it left")
		if err := r.remove(f.name); err != nil {
			return err
		}
	}
	return ignoreMissing(os.Remove(f.path(recordExt)))
}

// remove removes what the record of the connection of that name holds.
func (r *cleanupRecord) remove(name string) error {
	if r.Gateway.IsValid() {
		if err := esp.RemoveStale(esp.Config{Gateway: r.Gateway, Table: r.Table, Priority: r.Priority}); err != nil {
			return err
		}
		if err := esp.RemoveStale(esp.Config{Table: r.Table, Priority: r.Priority}); err != nil {
			return err
		}
	}
	if r.Kernel {
		if err := xfrm.RemoveStale(xfrm.Config{Name: name, Table: r.Table}, r.Routes); err != nil {
			return err
		}
	}
	if err := xfrm.RemoveAddresses(r.Addresses); err != nil {
		return err
	}
	if r.Resolv != "" {
		resolver := &resolvconf.Resolver{File: r.Resolv, Command: r.Resolvcmd, Name: name}
		return resolver.Remove()
	}
	return nil
}
