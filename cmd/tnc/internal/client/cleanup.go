package client

import (
	"context"
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
	NameServers *resolvconf.Place `json:"name_servers,omitempty"`
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
	return f.writeFile(recordExt, b, 0o600)
}

// readRecord reads a record; one that is broken holds nothing.
func readRecord(path string) (r cleanupRecord, err error) {
	b, err := readLimited(path, maxRunFile)
	if err != nil {
		return r, err
	}
	if json.Unmarshal(b, &r) != nil {
		return cleanupRecord{}, nil
	}
	return r, nil
}

// cleanUp removes what a killed run left, and reports whether there was one.
func (f *runFiles) cleanUp(logger *slog.Logger) (killed bool, err error) {
	r, err := readRecord(f.path(recordExt))
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if r.NetNS == netNS() {
		log.Group(logger, log.DMN).Info("an earlier run was killed, removing what it left")
		if err := dataplane.RemoveLeftovers(r.Leftovers, backends()...); err != nil {
			return true, err
		}
		if err := r.removeNameServers(); err != nil {
			return true, err
		}
	}
	return true, ignoreMissing(os.Remove(f.path(recordExt)))
}

// removeNameServers takes the name servers away that a killed run left.
func (r *cleanupRecord) removeNameServers() error {
	if r.NameServers == nil {
		return nil
	}
	return r.NameServers.Remove(context.Background())
}
