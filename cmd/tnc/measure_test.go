package main

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/measure"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// imaList writes an IMA list of n entries and returns its path and the template
// data of each.
func imaList(t *testing.T, n int) (path string, data [][]byte) {
	t.Helper()
	le := binary.LittleEndian
	field := func(b []byte) []byte { return append(le.AppendUint32(nil, uint32(len(b))), b...) }
	var log []byte
	for i := range n {
		d := sha256.Sum256([]byte{byte(i)})
		b := append(field(append([]byte("sha256:\x00"), d[:]...)), field(fmt.Appendf(nil, "/usr/bin/tool%d\x00", i))...)
		sum := sha1.Sum(b)
		log = append(append(append(append(le.AppendUint32(log, 10), sum[:]...), field([]byte("ima-ng"))...), field(b)...), []byte{}...)
		data = append(data, b)
	}
	path = filepath.Join(t.TempDir(), "ima")
	require.NoError(t, os.WriteFile(path, log, 0o600))
	return path, data
}

func tncMeasure(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	conf := filepath.Join(t.TempDir(), "strongswan.conf")
	require.NoError(t, os.WriteFile(conf, nil, 0o600))
	var out, errs bytes.Buffer
	code = run(context.Background(), append([]string{"measure", "--strongswan-conf", conf, "--bios-log", "none"}, args...), &out, &errs)
	return code, out.String(), errs.String()
}

func TestMeasureWithoutTPM(t *testing.T) {
	list, _ := imaList(t, 3)
	code, out, errs := tncMeasure(t, "--tcti", "none", "--ima-log", list, "--hash", "sha256")
	require.Zero(t, code, errs)
	require.Contains(t, out, "none: not asked")
	require.Contains(t, out, "3 entries (ima-ng 3)")
	require.NotContains(t, out, os.DevNull)
	code, _, errs = tncMeasure(t, "--hash", "md5")
	require.Equal(t, report.ExitUsage, code)
	require.Contains(t, errs, "--hash md5: not one of")
	code, _, errs = tncMeasure(t, "--tcti", "none", "--ima-log", "/nonexistent")
	require.Equal(t, report.ExitFailure, code, "a log that was named is not passed over")
	require.Contains(t, errs, "--ima-log /nonexistent")
	require.Contains(t, errs, "there is no such file")
	broken := filepath.Join(t.TempDir(), "log")
	require.NoError(t, os.WriteFile(broken, bytes.Repeat([]byte("x"), 100), 0o600))
	code, out, errs = tncMeasure(t, "--tcti", "none", "--ima-log", broken)
	require.Equal(t, report.ExitFailure, code, "a log that cannot be read is no success: %s", out)
	require.Contains(t, errs, "tnc: not all was measured: ")
	code, _, errs = tncMeasure(t, "--tcti", "none", "--ima-log", t.TempDir())
	require.Equal(t, report.ExitFailure, code)
	require.Contains(t, errs, "not a regular file")
	code, _, errs = tncMeasure(t, "--tcti", "none", "now")
	require.Equal(t, report.ExitUsage, code, errs)
}

// A TPM that is there and cannot be read, or that was named and is not there, is
// not the same as none.
func TestMeasureWithABrokenTPM(t *testing.T) {
	list, _ := imaList(t, 3)
	for tcti, says := range map[string]string{
		"device:/dev/null":                 "gave no reply",
		"device:/nonexistent":              "/nonexistent",
		"swtpm:host=127.0.0.1,port=1":      "is the emulator running?",
		"device:" + list:                   "not a character device",
		"swtpm:path=/nonexistent/tpm.sock": "no such file",
	} {
		code, out, errs := tncMeasure(t, "--tcti", tcti, "--ima-log", list)
		require.Equal(t, report.ExitFailure, code, tcti)
		require.Contains(t, out, "3 entries (ima-ng 3)", "the rest is told all the same")
		require.NotContains(t, out, says, "said once")
		oneSentence(t, errs, "not compared", says)
		code, out, _ = tncMeasure(t, "--tcti", tcti, "--ima-log", list, "--json")
		require.Equal(t, report.ExitFailure, code, tcti)
		var m measure.Outcome
		require.NoError(t, json.Unmarshal([]byte(out), &m))
		require.Contains(t, m.TPMError, says)
	}
}

