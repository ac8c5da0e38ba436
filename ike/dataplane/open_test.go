package dataplane

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/log"
)

func TestOpenChooses(t *testing.T) {
	notHere := errors.New("not here")
	ok := func() error { return nil }
	no := func() error { return notHere }
	for _, c := range []struct {
		want        Kind
		tun, kernel func() error
		chosen      Kind
		logs        string // or the error
	}{
		{Auto, ok, ok, TUN, "using data plane tun: TUN devices work here"},
		{"", ok, ok, TUN, "using data plane tun: TUN devices work here"},
		{Auto, ok, no, TUN, "using data plane tun: TUN devices work here"},
		{Auto, no, ok, XFRM, "using data plane xfrm: the kernel has ESP, and tun does not work: not here"},
		{Auto, no, no, "", "no data plane works here; tun: not here; xfrm: not here"},
		{TUN, ok, ok, TUN, "using data plane tun: as asked"},
		{TUN, no, ok, "", "use data plane tun: not here"},
		{XFRM, ok, no, "", "use data plane xfrm: not here"},
		{XFRM, no, ok, XFRM, "using data plane xfrm: as asked"},
		{None, no, no, None, "using data plane none: as asked, no traffic is carried"},
		{"vpp", ok, ok, "", "use data plane vpp: it is not part of this program"},
	} {
		var buf bytes.Buffer
		cfg := Config{Kind: c.want, Logger: log.NewWriter(&buf, slog.LevelInfo)}
		made := Kind("")
		backend := func(kind Kind, works string, probe func() error) Backend {
			return Backend{Kind: kind, Works: works, Probe: probe, New: func(got Config) Plane {
				require.Equal(t, c.want, got.Kind)
				made = kind
				return NewNone()
			}}
		}
		p, err := Open(cfg, backend(TUN, "TUN devices work here", c.tun), backend(XFRM, "the kernel has ESP", c.kernel))
		if c.chosen == "" {
			require.EqualError(t, err, c.logs)
			if c.want != "vpp" {
				require.ErrorIs(t, err, notHere)
			}
			require.Empty(t, buf.String())
			continue
		}
		require.NoError(t, err)
		require.NotNil(t, p)
		if c.chosen != None {
			require.Equal(t, c.chosen, made)
		}
		require.Equal(t, "[KNL] "+c.logs+"\n", buf.String())
	}
}

func TestLeftoversGoToTheirBackend(t *testing.T) {
	var got []Kind
	backend := func(kind Kind) Backend {
		return Backend{Kind: kind, RemoveLeftovers: func(l Leftovers) error { got = append(got, kind); return nil }}
	}
	for _, kind := range []Kind{XFRM, TUN, None, ""} {
		require.NoError(t, RemoveLeftovers(Leftovers{Kind: kind}, backend(TUN), backend(XFRM)))
	}
	require.Equal(t, []Kind{XFRM, TUN}, got)
}
