package client

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/tnc"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// Sessions of attempts that failed, and those that a gateway starts over, do not
// pile up in a client that stays for months.
func TestSessionsThatNobodyNeedsEnd(t *testing.T) {
	var lines strings.Builder
	client, err := tnccs.NewClient(tnccs.Config{Logger: log.NewWriter(&lines, slog.LevelInfo)})
	require.NoError(t, err)
	defer client.Close()
	c := &Client{tnc: client}
	open := func() int {
		return strings.Count(lines.String(), "assigned TNCCS Connection ID") - strings.Count(lines.String(), "removed TNCCS Connection ID")
	}
	for range 5 {
		c.newSession()
	}
	require.Equal(t, 1, open())
	c.state.runs = append(c.state.runs, &ikeRun{session: c.state.session})
	c.newSession()
	require.Equal(t, 2, open(), "the IKE_SA that is up keeps its own")
	c.state.runs = nil
	c.newSession()
	require.Equal(t, 2, open())
}

// EAP-Success does not count before the gateway has been measured.
func TestSuccessBeforeTheMeasurementIsRefused(t *testing.T) {
	for _, required := range []bool{true, false} {
		tc, err := (&profile.Profile{Strongswan: config.New()}).TNC(nil, true)
		require.NoError(t, err)
		client, err := tnccs.NewClient(tnccs.Config{Mutual: tc.Mutual, MutualRequired: required})
		require.NoError(t, err)
		defer client.Close()
		c := &Client{tnc: client, profile: &profile.Profile{Strongswan: config.New()}}
		require.NoError(t, tncSession{c}.PeerVerdict(), "no attestation has begun")
		_, err = tncSession{c}.Begin(0, tnc.Protocol, tnc.VersionPT)
		require.NoError(t, err)
		require.Equal(t, !required, tncSession{c}.PeerVerdict() == nil)
		agreed, err := pb.Batch{FromServer: true, Type: pb.SDATA, Messages: []pb.Message{pb.MutualCapability{Protocols: pb.MutualHalfDuplex}}}.AppendBinary(nil)
		require.NoError(t, err)
		_, err = tncSession{c}.Receive(agreed)
		require.NoError(t, err)
		require.Error(t, tncSession{c}.PeerVerdict(), "it has agreed to be measured")
		require.ErrorIs(t, c.cause(eap.ErrEarly), tnccs.ErrPeerUnmeasured)
	}
}
