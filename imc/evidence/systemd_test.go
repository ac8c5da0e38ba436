package evidence

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// stub adds what systemd-stub measures to the firmware's log.
func (m *machine) stub(p uint32, data string) {
	s1, s2 := sha1.Sum([]byte(data)), sha256.Sum256([]byte(data))
	log := le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, p), 0x0d), 2)
	log = append(append(log, 4, 0), s1[:]...)
	log = append(append(log, 11, 0), s2[:]...)
	m.append(m.biosLog(), append(log, field([]byte(data))...))
	m.banks[pcr.SHA1].Extend(p, s1[:])
	m.banks[pcr.SHA256].Extend(p, s2[:])
}

// phase measures as systemd does after the kernel started.
func (m *machine) phase(where, what string, p uint32) {
	s1, s2 := sha1.Sum([]byte(what)), sha256.Sum256([]byte(what))
	m.append(filepath.Join(m.dir, "systemd"), fmt.Appendf(nil,
		"\x1e{%s,\"digests\":[{\"hashAlg\":\"sha1\",\"digest\":\"%x\"},{\"hashAlg\":\"sha256\",\"digest\":\"%x\"}],\"content_type\":\"systemd\","+
			"\"content\":{\"eventType\":\"phase\",\"string\":%q,\"nvIndexName\":\"hardware\"}}\n", where, s1, s2, what))
	if p < pcr.Count {
		m.banks[pcr.SHA1].Extend(p, s1[:])
		m.banks[pcr.SHA256].Extend(p, s2[:])
	}
}

func unified(t *testing.T) (*machine, Config) {
	m := boot(t, 0, true)
	m.stub(11, ".linux\x00")
	m.stub(11, ".osrel\x00")
	m.phase(`"pcr":11`, "enter-initrd", 11)
	m.phase(`"pcr":15`, "machine-id:0", 15)
	m.phase(`"nv_index":1`, "product-id:0", pcr.Count)
	m.phase(`"pcr":11`, "ready", 11)
	cfg := m.config()
	cfg.SystemdLog = filepath.Join(m.dir, "systemd")
	return m, cfg
}

// PCR 11 of a unified kernel image is extended by systemd-stub and, later, by systemd:
// without systemd's log nothing leads to the TPM's value.
func TestUnifiedKernelImage(t *testing.T) {
	m, cfg := unified(t)
	r, err := Inspect(context.Background(), cfg, pts.SHA256, m.values(pcr.SHA256))
	require.NoError(t, err)
	require.True(t, *r.Matches, "%+v", r.Difference)
	by := map[string]Explanation{}
	for _, e := range r.Explained {
		by[fmt.Sprintf("%d%s %s", e.PCR, e.NvPCR, e.By)] = e
	}
	require.Equal(t, []string{".linux", ".osrel"}, by["11 systemd-stub"].What)
	require.Equal(t, []string{"phase enter-initrd", "phase ready"}, by["11 systemd"].What)
	require.Equal(t, 1, by["15 systemd"].Entries)
	require.Equal(t, []string{"phase product-id:0"}, by["0hardware systemd"].What)
	require.Equal(t, 1, by["10 IMA"].Entries)

	c := New(cfg)
	bank := pts.Bank{Algorithm: pts.SHA256}
	require.NoError(t, c.Collect(context.Background(), imaName(qualifierTrusted), bank))
	require.True(t, c.PCRs().Has(11))
	require.False(t, c.PCRs().Has(15), "no verifier asked for it")
	require.NoError(t, c.Collect(context.Background(), imaName(qualifierOS), bank))
	ok, err := c.MatchQuote(context.Background(), pts.Quote{Values: m.values(pcr.SHA256)})
	require.NoError(t, err)
	require.True(t, ok)
	got, _ := replay(t, c.Drain(), pcr.SHA256, 0)
	require.Equal(t, m.banks[pcr.SHA256].Value(11), got.Value(11))
}

// A record that was altered, and a log that ends within one, are named.
func TestSystemdLogThatDiffers(t *testing.T) {
	m, cfg := unified(t)
	b, err := os.ReadFile(cfg.SystemdLog)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cfg.SystemdLog, b[:len(b)-9], 0o600))
	r, err := Inspect(context.Background(), cfg, pts.SHA256, m.values(pcr.SHA256))
	require.NoError(t, err)
	require.False(t, *r.Matches)
	require.Equal(t, cfg.SystemdLog, r.Difference.Log)
	require.EqualValues(t, 11, r.Difference.PCR)
	require.Equal(t, LogMalformed, r.Components[len(r.Components)-2].Code)
	require.ErrorContains(t, r.Unread(), "log ends within a record")
	require.NoError(t, os.Chmod(cfg.SystemdLog, 0o600|os.ModeSticky))
	r, err = Inspect(context.Background(), cfg, pts.SHA256, m.values(pcr.SHA256))
	require.NoError(t, err)
	require.Contains(t, r.Notes, "systemd marked its log as incomplete: a measurement is missing in it")
}
