package text

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain":             "plain",
		"Grüße, 世界":         "Grüße, 世界",
		"a\x1b[2Jb\x7f":     "a [2Jb ",
		"two\nlines\tand\r": "two lines and ",
		"\u009bq\u2028":     " q ",
		"gpj.\u202etxt":     "gpj. txt",
		"bad\xffoctet":      "bad\uFFFDoctet",
	} {
		require.Equal(t, want, Printable(in))
	}
}