// A log that was sent in for a look at does not write to the terminal.
func TestMeasureOfAStrangersLog(t *testing.T) {
	le := binary.LittleEndian
	field := func(b string) []byte { return append(le.AppendUint32(nil, uint32(len(b))), b...) }
	data := append(field("sha\x1b[2J:\x00digest"), field("boot_aggregate\x00")...)
	sum := sha1.Sum(data)
	log := append(append(le.AppendUint32(nil, 10), sum[:]...), field("ima-ng")...)
	log = append(log, field(string(data))...)
	log = append(append(le.AppendUint32(log, 10), sum[:]...), field("x\x1b[2J\n")...)
	log = append(log, field(string(data))...)
	list := filepath.Join(t.TempDir(), "ima")
	require.NoError(t, os.WriteFile(list, log, 0o600))
	code, out, errs := tncMeasure(t, "--tcti", "none", "--ima-log", list)
	require.Zero(t, code, errs)
	require.Contains(t, out, "2 entries")
	require.Contains(t, out, `(ima-ng 1, x\x1b[2J\n 1)`)
	require.NotContains(t, out, "\x1b")
}

// Where nothing was compared nothing matches; why is a sentence, a code and an exit
// code.
func TestMeasureComparesNothing(t *testing.T) {
	e := tpmtest.Swtpm(t, tpm.TPM20)
	list, _ := imaList(t, 3)
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	for _, c := range []struct {
		result measure.Result
		code   int
		says   string
		args   []string
	}{
		{measure.Nothing, 0, "both logs were left out", []string{"--ima-log", "none"}},
		{measure.Nothing, measure.ExitNothing, "no log has an entry", []string{"--ima-log", empty}},
		{measure.TPMLeftOut, 0, "the TPM was left out", []string{"--ima-log", list, "--tcti", "none"}},
		{measure.BankUnused, measure.ExitNothing, "nothing ever extended", []string{"--ima-log", list}},
	} {
		args := append([]string{"--tcti", e.Config.String(), "--json"}, c.args...)
		code, out, errs := tncMeasure(t, args...)
		require.Equal(t, c.code, code, "%v: %s", c.args, errs)
		var m struct {
			Result   measure.Result
			Sentence string
			Matches  *bool
		}
		require.NoError(t, json.Unmarshal([]byte(out), &m))
		require.Equal(t, c.result, m.Result, c.args)
		require.Contains(t, m.Sentence, c.says)
		require.True(t, m.Matches == nil || !*m.Matches)
		if c.code != 0 {
			oneSentence(t, errs, c.says)
		}
		_, out, _ = tncMeasure(t, append([]string{"--tcti", e.Config.String()}, c.args...)...)
		require.NotContains(t, out, "no difference")
	}
}

func TestMeasureAgainstSwtpm(t *testing.T) {
	e := tpmtest.Swtpm(t, tpm.TPM20)
	list, data := imaList(t, 6)
	p := e.Open(t).(*tpm20.TPM)
	for _, d := range data {
		digests := map[pcr.Hash][]byte{}
		for _, h := range []pcr.Hash{pcr.SHA1, pcr.SHA256, pcr.SHA384} {
			digests[h] = h.Sum(d)
		}
		require.NoError(t, p.ExtendPCR(t.Context(), 10, digests))
	}
	require.NoError(t, p.Close())
	tcti := e.Config.String()
	for _, bank := range []string{"", "sha1", "sha256", "sha384"} {
		args := []string{"--tcti", tcti, "--ima-log", list, "--json"}
		if bank != "" {
			args = append(args, "--hash", bank)
		}
		code, out, errs := tncMeasure(t, args...)
		require.Zero(t, code, errs)
		var r struct {
			Matches *bool
			TPM     struct{ Generation string }
		}
		require.NoError(t, json.Unmarshal([]byte(out), &r))
		require.NotNil(t, r.Matches)
		require.True(t, *r.Matches)
		require.Equal(t, "2.0", r.TPM.Generation)
	}
	code, out, errs := tncMeasure(t, "--tcti", tcti, "--ima-log", list)
	require.Zero(t, code, errs)
	require.Contains(t, out, "no difference")

	b, err := os.ReadFile(list)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(list, bytes.Replace(b, []byte("tool3\x00"), []byte("evil3\x00"), 1), 0o600))
	code, out, errs = tncMeasure(t, "--tcti", tcti, "--ima-log", list, "--hash", "sha256")
	require.Equal(t, report.ExitFailure, code)
	require.Contains(t, out, "DIFFERS")
	require.Contains(t, errs, `entry 4 of `)
	require.Contains(t, errs, `"/usr/bin/evil3"`)
}
