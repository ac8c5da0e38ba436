package evidence

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/evidence/ima"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// trim exports the entries from i to j and deletes what is before j, as Linux 7.2 does
// on the administrator's word. It returns the exported part.
func (m *machine) trim(whole []byte, from, to int) string {
	m.t.Helper()
	part := filepath.Join(m.dir, fmt.Sprintf("part-%d-%d", from, to))
	ends := m.ends(whole)
	require.NoError(m.t, os.WriteFile(part, whole[ends[from]:ends[to]], 0o600))
	require.NoError(m.t, os.WriteFile(m.imaLog(), whole[ends[to]:], 0o600))
	return part
}

// ends returns where each entry of a list begins, and the list's end.
func (m *machine) ends(list []byte) []int64 {
	f, err := os.Open(m.imaLog())
	require.NoError(m.t, err)
	defer f.Close()
	r := ima.NewReader(f, ima.Config{})
	out := []int64{0}
	for {
		if _, err := r.Next(); err != nil {
			require.EqualValues(m.t, len(list), r.Offset())
			return out
		}
		out = append(out, r.Offset())
	}
}

func (m *machine) list() []byte {
	b, err := os.ReadFile(m.imaLog())
	require.NoError(m.t, err)
	return b
}

// The parts that the kernel exported and deleted are joined with what it still has, and
// what is missing is named.
func TestListThatTheKernelTrimmed(t *testing.T) {
	m := boot(t, 3, true)
	m.run(9)
	whole := m.list()
	a := m.trim(whole, 0, 4)
	require.NoError(t, os.WriteFile(m.imaLog(), whole, 0o600))
	b := m.trim(whole, 4, 7)
	require.NoError(t, os.WriteFile(m.imaLog(), whole, 0o600))
	wide := m.trim(whole, 2, 7) // begins before a ends: it was exported twice
	m.run(2)
	inspect := func(saved ...string) *Report {
		cfg := m.config()
		cfg.IMASaved = saved
		r, err := Inspect(context.Background(), cfg, pts.SHA256, m.values(pcr.SHA256))
		require.NoError(t, err)
		return r
	}
	for _, saved := range [][]string{{a, b}, {a, wide}} {
		r := inspect(saved...)
		require.True(t, *r.Matches, "%+v", r.Difference)
		require.Equal(t, 12, r.Components[1].Entries, "%v", saved)
		require.Contains(t, r.BootAggregate, "correct")
	}
	r := inspect()
	require.False(t, *r.Matches)
	require.Contains(t, r.Difference.Reason, "begins with '/usr/bin/tool7', not with boot_aggregate")
	require.Contains(t, r.Difference.Reason, "the saved parts were not given")
	r = inspect(b)
	require.Contains(t, r.Difference.Reason, "the part before "+b+" is missing")
	r = inspect(a)
	require.Contains(t, r.Difference.Reason, "a part between "+a+" and "+m.imaLog()+" is missing")

	cfg := m.config()
	cfg.IMASaved = []string{a, b}
	c := m.collect(cfg, pts.SHA256)
	m.run(1)
	ok, err := c.MatchQuote(context.Background(), pts.Quote{Values: m.values(pcr.SHA256)})
	require.NoError(t, err)
	require.True(t, ok, "the list is read on")
	require.Equal(t, pts.SHA256, c.Algorithm())
	got, _ := replay(t, c.Drain(), pcr.SHA256, 3)
	require.Equal(t, m.banks[pcr.SHA256].Value(10), got.Value(10))
	cfg.IMASaved = []string{filepath.Join(m.dir, "none")}
	_, err = Inspect(context.Background(), cfg, pts.SHA256, m.values(pcr.SHA256))
	require.NoError(t, err, "told in the report")
}

// A list that does not begin with boot_aggregate is reported all the same.
func TestListWithoutBootAggregate(t *testing.T) {
	m := boot(t, 0, true)
	require.NoError(t, os.Remove(m.imaLog()))
	for _, b := range m.banks {
		*b = *pcr.NewBank(b.Hash())
	}
	m.run(3)
	c := New(m.config())
	bank := pts.Bank{Algorithm: pts.SHA256}
	require.NoError(t, c.Collect(context.Background(), imaName(qualifierTrusted), bank))
	require.NoError(t, c.Collect(context.Background(), imaName(qualifierOS), bank))
	got, _ := replay(t, c.Drain(), pcr.SHA256, 0)
	require.Equal(t, m.banks[pcr.SHA256].Value(10), got.Value(10))
}

// Each kernel that kexec starts adds a boot_aggregate to the list that it takes over.
func TestListOfSeveralKernels(t *testing.T) {
	m := boot(t, 0, true)
	m.run(2)
	m.measure(m.aggregateDigest(), bootAggregate)
	m.run(2)
	r, err := Inspect(context.Background(), m.config(), pts.SHA256, m.values(pcr.SHA256))
	require.NoError(t, err)
	require.True(t, *r.Matches)
	require.Contains(t, r.Notes, "entry 4 is a boot_aggregate: kexec started another kernel")
}

func TestListHash(t *testing.T) {
	for name, h := range map[string]pcr.Hash{
		"binary_runtime_measurements": 0, "binary_runtime_measurements_sha1": 0,
		"binary_runtime_measurements_sha256": pcr.SHA256, "/x/binary_runtime_measurements_sha384": pcr.SHA384,
		"binary_runtime_measurements_sha512_staged": pcr.SHA512, "binary_runtime_measurements_staged": 0,
	} {
		require.Equal(t, h, ListHash(name), name)
	}
}
