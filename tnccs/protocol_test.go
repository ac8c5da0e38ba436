package tnccs

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDetect(t *testing.T) {
	for b, want := range map[string]Protocol{
		"\x02": ProtocolPB, "<?xml": ProtocolXML, "\n<": ProtocolXML, "\t": ProtocolXML, "\r": ProtocolXML, " ": ProtocolXML,
		"": "", "\x00": "", "\x03": "",
	} {
		p, err := Detect([]byte(b))
		require.Equal(t, want, p, "%q", b)
		require.Equal(t, want == "", errors.Is(err, ErrProtocol))
	}
	_, err := NewClient(Config{Protocol: "tnccs-3.0"})
	require.ErrorContains(t, err, "tnccs-dynamic")
}
