package log

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// The lines are strongSwan's, of one of its logs.
func TestOctetsAsStrongSwan(t *testing.T) {
	var b bytes.Buffer
	l := Group(NewWriter(&b, slog.LevelInfo), IMC)
	l.Info("created PA-TNC message:", Octets([]byte("\x01\x00\x00\x00\xF4\x33\x3B\x12\x00\x00\x00\x00\x00\x00\x00\x02\x00\x17da4\x7F")))
	l.Info("", Octets([]byte("da4")))
	l.Info("none", Octets([]byte{}))
	l.Debug("hidden", Octets([]byte{1}))
	require.Equal(t, "[IMC] created PA-TNC message: => 22 bytes\n"+
		"   0: 01 00 00 00 F4 33 3B 12 00 00 00 00 00 00 00 02  .....3;.........\n"+
		"  16: 00 17 64 61 34 7F                                ..da4.\n"+
		"[IMC] => 3 bytes\n"+
		"   0: 64 61 34                                         da4\n"+
		"[IMC] none => 0 bytes\n", b.String())
}
