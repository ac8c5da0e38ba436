package client

import (
	"encoding/json"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/dataplane/dataplanetest"
)

// FuzzControl: whatever is written to the control socket is answered with one JSON
// value or nothing.
func FuzzControl(f *testing.F) {
	for _, line := range []string{"status\n", "down\n", "rekey\n", "attest\n", "reattest\n", " status \r\n", "\x00\n", "status"} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		c := &Client{plane: &dataplanetest.Plane{}, stop: func(error) {}}
		ours, theirs := net.Pipe()
		go c.answerControl(theirs)
		go func() {
			_, _ = ours.Write(append(line, '\n'))
		}()
		answer, err := io.ReadAll(ours)
		require.NoError(t, err)
		if len(answer) > 0 {
			require.True(t, json.Valid(answer), "%q", answer)
		}
	})
}
