package bench

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
)

// The directory of issue 3, and how often each side measures it. The sides take
// turns, so that whatever else the machine does falls on both.
const (
	files    = 4000
	fileSize = 250 << 10
	rounds   = 9
)

// side is a library under measurement.
type side struct {
	name, library string
	env           []string
	wall, cpu     []time.Duration
}

type bench struct {
	host, conf, dir string
}

func repository(b testing.TB) string {
	b.Helper()
	d, err := filepath.Abs("../..")
	require.NoError(b, err)
	return d
}

// setup builds the library and the host; strongSwan's module stands below
// STRONGSWAN_PREFIX.
func setup(b testing.TB) (bench, []*side) {
	b.Helper()
	cc, err := exec.LookPath("cc")
	if err != nil {
		b.Skip("SKIP needs a C compiler: apt-get install gcc")
	}
	// Not below /dev, which no verifier may ask for.
	d, err := os.MkdirTemp("/var/tmp", "gotnc-bench")
	require.NoError(b, err)
	b.Cleanup(func() { os.RemoveAll(d) })
	e := bench{host: filepath.Join(d, "host"), conf: filepath.Join(d, "strongswan.conf"), dir: filepath.Join(d, "files")}
	root := repository(b)
	library := filepath.Join(d, "imc-attestation.so")
	command(b, exec.Command("go", "build", "-trimpath", "-buildmode=c-shared", "-ldflags=-s -w", "-o", library, filepath.Join(root, "capi/attestation")))
	command(b, exec.Command(cc, "-O2", "-Wall", "-I", filepath.Join(root, "include"), "-o", e.host, "testdata/host.c", "-ldl"))
	require.NoError(b, os.Mkdir(e.dir, 0o755))
	// strongSwan gets its fastest hashes, and neither side writes a log.
	require.NoError(b, os.WriteFile(e.conf, []byte("libimcv {\n load = random nonce openssl pubkey x509\n debug_level = 0\n stderr_quiet = yes\n"+
		" plugins { imc-attestation { hash_algorithm = sha512\n mandatory_dh_groups = no } }\n}\n"), 0o644))
	sides := []*side{{name: "gotnc", library: library}}
	if prefix := os.Getenv("STRONGSWAN_PREFIX"); prefix != "" {
		dir := filepath.Join(prefix, "lib", "ipsec")
		sides = append(sides, &side{
			name: "strongSwan", library: filepath.Join(dir, "imcvs", "imc-attestation.so"),
			// Its plugins expect the host to have loaded libstrongswan.
			env: []string{"LD_PRELOAD=" + filepath.Join(dir, "libstrongswan.so.0")},
		})
	} else {
		b.Log("strongSwan's module is not measured: set STRONGSWAN_PREFIX")
	}
	return e, sides
}

func command(b testing.TB, c *exec.Cmd) []byte {
	b.Helper()
	out, err := c.CombinedOutput()
	require.NoError(b, err, "%v\n%s", c.Args, out)
	return out
}

// request is the message of a verifier that selects an algorithm and asks for a
// path.
func request(b testing.TB, alg pts.HashAlgorithms, path string, directory bool) []byte {
	b.Helper()
	m := patnc.Message{ID: 1, Attributes: []patnc.Attribute{
		patnc.NoSkip(pts.MeasurementAlgorithm{Algorithms: alg}),
		patnc.NoSkip(pts.RequestFileMeasurement{Directory: directory, RequestID: 1, Path: path}),
	}}
	out, err := m.AppendBinary(nil)
	require.NoError(b, err)
	return out
}

// run measures once and returns what the library answered.
func (e bench) run(b testing.TB, s *side, message []byte) []pts.MeasuredFile {
	b.Helper()
	m, _ := e.ask(b, s, message)
	for _, a := range m.Attributes {
		if v, ok := a.Value.(pts.FileMeasurement); ok {
			return v.Files
		}
	}
	b.Fatalf("%s answered without a measurement", s.name)
	return nil
}

// ask hands the library a message and returns its answer, files in the order of
// their names (strongSwan has that of the directory), and what it logged. The
// message is of type TCG/PTS unless vendor and subtype are given.
func (e bench) ask(b testing.TB, s *side, message []byte, messageType ...string) (patnc.Message, string) {
	b.Helper()
	answer := filepath.Join(filepath.Dir(e.dir), "answer")
	c := exec.Command(e.host, append([]string{s.library, "1", answer}, messageType...)...)
	c.Env = append(append(os.Environ(), "STRONGSWAN_CONF="+e.conf), s.env...)
	c.Stdin = bytes.NewReader(message)
	var stderr strings.Builder
	c.Stderr = &stderr
	out, err := c.Output()
	require.NoError(b, err, "%v\n%s", c.Args, stderr.String())
	var wall, cpu, octets int64
	_, err = fmt.Sscan(string(out), &wall, &cpu, &octets)
	require.NoError(b, err, "%s", out)
	s.wall, s.cpu = append(s.wall, time.Duration(wall)), append(s.cpu, time.Duration(cpu))
	raw, err := os.ReadFile(answer)
	require.NoError(b, err)
	m, err := patnc.Parse(raw, pts.Attributes)
	require.NoError(b, err)
	for _, a := range m.Attributes {
		switch v := a.Value.(type) {
		case pts.FileMeasurement:
			slices.SortFunc(v.Files, func(x, y pts.MeasuredFile) int { return strings.Compare(x.Name, y.Name) })
		case patnc.Symlinks:
			slices.SortFunc(v.Links, func(x, y patnc.Symlink) int { return strings.Compare(x.Path, y.Path) })
		case pts.UnixFileMetadata:
			slices.SortFunc(v.Files, func(x, y pts.FileMetadata) int { return strings.Compare(x.Name, y.Name) })
		}
	}
	return m, stderr.String()
}

