package usage

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFitText(t *testing.T) {
	require.Equal(t, `The first paragraph, which is rather long, longer than a line of a terminal
is, and so it is filled. Exit codes:
  0  it is done
  1  something that takes more than a line of a terminal to say, so that it
     goes on below
  tnc short    # stays
  # a comment
  tnc aik issue aik.request --ca-cert ca.pem --ca-key ca.key --ek-ca \
      manufacturer.pem --out x
  tnc a --much --much --much --much --much --much --much --much --much  b

Next.`, fitText(`The first paragraph, which is rather long, longer than a line
of a terminal is, and so it is filled.
Exit codes:
  0  it is done
  1  something that takes more than a line of a terminal to say, so that it goes on below
  tnc short    # stays
  tnc aik issue aik.request --ca-cert ca.pem --ca-key ca.key --ek-ca manufacturer.pem --out x    # a comment
  tnc a --much --much --much --much --much --much --much --much --much            b

Next.`))
	for l := range strings.Lines(fitText(strings.Repeat("word ", 500))) {
		require.LessOrEqual(t, len(l), helpWidth)
	}
}
