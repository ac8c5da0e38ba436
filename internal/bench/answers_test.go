package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/need"
)

// TestAnswersAsStrongSwan asks both libraries for the same odd directory.
func TestAnswersAsStrongSwan(t *testing.T) {
	need.StrongSwan(t)
	e, sides := setup(t)
	at := func(name string) string { return filepath.Join(e.dir, name) }
	old := time.Now().Add(-time.Hour).Truncate(time.Second)
	for name, size := range map[string]int{"empty": 0, "one": 1, "page": 4096, "large": 5 << 20, ".hidden": 3, "latin1-\xe4": 7, "a b": 8} {
		require.NoError(t, os.WriteFile(at(name), make([]byte, size), 0o640))
		require.NoError(t, os.Chtimes(at(name), old, old))
	}
	require.NoError(t, os.Mkdir(at("directory"), 0o755))
	require.NoError(t, os.WriteFile(at("directory/below"), []byte("x"), 0o644))
	require.NoError(t, unix.Mkfifo(at("fifo"), 0o644))
	// A link that leads to itself is missing: strongSwan ends its list there.
	for link, target := range map[string]string{"to-file": "page", "to-directory": "directory", "dangling": "nowhere"} {
		require.NoError(t, os.Symlink(target, at(link)))
	}
	require.NoError(t, os.Link(at("one"), at("hard")))
	require.NoError(t, os.Mkdir(at("none"), 0o755))

	var requests []patnc.Value
	for _, name := range []string{"", "none", "directory", "to-directory"} {
		requests = append(requests, pts.RequestFileMeasurement{Directory: true, RequestID: 7, Path: at(name)},
			pts.RequestFileMetadata{Directory: true, Path: at(name)})
	}
	for _, name := range []string{"empty", "large", ".hidden", "to-file", "latin1-\xe4", "missing", "one/x", "dangling", "./../files/one"} {
		requests = append(requests, pts.RequestFileMeasurement{RequestID: 8, Path: e.dir + "/" + name}, pts.RequestFileMetadata{Path: e.dir + "/" + name})
	}
	for _, name := range []string{"directory", "fifo", "to-directory"} {
		requests = append(requests, pts.RequestFileMetadata{Path: at(name)})
	}
	requests = append(requests,
		pts.RequestFileMeasurement{Path: at("missing"), Directory: true},
		pts.RequestFileMeasurement{Path: at("one"), Delimiter: ':'},
		pts.RequestFileMeasurement{Path: at("one"), Delimiter: '\\'},
		patnc.GetSymlinks{Directory: "/"})
	for _, alg := range []pts.HashAlgorithms{pts.SHA1, pts.SHA256, pts.SHA384} {
		for _, request := range requests {
			m := patnc.Message{ID: 1, Attributes: []patnc.Attribute{patnc.NoSkip(pts.MeasurementAlgorithm{Algorithms: alg}), patnc.NoSkip(request)}}
			message, err := m.AppendBinary(nil)
			require.NoError(t, err)
			ours, _ := e.ask(t, sides[0], message)
			theirs, _ := e.ask(t, sides[1], message)
			require.Equal(t, theirs.Attributes, ours.Attributes, "%v %+v", alg, request)
		}
	}
}

