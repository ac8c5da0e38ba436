package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/tnccs/dlimc"
)

func TestJSONHasASchema(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{
		{struct{}{}, "{\n  \"schema\": 1\n}\n"},
		{map[string]string{"a": "<b>"}, "{\n  \"schema\": 1,\n  \"a\": \"<b>\"\n}\n"},
		{[]int{}, "[]\n"},
		{[]any{map[string]int{"a": 1}, 2}, "[\n  {\n    \"schema\": 1,\n    \"a\": 1\n  },\n  2\n]\n"},
	} {
		var b bytes.Buffer
		require.NoError(t, WriteJSON(&b, c.value))
		require.Equal(t, c.want, b.String())
	}
	require.True(t, WantsJSON([]string{"up", "--jsn", "--json"}))
	require.False(t, WantsJSON([]string{"up", "--", "--json"}))
}

// docs/json.md lists the codes as ErrorCodes has them, in its order.
func TestErrorCodesAreDocumented(t *testing.T) {
	b, err := os.ReadFile("../../../../docs/json.md")
	require.NoError(t, err)
	_, section, ok := bytes.Cut(b, []byte("\n## error_code\n"))
	require.True(t, ok)
	section, _, _ = bytes.Cut(section, []byte("\n## "))
	var got [][2]string
	for _, m := range regexp.MustCompile("(?m)^\\| `(.*?)` \\| (.*) \\|$").FindAllSubmatch(section, -1) {
		got = append(got, [2]string{string(m[1]), string(m[2])})
	}
	var want [][2]string
	for _, c := range ErrorCodes {
		want = append(want, [2]string{c.Code, c.What})
	}
	require.Equal(t, want, got)
}

func TestErrorCodes(t *testing.T) {
	for want, err := range map[string]error{
		"usage":                  Configured(usage.Errorf("no")),
		"timeout":                &client.TimeoutError{Last: ike.ErrNoAnswer},
		"interrupted":            Explain(client.Result{}, context.Canceled),
		"configuration":          Configured(fmt.Errorf("swanctl.conf:3: no: %w", os.ErrNotExist)),
		"imc":                    Configured(&dlimc.LoadError{Err: dlimc.ErrNotFound}),
		"no_answer":              Explain(client.Result{}, &ike.NoAnswerError{}),
		"gateway_certificate":    Explain(client.Result{}, fmt.Errorf("%w: %w", ike.ErrEAP, &eap.VerifyError{Err: errors.New("no")})),
		"gateway_authentication": Explain(client.Result{}, fmt.Errorf("%w: no", ike.ErrGatewayAuth)),
		"authentication":         Explain(client.Result{}, &client.KeyError{Err: ike.ErrAuthFailed}),
		"eap":                    Explain(client.Result{}, eap.ErrFailure),
		"proposal":               Explain(client.Result{Connection: "home"}, ike.ErrProposal),
		"not_up":                 fmt.Errorf("connection %w", client.ErrNotUp),
		"permission":             WithRemedy(&client.DeniedError{Err: os.ErrPermission}),
		"failure":                errors.New("else"),
		"":                       nil,
	} {
		require.Equal(t, want, CodeOf(err), "%v", err)
	}
	seen := map[string]bool{}
	for _, c := range ErrorCodes {
		require.False(t, seen[c.Code])
		seen[c.Code] = true
		require.Regexp(t, `^[a-z_]+$`, c.Code)
	}
}