func median(d []time.Duration) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[len(d)/2]
}

// compare runs the sides in turns, holds their answers against each other and
// prints medians.
func (e bench) compare(b *testing.B, sides []*side, message []byte, what string, octets int64) {
	b.Helper()
	for _, s := range sides {
		e.run(b, s, message) // fills the page cache
		s.wall, s.cpu = nil, nil
	}
	for range rounds {
		var answers [][]pts.MeasuredFile
		for _, s := range sides {
			answers = append(answers, e.run(b, s, message))
		}
		for _, a := range answers {
			require.Equal(b, answers[0], a, "both libraries answer alike")
		}
	}
	text := fmt.Sprintf("%s, medians of %d:\n", what, rounds)
	rate := func(d time.Duration) float64 { return float64(octets) / 1e6 / d.Seconds() }
	for _, s := range sides {
		w, c := median(s.wall), median(s.cpu)
		text += fmt.Sprintf("  %-11s wall %7.1f ms (%5.0f MB/s)   cpu %7.1f ms (%5.0f MB/s a core)\n", s.name,
			float64(w.Microseconds())/1e3, rate(w), float64(c.Microseconds())/1e3, rate(c))
	}
	b.ReportMetric(rate(median(sides[0].wall)), "MB/s")
	if len(sides) == 2 {
		// Of each round, so that a slow moment of the machine weighs on both.
		wall, cpu := ratios(sides[1].wall, sides[0].wall), ratios(sides[1].cpu, sides[0].cpu)
		fastest := float64(slices.Min(sides[1].wall)) / float64(slices.Min(sides[0].wall))
		text += fmt.Sprintf("  %s/%s  wall %.2f times as fast (fastest runs %.2f)   cpu %.2f times\n", sides[0].name, sides[1].name, wall, fastest, cpu)
		b.ReportMetric(wall, "x-strongSwan")
		b.ReportMetric(cpu, "x-strongSwan-cpu")
	}
	fmt.Print(text)
}

// ratios is the median of the quotients of two series.
func ratios(a, b []time.Duration) float64 {
	var q []float64
	for i := range a {
		q = append(q, float64(a[i])/float64(b[i]))
	}
	slices.Sort(q)
	return q[len(q)/2]
}

func fill(b testing.TB, dir string, n int, size int) {
	b.Helper()
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * 31 >> 3)
	}
	for i := range n {
		copy(data, fmt.Sprintf("file %d", i))
		require.NoError(b, os.WriteFile(filepath.Join(dir, fmt.Sprintf("file%05d", i)), data, 0o644))
	}
}

// BenchmarkDirectory is the directory of issue 3, with SHA-256 and with SHA-384,
// what strongSwan's two ends agree on unless they are told otherwise.
func BenchmarkDirectory(b *testing.B) {
	e, sides := setup(b)
	fill(b, e.dir, files, fileSize)
	for _, alg := range []pts.HashAlgorithms{pts.SHA256, pts.SHA384, pts.SHA1} {
		b.Run(alg.String(), func(b *testing.B) {
			e.compare(b, sides, request(b, alg, e.dir, true),
				fmt.Sprintf("%d files of %d KiB, %v, %d cores", files, fileSize>>10, alg, runtime.NumCPU()), files*fileSize)
		})
	}
}

// BenchmarkFile is one large cached file, beside `openssl speed` on one core.
func BenchmarkFile(b *testing.B) {
	const size = 1 << 30
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		b.Skip("SKIP needs openssl: apt-get install openssl")
	}
	e, sides := setup(b)
	fill(b, e.dir, 1, size)
	message := request(b, pts.SHA256, filepath.Join(e.dir, "file00000"), false)
	e.compare(b, sides, message, "a file of 1 GiB, SHA-256", size)

	us := sides[0]
	us.wall, us.cpu = nil, nil
	var peer []time.Duration // what openssl would take for the file
	for range rounds {
		e.run(b, us, message)
		out := command(b, exec.Command(openssl, "speed", "-mr", "-seconds", "1", "-bytes", strconv.Itoa(64<<10), "-evp", "sha256"))
		peer = append(peer, time.Duration(float64(size)/opensslRate(b, out)*1e9))
	}
	wall, cpu := ratios(peer, us.wall), ratios(peer, us.cpu)
	// openssl hashes one block in the cache again and again; the processor time of
	// a file holds the copying of its octets from the page cache as well.
	fmt.Printf("  openssl speed -evp sha256: %.0f MB/s on one core; gotnc reads and hashes the file at %.1f %% of it (fastest runs %.1f %%), %.1f %% for each second of processor time\n",
		size/1e6/median(peer).Seconds(), wall*100, 100*float64(slices.Min(peer))/float64(slices.Min(us.wall)), cpu*100)
	b.ReportMetric(wall*100, "%openssl")
}

// opensslRate reads octets a second from the lines that -mr gives:
// "+F:22:sha256:1780000000.00", or for one size "+F:…:name:rate".
func opensslRate(b *testing.B, out []byte) float64 {
	b.Helper()
	for line := range strings.Lines(string(out)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); f[0] == "+F" {
			rate, err := strconv.ParseFloat(f[len(f)-1], 64)
			require.NoError(b, err, line)
			return rate
		}
	}
	b.Fatalf("openssl speed says no rate:\n%s", out)
	return 0
}
