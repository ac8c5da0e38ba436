package main

import (
	"crypto/tls"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/internal/config"
)

// What is offered to the gateway, by local.auth, and whether the gateway proves
// itself before EAP.
func TestOuterMethods(t *testing.T) {
	m := eapMethods{connection: &connection{setup: &setup{strongswan: config.New()}}, name: "carol"}
	types := func(method string, signed bool) (out []eap.Type) {
		offers, err := m.outer(method, signed)
		require.NoError(t, err)
		for _, o := range offers {
			out = append(out, o.Type)
		}
		return out
	}
	for method, want := range map[string]eap.Type{"ttls": eap.TypeTTLS, "peap": eap.TypePEAP, "tls": eap.TypeTLS} {
		require.Equal(t, []eap.Type{want}, types(method, false))
	}
	for method, want := range map[string]eap.Type{"mschapv2": eap.TypeMSCHAPv2, "md5": eap.TypeMD5, "gtc": eap.TypeGTC} {
		require.Equal(t, []eap.Type{want}, types(method, true))
		_, err := m.outer(method, false)
		require.ErrorIs(t, err, errNotMutual, "nothing would prove who the gateway is")
	}
	require.Equal(t, []eap.Type{eap.TypeTTLS, eap.TypePEAP}, types("", false))
	require.Equal(t, []eap.Type{eap.TypeTTLS, eap.TypePEAP, eap.TypeMSCHAPv2, eap.TypeMD5, eap.TypeGTC}, types("dynamic", true))
	m.tls.Certificates = []tls.Certificate{{}}
	require.Contains(t, types("", false), eap.TypeTLS, "with a certificate of ours")
	for _, method := range []string{"aka", "tnc", "identity", "radius"} {
		_, err := m.outer(method, true)
		require.ErrorContains(t, err, "auth = eap-"+method+" is not supported: use eap-ttls")
	}
}
