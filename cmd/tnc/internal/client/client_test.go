package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/dataplanetest"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/imc/imv"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
	"github.com/gotnc/gotnc/tnccs"
)

const (
	gatewayName = "moon.gotnc.test"
	userName    = "carol@gotnc.test"
	password    = "Ar3etTnp"
)

// site is a gateway and a profile of a client without IMCs.
type site struct {
	t    *testing.T
	gw   *gateway.Gateway
	dir  string
	name string // of the connection; "" = home
}

// newSite starts a gateway; change may alter it.
func newSite(t *testing.T, change func(*gateway.Config)) *site {
	t.Helper()
	ca, err := testpki.NewCA("gotnc test CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue(gatewayName, testpki.ECDSA, nil)
	require.NoError(t, err)
	cfg := gateway.Config{Identity: gatewayName, Certificate: cert, Users: map[string]string{userName: password}, Policy: imv.Policy{Force: imv.Allow}}
	if change != nil {
		change(&cfg)
	}
	gw, err := gateway.Listen(cfg)
	require.NoError(t, err)
	served := make(chan error, 1)
	go func() { served <- gw.Serve(context.Background()) }()
	t.Cleanup(func() {
		require.NoError(t, gw.Close())
		require.NoError(t, <-served)
	})
	s := &site{t: t, gw: gw, dir: t.TempDir()}
	s.write("x509ca/ca.pem", string(ca.PEM()))
	s.write("tnc_config", "")
	s.write("strongswan.conf", "charon {\n port = 0\n port_nat_t = 0\n retransmit_timeout = 0.3\n retransmit_tries = 1\n}\n")
	s.swanctl(password)
	return s
}

func (s *site) write(name, content string) {
	s.t.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(s.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(s.t, os.WriteFile(path, []byte(content), 0o600))
}

func (s *site) replace(old, new string) {
	s.t.Helper()
	b, err := os.ReadFile(filepath.Join(s.dir, "swanctl.conf"))
	require.NoError(s.t, err)
	require.Contains(s.t, string(b), old)
	s.write("swanctl.conf", strings.ReplaceAll(string(b), old, new))
}

func (s *site) swanctl(secret string) {
	s.write("swanctl.conf", fmt.Sprintf(`connections {
  home {
    remote_addrs = %s
    remote_port = %d
    vips = 0.0.0.0
    local {
      auth = eap-ttls
      id = %s
    }
    remote {
      auth = eap-ttls
      id = %s
    }
    children {
      home {
        remote_ts = 10.1.0.0/16
      }
    }
    version = 2
  }
}
secrets {
  eap {
    id = %[3]s
    secret = "%[5]s"
  }
}
`, s.gw.Addr().Addr(), s.gw.Addr().Port(), userName, gatewayName, secret))
}

// client makes a Client; change may alter its configuration.
func (s *site) client(change func(*Config)) *Client {
	s.t.Helper()
	p, err := profile.Files{
		Swanctl: filepath.Join(s.dir, "swanctl.conf"), Strongswan: filepath.Join(s.dir, "strongswan.conf"), TNCConfig: filepath.Join(s.dir, "tnc_config"),
	}.Load("home", nil)
	require.NoError(s.t, err)
	p.Connection.Name = cmp.Or(s.name, "home")
	cfg := Config{Profile: p, RunDir: RunDir(filepath.Join(s.dir, "run"))}
	if change != nil {
		change(&cfg)
	}
	c, err := New(s.t.Context(), cfg)
	require.NoError(s.t, err)
	s.t.Cleanup(func() {
		c.Close()
		p.Close()
	})
	return c
}

// What a connection comes to, as a type, for each decision of the verifier.
func TestResult(t *testing.T) {
	for _, c := range []struct {
		force imv.Recommendation
		want  Recommendation
		up    bool
	}{{imv.Allow, Allowed, true}, {imv.Isolate, Isolated, true}, {imv.Deny, Denied, false}} {
		t.Run(string(c.want), func(t *testing.T) {
			s := newSite(t, func(g *gateway.Config) {
				g.Policy = imv.Policy{Force: c.force, Reason: "the test wants it", Remediation: "https://example.org/fix"}
			})
			r, err := s.client(nil).Run(t.Context())
			require.Equal(t, c.want, r.Recommendation())
			require.Equal(t, c.up, r.Up)
			require.Equal(t, c.up, r.Child != nil)
			require.Equal(t, "home", r.Connection)
			require.Equal(t, s.gw.Addr(), r.Gateway)
			require.Equal(t, userName, r.Identity)
			require.Equal(t, MutualNone, r.Mutual)
			require.Empty(t, r.IMCs)
			require.Positive(t, r.Exchanges)
			require.Positive(t, r.BytesSent)
			require.Positive(t, r.BytesReceived)
			require.Positive(t, r.Duration)
			require.Less(t, r.Duration, 30*time.Second)
			require.Positive(t, r.Outcome.BatchesReceived)
			if c.force != imv.Allow {
				require.Equal(t, "the test wants it", r.Outcome.Reasons[0].Text)
				require.Equal(t, "https://example.org/fix", r.Outcome.Remediation[0].URI)
			}
			if !c.up {
				require.ErrorIs(t, err, eap.ErrFailure)
				return
			}
			require.NoError(t, err)
			require.Equal(t, gatewayName, r.GatewayID)
			require.True(t, strings.HasPrefix(r.IKEProposal, "IKE:"), r.IKEProposal)
			require.Equal(t, []string{"10.1.0.0/16"}, r.Child.RemoteTS)
		})
	}
}

func TestResultOfFailures(t *testing.T) {
	for name, c := range map[string]struct {
		gateway func(*gateway.Config)
		secret  string
		want    error
	}{
		"wrong password":    {nil, "wrong", ike.ErrEAP},
		"silent gateway":    {func(g *gateway.Config) { g.Faults.Silent = true }, password, ike.ErrNoAnswer},
		"no proposal":       {func(g *gateway.Config) { g.Faults.NoProposal = true }, password, ike.ErrProposal},
		"no child":          {func(g *gateway.Config) { g.Faults.NoChildProposal = true }, password, ike.ErrChild},
		"bad AUTH":          {func(g *gateway.Config) { g.Faults.BadAuth = true }, password, ike.ErrGatewayAuth},
		"success too early": {func(g *gateway.Config) { g.Faults.EarlySuccess = true }, password, ike.ErrEAP},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, c.gateway)
			s.swanctl(c.secret)
			up := false
			r, err := s.client(func(cfg *Config) { cfg.OnUp = func(Result) { up = true } }).Run(t.Context())
			require.ErrorIs(t, err, c.want)
			require.False(t, r.Up)
			require.False(t, up)
			require.Nil(t, r.Child)
			require.Equal(t, s.gw.Addr(), r.Gateway)
		})
	}
}

