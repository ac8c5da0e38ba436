package report

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/ike/eap"
)

// eapPlugins are charon's plugins of the methods whose packets can be limited.
var eapPlugins = map[eap.Type]string{
	eap.TypeTLS: "eap-tls", eap.TypeTTLS: "eap-ttls", eap.TypePEAP: "eap-peap",
	eap.TypeTNC: "eap-tnc", eap.TypePT: "eap-tnc",
}

// eapRemedy returns what the user can do about an error of an EAP conversation,
// "" where there is nothing to say.
func eapRemedy(err error) string {
	var many *eap.MessageCountError
	if errors.As(err, &many) {
		return fmt.Sprintf("raise charon.plugins.%s.max_message_count in strongswan.conf (0 = no limit)", eapPlugins[many.Type])
	}
	for _, r := range []struct {
		cause  error
		remedy string
	}{
		{eap.ErrNoMethodOffered, "check the EAP identity"},
		{eap.ErrNoCommonMethod, "compare the EAP methods of both ends"},
		{eap.ErrCredentials, "check the identity and the secret of this connection"},
		{eap.ErrCertificate, "its log says why: compare its CA certificates, and the identity, with local.certs of this connection"},
		{eap.ErrHandshakeEnded, "its log says why (TLS versions, suites, or a client certificate that it wants)"},
		{eap.ErrPolicy, "its recommendation and reasons are in the log"},
	} {
		if errors.Is(err, r.cause) {
			return r.remedy
		}
	}
	return ""
}
