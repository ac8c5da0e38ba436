package profile

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/testpki"
)

// Files as Windows saves them are named, with what to do.
func TestEncodings(t *testing.T) {
	for name, text := range rightFiles {
		if name == "tnc_config" {
			continue
		}
		encode := func(order binary.AppendByteOrder, bom bool) string {
			var b []byte
			if bom {
				b = order.AppendUint16(b, 0xFEFF)
			}
			for _, u := range utf16.Encode([]rune(text)) {
				b = order.AppendUint16(b, u)
			}
			return string(b)
		}
		for kind, content := range map[string]string{
			"UTF-16 little": encode(binary.LittleEndian, true), "UTF-16 big": encode(binary.BigEndian, true),
			"UTF-16 without BOM": encode(binary.LittleEndian, false), "UTF-8 with BOM": "\ufeff" + text,
		} {
			dir := t.TempDir()
			for n, s := range rightFiles {
				if n == name {
					s = content
				}
				require.NoError(t, os.WriteFile(filepath.Join(dir, n), []byte(s), 0o600))
			}
			f := Files{Strongswan: filepath.Join(dir, "strongswan.conf"), TNCConfig: "/dev/null"}
			if strings.HasPrefix(name, "ipsec") {
				f.IPsecConf = filepath.Join(dir, "ipsec.conf")
			} else {
				f.Swanctl = filepath.Join(dir, "swanctl.conf")
			}
			found := false
			var all []string
			for _, x := range f.Check(time.Now()) {
				all = append(all, x.Text)
				found = found || x.Kind == Error && strings.Contains(x.Text, name+":1: ") && strings.Contains(x.Text, "save it as UTF-8 without BOM")
			}
			require.True(t, found, "%s in %s: %s", name, kind, all)
		}
	}
}

// What others may write is a warning, an IMC that they may write an error.
func TestWritableFiles(t *testing.T) {
	dir := t.TempDir()
	for n, s := range rightFiles {
		require.NoError(t, os.WriteFile(filepath.Join(dir, n), []byte(s), 0o600))
	}
	ca, err := testpki.NewCA("CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue("carol", testpki.ECDSA, nil)
	require.NoError(t, err)
	for _, folder := range []string{"x509ca", "x509", "private"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, folder), 0o755))
	}
	require.NoError(t, testpki.WriteFiles(cert, filepath.Join(dir, "x509/carol.pem"), filepath.Join(dir, "private/carol.key")))
	for file, content := range map[string]string{"x509ca/ca.pem": string(ca.PEM()), "imc.so": "", "tnc_config": "IMC \"A\" " + filepath.Join(dir, "imc.so") + "\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600))
	}
	check := func() (said map[string]Kind) {
		said = map[string]Kind{}
		f := Files{Strongswan: filepath.Join(dir, "strongswan.conf"), Swanctl: filepath.Join(dir, "swanctl.conf"), TNCConfig: filepath.Join(dir, "tnc_config")}
		for _, x := range f.Check(time.Now()) {
			if x.Kind != OK {
				said[strings.ReplaceAll(x.Text+": "+x.Remedy, dir+"/", "")] = x.Kind
			}
		}
		return said
	}
	require.Empty(t, check())
	for _, f := range (Files{Strongswan: "/dev/null", Swanctl: filepath.Join(dir, "swanctl.conf"), TNCConfig: "/dev/null"}).Check(time.Now()) {
		require.NotContains(t, f.Text, "may be changed", "there is nothing in a device")
	}
	for file, what := range map[string]string{
		"swanctl.conf": "configuration", "strongswan.conf": "configuration", "tnc_config": "configuration", "private/carol.key": "private key", "x509ca/ca.pem": "CA certificate", "imc.so": `IMC "A"`,
	} {
		path := filepath.Join(dir, file)
		require.NoError(t, os.Chmod(path, 0o666))
		kind := Warning
		if file == "imc.so" {
			kind = Error
		}
		got := check()
		require.Len(t, got, 1)
		for said, of := range got {
			require.Equal(t, kind, of)
			require.Contains(t, said, what+" "+file+" may be changed by everybody")
			require.Contains(t, said, ": chmod go-w "+file)
		}
		require.NoError(t, os.Chmod(path, 0o644))
		require.Empty(t, check(), "who may read it is another question")
	}
}