// A gateway that asks for no attestation is connected to, with no recommendation.
func TestResultWithoutAttestation(t *testing.T) {
	s := newSite(t, func(g *gateway.Config) { g.Phase2 = []string{gateway.MethodMD5} })
	r, err := s.client(nil).Run(t.Context())
	require.NoError(t, err)
	require.True(t, r.Up)
	require.Equal(t, None, r.Recommendation())
	require.Zero(t, r.Outcome)
}

// A gateway that has to be measured, and is not, is refused.
func TestResultOfMutualMeasurement(t *testing.T) {
	s := newSite(t, nil)
	s.write("strongswan.conf", "charon {\n port = 0\n port_nat_t = 0\n plugins { tnccs-20 { mutual = yes } }\n}\ntnc { mutual { required = yes } }\n")
	r, err := s.client(nil).Run(t.Context())
	require.ErrorIs(t, err, tnccs.ErrPeerUnmeasured)
	require.Equal(t, MutualUnmeasured, r.Mutual)
	require.Nil(t, r.Child)
}

// A connection that stays: its status while it runs and through the control
// socket, a second run, a new attestation, its end.
func TestStatusOfAConnectionThatStays(t *testing.T) {
	s := newSite(t, func(g *gateway.Config) { g.Policy.Force = imv.Isolate })
	var c *Client
	ups := make(chan Result, 4)
	plane := &dataplanetest.Plane{Describes: dataplane.Info{Kind: dataplane.TUN, Carries: true, Device: "tnc7"}}
	c = s.client(func(cfg *Config) {
		cfg.Stay, cfg.Plane = true, plane
		cfg.OnUp = func(r Result) {
			require.Equal(t, Up, c.Status().State, "OnUp may ask")
			ups <- r
		}
	})
	require.Empty(t, c.Status().State)
	type end struct {
		r   Result
		err error
	}
	ended := make(chan end, 1)
	go func() {
		r, err := c.Run(t.Context())
		ended <- end{r, err}
	}()
	up := <-ups
	require.True(t, up.Up)
	require.Equal(t, Isolated, up.Recommendation())

	st := c.Status()
	require.Equal(t, Up, st.State)
	require.Equal(t, os.Getpid(), st.PID)
	require.Equal(t, Isolated, st.Recommendation)
	require.Equal(t, s.gw.Addr().String(), st.Gateway)
	require.Equal(t, gatewayName, st.GatewayID)
	require.Equal(t, userName, st.Identity)
	require.Equal(t, "tun", st.Dataplane)
	require.Equal(t, "tnc7", st.Device)
	require.Len(t, st.VirtualIPs, 1)
	require.Equal(t, []ChildStatus{{Child: *up.Child}}, st.Children)
	require.WithinDuration(t, time.Now(), st.Since, 30*time.Second)
	require.Zero(t, st.Rekeyings)

	dir := c.cfg.RunDir
	require.Equal(t, []string{"home"}, dir.Names())
	all, err := dir.Statuses(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, st.Children, all[0].Children)

	require.FileExists(t, dir.file("home", recordExt), "what to remove, if it is killed")
	_, err = New(t.Context(), c.cfg)
	var isUp *UpError
	require.ErrorAs(t, err, &isUp)
	require.Equal(t, "home", isUp.Connection)

	_, err = ask(t.Context(), dir.file("home", socketExt), "attest")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return c.Status().Attested.After(st.Attested) }, 30*time.Second, 10*time.Millisecond, "a new attestation")
	require.Empty(t, ups, "it is up once")

	down := make(chan error, 1)
	go func() {
		_, err := dir.Down(t.Context(), "home")
		down <- err
	}()
	e := <-ended
	require.NoError(t, e.err, "the user ended it")
	require.True(t, e.r.Up)
	require.Equal(t, Isolated, e.r.Recommendation())
	require.Equal(t, up.Duration, e.r.Duration, "until it was up")
	c.Close()
	require.NoError(t, <-down)
	require.NoFileExists(t, dir.file("home", recordExt))
	calls := plane.Calls()
	require.Equal(t, "attach", calls[0])
	require.Regexp(t, "^install home [0-9a-f]{8}$", calls[1])
	require.Equal(t, "close", calls[len(calls)-1], "%v", calls)
	_, err = dir.Down(t.Context(), "home")
	require.ErrorIs(t, err, ErrNotUp)
	for _, g := range s.gw.Report().Clients {
		require.NotEqual(t, gateway.Failed, g.State, g.Failure)
	}
}

