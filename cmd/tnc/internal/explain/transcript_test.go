package explain

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tnccs"
)

// What the verifiers of others ask for: every attribute has a line.
func TestRowsOfForeignVerifiers(t *testing.T) {
	message := func(as ...patnc.Value) []byte {
		m := patnc.Message{ID: 1}
		for _, a := range as {
			m.Attributes = append(m.Attributes, patnc.Skip(a))
		}
		b, err := m.AppendBinary(nil)
		require.NoError(t, err)
		return b
	}
	tr := &Transcript{}
	ask := func(imcs []string, as ...patnc.Value) {
		tr.Add(tnccs.Exchange{IMCs: imcs, IMC: tnccs.AnyIMC, IMV: 3, Vendor: 0x5597, Subtype: 1, Body: message(as...)})
	}
	say := func(as ...patnc.Value) {
		tr.Add(tnccs.Exchange{Sent: true, IMCs: []string{"OS"}, IMC: 1, IMV: tnccs.AnyIMV, Vendor: 0x5597, Subtype: 1, Body: message(as...)})
	}
	raw := func(vendor, typ uint32) patnc.Value {
		return patnc.Raw{T: patnc.Type{Vendor: vendor, Type: typ}, Data: []byte("x")}
	}
	ask([]string{"OS"}, patnc.AttributeRequest{Types: []patnc.Type{patnc.TypeInstalledPackages, patnc.TypeStringVersion}},
		pts.GetTPMVersionInformation{}, pts.GetAIK{}, patnc.GetSettings{Names: []string{"a", "b"}}, raw(0, 13), raw(0x123456, 7))
	ask([]string{"OS"}, pts.RequestProtocolCapabilities{}, pts.MeasurementAlgorithm{Algorithms: pts.SHA256}, patnc.ContractRequest{Contract: patnc.Contract{MaxMessage: 1 << 20, MaxSegment: 1000}})
	say(pts.ProtocolCapabilities{Capabilities: pts.CapVerify | pts.CapTPM | pts.CapDHNonce}, pts.MeasurementAlgorithmSelection{Algorithm: pts.SHA256},
		patnc.ContractResponse{Contract: patnc.Contract{MaxMessage: patnc.NoLimit, MaxSegment: 1000}})
	say(patnc.StringVersion{Version: "12"}, patnc.InstalledPackages{Packages: make([]patnc.Package, 3)}, patnc.Settings{}, patnc.Raw{T: patnc.Type{Type: 14}, Data: []byte{0, 0, 3, 0x1f, 0}})
	say(patnc.Error{Vendor: patnc.VendorTCG, Code: uint32(pts.ErrorTPMVersionUnavailable)})
	ask(nil, patnc.AttributeRequest{Types: []patnc.Type{patnc.TypePortFilter}})
	tr.Add(tnccs.Exchange{Sent: true, IMCs: []string{"Noise"}, Vendor: 1, Subtype: 1, Body: []byte("noise")})
	// A long answer in segments.
	inner, err := patnc.Skip(patnc.DeviceID{ID: "device-1234"}).AppendBinary(nil)
	require.NoError(t, err)
	say(patnc.SegmentEnvelope{More: true, Start: true, BaseMessageID: 5, Data: inner[:10]})
	say(patnc.SegmentEnvelope{BaseMessageID: 5, Data: inner[10:]})

	var b strings.Builder
	WriteTable(&b, tr.Rows())
	text := b.String()
	require.Regexp(t, `IMV 3 of PTS +names and versions of the installed packages +OS +3 packages`, text)
	require.Regexp(t, `IMV 3 of PTS +version of the operating system +OS +"12"`, text)
	require.Regexp(t, `IMV 3 of PTS +version and maker of the TPM +OS +refused: `, text)
	require.Regexp(t, `IMV 3 of PTS +certificate or key that the TPM signs with +- +-`, text)
	require.Regexp(t, `IMV 3 of PTS +settings of this machine: a, b +OS +none`, text)
	require.Regexp(t, `IMV 3 of PTS +the software installed on this machine +OS +799 names of installed software\n`, text)
	require.Regexp(t, `IMV 3 of PTS +attribute 0x123456/0x00000007 +- +-`, text)
	require.Regexp(t, `IMV 3 of PTS +which network ports are open or blocked +- +nothing: no IMC is there for it`, text)
	require.Regexp(t, `nobody +5 octets about .* that are no PA-TNC message +Noise`, text)
	require.Regexp(t, `nobody +the ID of this device +OS +device-1234`, text)
	require.Regexp(t, `what this machine's measuring can do +OS +files, evidence of the TPM, nonces of both ends\n`, text)
	require.Regexp(t, `which digest algorithm to measure with +OS +SHA-256\n`, text)
	require.Regexp(t, `how large messages may be +OS +messages of any size in segments of 1000 octets\n`, text)
	WriteTable(&b, nil)
	require.Contains(t, b.String(), "asked for nothing")
}

// A verifier that asks for more than anybody reads gets no table without end, and
// making it does not take for ever.
func TestRowsAreBounded(t *testing.T) {
	tr := &Transcript{}
	add := func(sent bool, as ...patnc.Attribute) {
		b, err := patnc.Message{ID: 1, Attributes: as}.AppendBinary(nil)
		require.NoError(t, err)
		tr.Add(tnccs.Exchange{Sent: sent, IMCs: []string{"A"}, IMV: 3, Vendor: 0x5597, Subtype: 1, Body: b})
	}
	const messages, each = 200, 1000
	for m := range messages {
		var ask, say []patnc.Attribute
		for i := range each {
			id := uint16(m*each + i)
			ask = append(ask, patnc.NoSkip(pts.RequestFileMeasurement{RequestID: id, Path: "/x"}))
			say = append(say, patnc.Skip(pts.FileMeasurement{RequestID: id}))
		}
		add(false, ask...)
		add(true, say...)
	}
	start := time.Now()
	rows := tr.Rows()
	require.Less(t, time.Since(start), 20*time.Second)
	require.Len(t, rows, maxRows+1)
	require.Len(t, rows[0].Answers, 1)
	require.Equal(t, fmt.Sprintf("%d more questions and answers, too many to be told", messages*each-maxRows), rows[maxRows].Asked)
}
