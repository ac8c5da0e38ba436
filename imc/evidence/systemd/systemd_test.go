package systemd

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm/pcr"
)

func record(where, kind, what string) string {
	return fmt.Sprintf("\x1e{%s,\"digests\":[{\"hashAlg\":\"sha256\",\"digest\":\"%x\"},{\"hashAlg\":\"sm3_256\",\"digest\":\"00\"}],"+
		"\"content_type\":\"systemd\",\"content\":{%s,\"string\":%q,\"bootId\":\"0\",\"timestamp\":1}}\n", where, sha256.Sum256([]byte(what)), kind, what)
}

var sample = record(`"pcr":11`, `"eventType":"phase"`, "enter-initrd") +
	record(`"pcr":15`, `"eventType":"machine-id"`, "machine-id:x") +
	record(`"nv_index":29360640`, `"nvIndexName":"hardware"`, "product-id:y")

func all(t *testing.T, log string) (out []*Record, err error) {
	t.Helper()
	r := NewReader(strings.NewReader(log))
	for {
		rec, err := r.Next()
		if err != nil {
			_, again := r.Next()
			require.Equal(t, err, again)
			if err == io.EOF {
				err = nil
			}
			return out, err
		}
		out = append(out, rec)
	}
}

func TestRecords(t *testing.T) {
	recs, err := all(t, sample)
	require.NoError(t, err)
	require.Len(t, recs, 3)
	sum := sha256.Sum256([]byte("enter-initrd"))
	require.Equal(t, &Record{PCR: 11, Type: "phase", Text: "enter-initrd", Digests: []Digest{{pcr.SHA256, sum[:]}}}, recs[0])
	require.Equal(t, sum[:], recs[0].Digest(pcr.SHA256))
	require.Nil(t, recs[0].Digest(pcr.SHA1))
	require.EqualValues(t, 15, recs[1].PCR)
	require.Equal(t, "hardware", recs[2].NvPCR)
	require.Equal(t, 2, recs[2].Index)
}

// Every prefix yields whole records and, within one, a sentence.
func TestTruncated(t *testing.T) {
	for n := range len(sample) {
		recs, err := all(t, sample[:n])
		require.LessOrEqual(t, len(recs), 3)
		whole := n <= 1 || sample[n-1] == '\n' || sample[n-1] == separator
		require.Equal(t, whole, err == nil, "%d octets: %v", n, err)
		if err != nil {
			require.ErrorIs(t, err, ErrTruncated)
		}
	}
}

func TestRefused(t *testing.T) {
	for name, log := range map[string]string{
		"no JSON":       "\x1enone\n",
		"no PCR":        strings.Replace(sample, `"pcr":11`, `"x":11`, 1),
		"two registers": strings.Replace(sample, `"pcr":11`, `"pcr":11,"nv_index":1`, 1),
		"negative PCR":  strings.Replace(sample, `"pcr":11`, `"pcr":-1`, 1),
		"short digest":  strings.Replace(sample, `"hashAlg":"sha256"`, `"hashAlg":"sha384"`, 1),
		"no digests":    "\x1e{\"pcr\":1,\"digests\":[]}\n",
		"many digests":  "\x1e{\"pcr\":1,\"digests\":[" + strings.Repeat("{},", MaxDigests) + "{}]}\n",
		"deep":          "\x1e" + strings.Repeat("[", 20000) + "\n",
	} {
		_, err := all(t, log)
		require.ErrorIs(t, err, ErrRecord, name)
		require.NotContains(t, err.Error(), "\n")
	}
	_, err := all(t, "\x1e"+strings.Repeat(" ", MaxRecord+1))
	require.ErrorIs(t, err, ErrLong)
	// Content of another writer is no error.
	recs, err := all(t, strings.Replace(sample, `"string":"enter-initrd"`, `"string":7`, 1))
	require.NoError(t, err)
	require.Empty(t, recs[0].Text)
}

func FuzzReader(f *testing.F) {
	f.Add([]byte(sample))
	f.Add([]byte("\x1e{\"pcr\":99,\"digests\":[{}]}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(bytes.NewReader(b))
		for {
			rec, err := r.Next()
			if err != nil {
				return
			}
			for _, d := range rec.Digests {
				require.Len(t, d.Sum, d.Algorithm.Size())
			}
		}
	})
}
