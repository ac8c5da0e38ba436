package client

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/tun"
	"github.com/gotnc/gotnc/ike/dataplane/xfrm"
	"github.com/gotnc/gotnc/ike/message"
)

// A gateway may rekey a CHILD_SA that was just refused, before the DELETE arrives.
func TestRekeyingWithoutADataPlane(t *testing.T) {
	for name, plane := range map[string]dataplane.Plane{"tun": tun.New(dataplane.Config{}), "xfrm": xfrm.New(dataplane.Config{}), "none": dataplane.NewNone()} {
		t.Run(name, func(t *testing.T) {
			c := &Client{plane: plane, failure: errors.New("refused"), profile: &profile.Profile{}}
			proposals, err := crypto.ParseProposals(message.ProtocolESP, []string{"aes128gcm16"})
			require.NoError(t, err)
			suite, err := crypto.SuiteOf(proposals[0])
			require.NoError(t, err)
			key := bytes.Repeat([]byte{1}, 20)
			child := &ike.ChildSA{Name: "home", SPIIn: 0xc0000001, SPIOut: 0xc0000002, ESP: suite,
				Keys:    &crypto.ChildKeys{Ei: key, Er: bytes.Clone(key)},
				LocalTS: []ike.TrafficSelector{message.SelectorFromPrefix(netip.MustParsePrefix("10.3.0.1/32"))}, RemoteTS: []ike.TrafficSelector{message.SelectorFromPrefix(netip.MustParsePrefix("10.1.0.0/16"))}}
			c.event(&ikeRun{spis: map[uint32]bool{}}, ike.ChildRekeyed{Child: child})
			require.Equal(t, make([]byte, 20), key, "its keys are zeroed")
		})
	}
}

// copy_df, copy_ecn and copy_dscp with strongSwan's defaults: yes, yes, out.
func TestOuterHeader(t *testing.T) {
	for text, want := range map[string]dataplane.OuterHeader{
		"":               {},
		"copy_df = no":   {NoDF: true},
		"copy_ecn = no":  {NoECN: true},
		"copy_dscp = in": {DSCP: dataplane.DSCPIn},
		"copy_dscp = no\ncopy_df = no\ncopy_ecn = no": {NoDF: true, NoECN: true, DSCP: dataplane.DSCPNone},
		"copy_dscp = yes\ncopy_ecn = yes":             {DSCP: dataplane.DSCPBoth},
	} {
		s := newSite(t, nil)
		b, err := os.ReadFile(filepath.Join(s.dir, "swanctl.conf"))
		require.NoError(t, err)
		s.write("swanctl.conf", strings.Replace(string(b), "remote_ts = 10.1.0.0/16", "remote_ts = 10.1.0.0/16\n"+text, 1))
		require.Equal(t, want, s.client(nil).planeConfig().ForChild("home").Outer, text)
	}
}
