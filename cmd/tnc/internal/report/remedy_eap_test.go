package report

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/mschapv2"
)

// Each failure of EAP that a user can do something about ends with what that is.
func TestEAPRemedies(t *testing.T) {
	refused := fmt.Errorf("EAP: %w: %w", eap.ErrFailure, eap.ErrCredentials)
	require.EqualError(t, Explain(client.Result{}, refused),
		"EAP: received EAP_FAILURE: the server refused the EAP identity or its password; check the identity and the secret of this connection")
	for _, c := range []struct {
		err  error
		says string
	}{
		{eap.ErrNoMethodOffered, "check the EAP identity"},
		{eap.ErrNoCommonMethod, "compare the EAP methods of both ends"},
		{&mschapv2.RefusedError{Code: 691}, "check the identity and the secret of this connection"},
		{eap.ErrCertificate, "local.certs"},
		{eap.ErrHandshakeEnded, "TLS versions"},
		{eap.ErrPolicy, "its recommendation and reasons are in the log"},
		{&eap.MessageCountError{Type: eap.TypeTTLS, Limit: 5}, "raise charon.plugins.eap-ttls.max_message_count"},
		{&eap.MessageCountError{Type: eap.TypePT, Limit: 5}, "raise charon.plugins.eap-tnc.max_message_count"},
	} {
		require.Contains(t, eapRemedy(fmt.Errorf("EAP: %w", c.err)), c.says)
	}
	require.Empty(t, eapRemedy(errors.New("something else")))
}
