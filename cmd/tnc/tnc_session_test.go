package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs"
)

// Sessions of attempts that failed, and those that a gateway begins anew, do not
// pile up in a client that stays for months.
func TestSessionsThatNobodyNeedsEnd(t *testing.T) {
	var lines strings.Builder
	client, err := tnccs.NewClient(tnccs.Config{Logger: log.NewWriter(&lines, slog.LevelInfo)})
	require.NoError(t, err)
	defer client.Close()
	c := &connection{client: client}
	open := func() int {
		return strings.Count(lines.String(), "assigned TNCCS Connection ID") - strings.Count(lines.String(), "removed TNCCS Connection ID")
	}
	for range 5 {
		c.newSession()
	}
	require.Equal(t, 1, open())
	run := &ikeRun{session: c.session}
	c.life.runs = append(c.life.runs, run)
	c.newSession()
	require.Equal(t, 2, open(), "the IKE_SA that stands keeps its own")
	c.life.runs = nil
	c.newSession()
	require.Equal(t, 2, open())
}
