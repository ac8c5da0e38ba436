package charon

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A gateway with half-open IKE_SAs of this address asks for a cookie and gets it
// (RFC 7296, section 2.6).
func TestCookie(t *testing.T) {
	s := newSite(t, options{proposals: usualIKE, esp: usualESP, cookies: 1})
	s.upUntil("parsed IKE_SA_INIT response 0")
	// A charon whose random offset of cookies' times is less than 10 s behind the
	// machine's start takes no cookie until it is (receiver.c, cookie_verify).
	var said string
	require.Eventually(t, func() bool {
		var code int
		_, said, code = s.run("attest", "-v")
		return code == 0
	}, patience, time.Second, "%s", &said)
	require.Contains(t, said, "parsed IKE_SA_INIT response 0 [ N(COOKIE) ]")
	require.Contains(t, said, "received COOKIE notify, repeating IKE_SA_INIT with it")
	require.Contains(t, said, "generating IKE_SA_INIT request 0 [ N(COOKIE) SA KE No")
}