// A context that is done ends a connection that is up in order, and one that is
// not with an error.
func TestInterruptedRun(t *testing.T) {
	s := newSite(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	c := s.client(func(cfg *Config) {
		cfg.Stay, cfg.Dataplane = true, "none"
		cfg.OnUp = func(Result) { cancel() }
	})
	r, err := c.Run(ctx)
	require.NoError(t, err)
	require.True(t, r.Up)

	s = newSite(t, func(g *gateway.Config) { g.Faults.SilentAfter = 3 })
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	ctx, stop := context.WithCancel(ctx)
	time.AfterFunc(100*time.Millisecond, stop)
	r, err = s.client(nil).Run(ctx)
	require.Error(t, err)
	require.True(t, errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded), "%v", err)
	require.False(t, r.Up)
}

// What is logged goes to the logger, with the program's version.
func TestLogAndProgress(t *testing.T) {
	var mu sync.Mutex
	var lines, steps strings.Builder
	s := newSite(t, nil)
	_, err := s.client(func(cfg *Config) {
		cfg.Version, cfg.Logger = "v9", log.NewWriter(&lines, log.LevelDetail)
		cfg.Progress = func(format string, args ...any) {
			mu.Lock()
			fmt.Fprintf(&steps, format+"\n", args...)
			mu.Unlock()
		}
	}).Run(t.Context())
	require.NoError(t, err)
	require.Contains(t, lines.String(), "Starting IKEv2 client tnc v9 (")
	require.Contains(t, lines.String(), "added configuration 'home'")
	mu.Lock()
	defer mu.Unlock()
	require.Contains(t, steps.String(), "connecting to "+s.gw.Addr().String())
	require.Contains(t, steps.String(), "attestation begins")
}
