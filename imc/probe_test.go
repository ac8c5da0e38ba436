package imc

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

// Which D-H groups are used, and when the mandatory one is insisted on.
func TestGroupsOfTheSettings(t *testing.T) {
	const all = pts.SupportedGroups
	for _, c := range []struct {
		groups, mandatory string
		result            Result
		offered, selected pts.DHGroups
		line              string
	}{
		{offered: all, selected: pts.ECP521, line: "  mandatory PTS DH group ECP_256[go] available"},
		{offered: pts.MODP1024, selected: pts.MODP1024, line: "  optional  PTS DH group MODP_1024[go] available"},
		{mandatory: "no", offered: all, selected: pts.ECP521},
		{groups: "ecp256 ECP384", offered: all, selected: pts.ECP384},
		{groups: "ecp256,ecp384", offered: pts.MODP1024 | pts.MODP2048, selected: 0},
		{groups: "modp2048", result: ResultFatal, line: "  mandatory PTS DH group ECP_256 not available"},
		{groups: "modp2048", mandatory: "no", offered: all, selected: pts.MODP2048},
		{groups: "modp4096, ecp256", offered: all, selected: pts.ECP256, line: "imc-attestation.dh_groups: modp4096 is no group"},
		{groups: "none", offered: all, selected: pts.ECP521, line: "imc-attestation.dh_groups: none is no group"},
	} {
		s := settingsMap{}
		if c.groups != "" {
			s["plugins.imc-attestation.dh_groups"] = c.groups
		}
		if c.mandatory != "" {
			s["plugins.imc-attestation.mandatory_dh_groups"] = c.mandatory
		}
		var lines bytes.Buffer
		cfg := Config{Settings: s, Logger: log.NewWriter(&lines, slog.LevelDebug)}
		if c.result != ResultSuccess {
			a := New(cfg)
			_, r := a.Initialize(1, 1, 1)
			require.Equal(t, c.result, r, "%+v", c)
			require.Equal(t, ResultNotInitialized, a.BeginHandshake(1, 1), "%+v", c)
		} else {
			h := &fakeHost{}
			a := start(t, cfg, h)
			in := request(t, patnc.NoSkip(pts.DHNonceParametersRequest{Groups: c.offered}))
			require.Equal(t, ResultSuccess, a.ReceiveMessage(2, 1, in, 0x00559701))
			answer := h.take()[0].message.Attributes[0].Value
			if c.selected == 0 {
				require.Equal(t, patnc.Error{Vendor: patnc.VendorTCG, Code: uint32(pts.ErrorDHGroup), Info: []byte{0, 0, 0x18, 0}}, answer, "the set in force")
			} else {
				require.Equal(t, c.selected, answer.(pts.DHNonceParametersResponse).Group, "%+v", c)
			}
		}
		require.Contains(t, lines.String(), c.line, "%+v", c)
	}
}

// An unknown hash_algorithm leaves no algorithm, as with strongSwan, and says so.
func TestUnknownHashAlgorithm(t *testing.T) {
	var lines bytes.Buffer
	h := &fakeHost{}
	a := start(t, Config{Settings: settingsMap{"plugins.imc-attestation.hash_algorithm": "md5"}, Logger: log.NewWriter(&lines, slog.LevelInfo)}, h)
	in := request(t, patnc.NoSkip(pts.MeasurementAlgorithm{Algorithms: 0xF000}))
	require.Equal(t, ResultSuccess, a.ReceiveMessage(2, 1, in, 0x00559701))
	require.Equal(t, patnc.Error{Vendor: patnc.VendorTCG, Code: uint32(pts.ErrorHashAlgorithm), Info: []byte{0, 0, 0, 0}}, h.take()[0].message.Attributes[0].Value)
	require.Equal(t, 1, strings.Count(lines.String(), "[PTS] unknown hash algorithm 'md5' configured"))
}
