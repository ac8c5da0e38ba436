package explain

import (
	"reflect"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tnccs"
)

// goValue matches what fmt makes of a struct or of octets.
var goValue = regexp.MustCompile(`\[[0-9 ]*\]|\{|\}|0x[0-9a-f]{6}|%!`)

// Each attribute, asked and sent, is told in words: no list of numbers, no struct, no number
// in place of a name.
func TestEveryAttributeHasWords(t *testing.T) {
	some := []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}
	for _, v := range []patnc.Value{
		pts.RequestFunctionalComponentEvidence{}, pts.GenerateAttestationEvidence{}, pts.SimpleComponentEvidence{}, pts.SimpleEvidenceFinal{},
		pts.RequestFileMetadata{Path: "/x"}, pts.UnixFileMetadata{}, pts.RequestFileMeasurement{Path: "/x"}, pts.FileMeasurement{},
		pts.RequestProtocolCapabilities{}, pts.ProtocolCapabilities{}, pts.DHNonceParametersRequest{MinNonce: 20},
		pts.DHNonceParametersResponse{Nonce: some, Public: some}, pts.DHNonceFinish{Nonce: some, Public: some}, pts.MeasurementAlgorithm{},
		pts.MeasurementAlgorithmSelection{Algorithm: pts.SHA256}, pts.GetTPMVersionInformation{}, pts.TPMVersionInformation{Info: some}, pts.GetAIK{}, pts.AIK{},
		patnc.Raw{T: pts.TypeRequestIntegrityMeasurementLog, Data: some}, patnc.Raw{T: pts.TypeRequestRegistryValue, Data: some},
		patnc.Raw{T: pts.TypeRequestTemplateManifestMetadata, Data: some},
		patnc.ProductInformation{Name: "Debian"}, patnc.NumericVersion{}, patnc.StringVersion{}, patnc.OperationalStatus{}, patnc.PortFilter{}, patnc.InstalledPackages{},
		patnc.ForwardingStatus{}, patnc.FactoryDefaultPassword{}, patnc.DeviceID{ID: "x"}, patnc.Settings{}, patnc.Symlinks{}, patnc.GetSettings{}, patnc.GetSymlinks{},
		patnc.Command{}, patnc.Dummy{}, patnc.ContractRequest{}, patnc.ContractResponse{}, patnc.NextSegment{}, patnc.Error{Code: 1},
	} {
		name := reflect.TypeOf(v).String()
		require.NotRegexp(t, goValue, answerText(v), name)
		x := &explainer{segments: map[string][]byte{}, files: map[uint16]*Row{}}
		x.asked("the verifier", tnccs.Exchange{IMCs: []string{"A"}}, patnc.Skip(v))
		for _, r := range x.rows {
			require.NotRegexp(t, goValue, r.Asked, name)
			require.NotEmpty(t, r.Asked, name)
		}
	}
	require.Equal(t, "a random number of 16 octets against replays, and the half of a key", answerText(pts.DHNonceParametersResponse{Nonce: some, Public: some}))
}
