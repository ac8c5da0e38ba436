package client

import (
	"encoding/json"
	"errors"
	"log/slog"
	"os"

	"github.com/gotnc/gotnc/cmd/tnc/internal/resolvconf"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/internal/base/log"
)

// cleanupRecord is what outlives a process that is killed. It is written before
// that is made.
type cleanupRecord struct {
	NetNS string `json:"netns"` // where the data plane's leftovers are
	dataplane.Leftovers
	Resolv    string `json:"resolv_conf,omitempty"`
	Resolvcmd string `json:"resolvconf,omitempty"`
}

func netNS() string {
	s, _ := os.Readlink("/proc/thread-self/ns/net")
	return s
}

// recordCleanup records what the data plane is about to make for these CHILD_SAs.
func (c *Client) recordCleanup(children ...*ike.ChildSA) error {
	if c.runDir == nil {
		return nil
	}
	c.record.Leftovers = c.plane.Leftovers(children...)
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
	if err := dataplane.RemoveLeftovers(r.Leftovers, backends()...); err != nil {
		return err
	}
	if r.Resolv != "" {
		resolver := &resolvconf.Resolver{File: r.Resolv, Command: r.Resolvcmd, Name: name}
		return resolver.Remove()
	}
	return nil
}