// TestSettingsReachTheMeasurement through strongswan.conf and C.
func TestSettingsReachTheMeasurement(t *testing.T) {
	e, sides := setup(t)
	ours := sides[0]
	secret := filepath.Join(e.dir, "secret")
	require.NoError(t, os.Mkdir(secret, 0o755))
	for _, name := range []string{"a", "b", "secret/key"} {
		require.NoError(t, os.WriteFile(filepath.Join(e.dir, name), make([]byte, 1000), 0o644))
	}
	settings := func(text string) {
		require.NoError(t, os.WriteFile(e.conf, []byte("libimcv {\n plugins {\n imc-attestation {\n"+text+"\n}\n}\n}\n"), 0o644))
	}
	refused := func(path string, directory bool, line string) {
		t.Helper()
		m, logged := e.ask(t, ours, request(t, pts.SHA256, path, directory))
		last := m.Attributes[len(m.Attributes)-1].Value
		v, ok := last.(patnc.Error)
		require.True(t, ok, "%+v", last)
		require.EqualValues(t, patnc.VendorTCG, v.Vendor)
		require.EqualValues(t, pts.ErrorInvalidPath, v.Code)
		value, err := pts.RequestFileMeasurement{Directory: directory, RequestID: 1, Path: path}.AppendValue(nil)
		require.NoError(t, err)
		require.Equal(t, value, v.Info, "the error holds the request")
		require.Contains(t, logged, line)
	}
	settings("")
	for _, path := range []string{"/proc/version", "/sys/kernel/notes", "/dev/zero", "/proc/self/mem"} {
		refused(path, false, "[PTS] measure file '"+path+"': path cannot be measured: refused by the settings: measure_allow does not name "+path[:4])
	}
	refused("/proc", true, "measure directory '/proc'")
	require.Len(t, e.run(t, ours, request(t, pts.SHA256, e.dir, true)), 2)

	settings(fmt.Sprintf("measure_allow = %s, /proc/version\n measure_deny = \"%s/sec*\"", e.dir, e.dir))
	refused("/etc/passwd", false, "not in measure_allow")
	refused(secret+"/key", false, "measure_deny "+e.dir+"/sec*")
	refused(secret, true, "measure_deny "+e.dir+"/sec*")
	require.Len(t, e.run(t, ours, request(t, pts.SHA256, "/proc/version", false)), 1)
	require.Len(t, e.run(t, ours, request(t, pts.SHA256, e.dir, true)), 2)

	settings("measure_max_files = 1\n measure_max_bytes = 1500\n measure_max_seconds = 5")
	refused(e.dir, true, "measure_max_files = 1")
	require.Len(t, e.run(t, ours, request(t, pts.SHA256, secret, true)), 1)
	settings("measure_max_bytes = 1500")
	refused(e.dir, true, "measure_max_bytes = 1500")
	settings("measure_deny = relative")
	_, logged := e.ask(t, ours, request(t, pts.SHA256, e.dir, true))
	require.Contains(t, logged, `[CFG] imc-attestation.measure_deny: pattern "relative" is not an absolute path`)
}

// TestPlatformAsStrongSwan asks for the facts of this system: strongSwan's OS IMC
// and our library say the same, the list of packages included.
func TestPlatformAsStrongSwan(t *testing.T) {
	need.StrongSwan(t)
	e, sides := setup(t)
	sides[1].library = filepath.Join(filepath.Dir(sides[1].library), "imc-os.so")
	all := []patnc.Type{
		patnc.TypeProductInformation, patnc.TypeStringVersion, patnc.TypeNumericVersion, patnc.TypeForwardingEnabled,
		patnc.TypeFactoryDefaultPassword, patnc.TypeOperationalStatus, patnc.TypeITADeviceID,
	}
	if need.Debian() {
		all = append(all, patnc.TypeInstalledPackages)
	}
	requests := []patnc.Value{patnc.GetSettings{Names: []string{"/etc/debian_version", "/etc/hostname", "/proc/sys/kernel/ostype", "/home/none", "/etc/none"}}}
	for _, typ := range all {
		requests = append(requests, patnc.AttributeRequest{Types: []patnc.Type{typ}})
	}
	requests = append(requests, patnc.AttributeRequest{Types: all})
	for _, request := range requests {
		message, err := patnc.Message{ID: 1, Attributes: []patnc.Attribute{patnc.Skip(request)}}.AppendBinary(nil)
		require.NoError(t, err)
		ours, _ := e.ask(t, sides[0], message, "0", "1")
		theirs, _ := e.ask(t, sides[1], message, "0", "1")
		for _, m := range []patnc.Message{ours, theirs} {
			for i, a := range m.Attributes {
				if v, ok := a.Value.(patnc.OperationalStatus); ok { // of a clock that goes on
					v.LastUse = v.LastUse.Round(time.Minute)
					m.Attributes[i].Value = v
				}
			}
		}
		require.NotEmpty(t, theirs.Attributes, "%+v", request)
		require.Equal(t, theirs.Attributes, ours.Attributes, "%+v", request)
	}
}
