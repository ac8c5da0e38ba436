package strongswan

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/need"
)

// A measurement of 70,000 octets in wpa_supplicant's TNC client and hostapd's
// server: in one batch it would be beyond the 75,000 octets that they carry. With
// the fragment size of a wired network it also stays within 100 rounds of EAP.
func TestLargeMeasurementInEapolTest(t *testing.T) {
	need.Program(t, "eapol_test", "eapoltest")
	need.Program(t, "hostapd", "hostapd")
	dir, err := os.MkdirTemp("/var/tmp", "gotnc-rig")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	for i := range 1800 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%04d", i)), []byte{byte(i)}, 0o644))
	}
	t.Setenv("RIG_POLICY", "dir:"+dir)
	r := newRig(t)
	r.edited(edit{"rig", " key_mgmt=IEEE8021X\n", " key_mgmt=IEEE8021X\n fragment_size=3000\n"})
	r.must("moon")
	r.must("db")
	out := r.must("eapol", r.lib)
	require.Contains(t, out, "Recommendation = allow")
	_, got := r.results()
	require.Contains(t, got, "directory measurement correct")
	require.Contains(t, readFile(t, filepath.Join(r.dir, "eapol", "eapol.log")), "TNC_TNCC_SendMessage - hexdump_ascii(len=45000)")
}
