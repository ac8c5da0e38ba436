//go:build cgo && unix

package dlimc

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs/pb"
)

// An IMC sees the environment that it is given, in a child and in process, and
// this process keeps its own.
func TestEnvironment(t *testing.T) {
	t.Setenv("GOTNC_TEST_VALUE", "of the process")
	e := buildIMC(t, "ENVIRONMENT")
	for _, o := range []Config{{}, {InProcess: true}} {
		for want, env := range map[string][]string{
			"of the process": nil,
			"given":          append(os.Environ(), "GOTNC_TEST_VALUE=first", "GOTNC_TEST_VALUE=given", "GOTNC_TEST_NEW=1"),
		} {
			o.Env = env
			c, _, first, _ := run(t, e, o)
			require.Equal(t, []byte(want), parse(t, first).Messages[1].(pb.PA).Body)
			require.Equal(t, "of the process", os.Getenv("GOTNC_TEST_VALUE"))
			_, set := getenv("GOTNC_TEST_NEW")
			require.False(t, set)
			require.NoError(t, c.Close())
		}
	}
}
