package charon

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/interop/netns"
)

// algorithms are proposals that name every cipher, integrity algorithm, PRF and
// key exchange method of this client which Debian's charon has, and the ESP
// ones that its user-space ESP carries.
var algorithms = []struct{ ike, esp string }{
	{"aes128-sha256-modp2048", "aes128-sha256"},
	{"aes192-sha384-ecp384", "aes192-sha384"},
	{"aes256-sha512-modp3072", "aes256-sha512"},
	{"aes128-sha1-modp1024", "aes128-sha1"},
	{"aes256-sha256-prfsha384-modp1536", "aes256gcm12"},
	{"aes128ctr-aesxcbc-modp4096", "aes128-aesxcbc"},
	{"aes192ctr-sha256-prfaescmac-ecp256", "aes128ctr-sha256"},
	{"aes256-aescmac-ecp521", "aes128gcm8"},
	{"aes256gcm16-prfsha512-x25519", "aes256gcm16"},
	{"aes192gcm12-prfsha256-x25519", "aes192gcm16"},
	{"aes128gcm8-prfsha1-ecp256", "aes128gcm16"},
	{"aes128ccm16-prfaescmac-modp6144", "aes256ccm16"},
	{"aes192ccm12-prfsha384-ecp384", "aes128ccm12"},
	{"aes256ccm8-prfaesxcbc-modp8192", "aes192ccm8"},
	{"chacha20poly1305-prfsha256-x25519", "chacha20poly1305"},
}

// Each of them alone, with charon as the judge, and a ping through the ESP.
func TestAlgorithmsWithCharon(t *testing.T) {
	var ike, esp []string
	for _, a := range algorithms {
		ike, esp = append(ike, a.ike), append(esp, a.esp)
	}
	s := newSite(t, options{proposals: strings.Join(ike, ","), esp: strings.Join(esp, ",")})
	for _, a := range algorithms {
		t.Run(a.ike+"_"+a.esp, func(t *testing.T) {
			s.client(options{proposals: a.ike, esp: a.esp})
			r := s.up()
			out, err := netns.Run(s.Client, "ping", "-c", "2", "-i", "0.05", "-W", "2", inside)
			require.NoError(t, err, "%s%s", out, r.out.String())
			require.NoError(t, r.stop())
		})
	}
	s.nothingLeft()
	log, err := os.ReadFile(filepath.Join(s.dir, "gw", "charon.log"))
	require.NoError(t, err)
	require.Equal(t, 2*len(algorithms), strings.Count(string(log), "selected proposal: "))
}
