package evidence

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/imc/evidence/ima"
	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/tpm/pcr"
)

var le = binary.LittleEndian

func field(b []byte) []byte { return append(le.AppendUint32(nil, uint32(len(b))), b...) }

// machine is a machine that was booted: its logs and its TPM's banks.
type machine struct {
	t        testing.TB
	dir      string
	banks    map[pcr.Hash]*pcr.Bank
	entries  int
	locality uint8
}

func (m *machine) biosLog() string { return filepath.Join(m.dir, "bios") }
func (m *machine) imaLog() string  { return filepath.Join(m.dir, "ima") }

func (m *machine) append(file string, b []byte) {
	m.t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(m.t, err)
	_, err = f.Write(b)
	require.NoError(m.t, err)
	require.NoError(m.t, f.Close())
}

func boot(t testing.TB, locality uint8, tells bool) *machine {
	m := &machine{t: t, dir: t.TempDir(), locality: locality, banks: map[pcr.Hash]*pcr.Bank{}}
	for _, h := range []pcr.Hash{pcr.SHA1, pcr.SHA256} {
		m.banks[h] = pcr.NewBank(h)
		m.banks[h].SetLocality(locality)
	}
	spec := append([]byte("Spec ID Event03\x00"), 0, 0, 0, 0, 0, 2, 0, 2, 2, 0, 0, 0, 4, 0, 20, 0, 11, 0, 32, 0, 0)
	log := append(append(le.AppendUint32(le.AppendUint32(nil, 0), 3), make([]byte, 20)...), field(spec)...)
	event := func(p, typ uint32, data []byte) {
		s1, s2 := sha1.Sum(data), sha256.Sum256(data)
		log = le.AppendUint32(le.AppendUint32(le.AppendUint32(log, p), typ), 2)
		log = append(append(log, 4, 0), s1[:]...)
		log = append(append(log, 11, 0), s2[:]...)
		log = append(log, field(data)...)
		if typ != 3 {
			m.banks[pcr.SHA1].Extend(p, s1[:])
			m.banks[pcr.SHA256].Extend(p, s2[:])
		}
	}
	if tells {
		event(0, 3, append([]byte("StartupLocality\x00"), locality))
	}
	for p := uint32(0); p < 8; p++ {
		event(p, 0x80000008, fmt.Appendf(nil, "event %d", p))
		event(p, 4, []byte{0, 0, 0, byte(p)})
	}
	m.append(m.biosLog(), log)
	aggregate := m.banks[pcr.SHA256].Digest(9)
	m.measure(aggregate, bootAggregate)
	return m
}

// record returns the list's record of a file and what it extends.
func record(digest []byte, name string) (rec, s1, s256 []byte) {
	data := append(field(append([]byte("sha256:\x00"), digest...)), field(append([]byte(name), 0))...)
	d1, d2 := sha1.Sum(data), sha256.Sum256(data)
	rec = append(le.AppendUint32(nil, 10), d1[:]...)
	return append(append(rec, field([]byte("ima-ng"))...), field(data)...), d1[:], d2[:]
}

func (m *machine) measure(digest []byte, name string) {
	rec, s1, s2 := record(digest, name)
	m.append(m.imaLog(), rec)
	m.banks[pcr.SHA1].Extend(10, s1)
	m.banks[pcr.SHA256].Extend(10, s2)
	m.entries++
}

func (m *machine) run(n int) {
	for range n {
		d := sha256.Sum256([]byte{byte(m.entries)})
		m.measure(d[:], fmt.Sprintf("/usr/bin/tool%d", m.entries))
	}
}

// values are the PCRs of the TPM now.
func (m *machine) values(h pcr.Hash) pcr.Values {
	out := pcr.Values{}
	for i := range pcr.Count {
		out[i] = bytes.Clone(m.banks[h].Value(uint32(i)))
	}
	return out
}

func (m *machine) config() Config { return Config{BIOSLog: m.biosLog(), IMALog: m.imaLog()} }

func imaName(qualifier uint8) pts.ComponentName {
	return pts.ComponentName{Vendor: patnc.VendorITA, Qualifier: qualifier, Name: nameLinuxIMA}
}

func (m *machine) collect(cfg Config, alg pts.HashAlgorithms) *Collector {
	m.t.Helper()
	c := New(cfg)
	b := pts.Bank{Algorithm: alg, Locality: m.locality}
	require.NoError(m.t, c.Collect(context.Background(), imaName(qualifierTrusted), b))
	require.NoError(m.t, c.Collect(context.Background(), imaName(qualifierOS), b))
	return c
}

// replay is what a verifier does with the evidence.
func replay(t testing.TB, as []patnc.Attribute, h pcr.Hash, locality uint8) (*pcr.Bank, []pts.SimpleComponentEvidence) {
	t.Helper()
	b := pcr.NewBank(h)
	b.SetLocality(locality)
	var all []pts.SimpleComponentEvidence
	for _, a := range as {
		enc, err := a.Value.AppendValue(nil)
		require.NoError(t, err)
		v, err := pts.Attributes[pts.TypeSimpleComponentEvidence].Parse(enc)
		require.NoError(t, err)
		e := v.(pts.SimpleComponentEvidence)
		require.True(t, b.Extend(e.PCR, e.Measurement))
		all = append(all, e)
	}
	return b, all
}

func settle(t testing.TB, c *Collector, quoted pcr.Values) bool {
	t.Helper()
	ok, err := c.MatchQuote(context.Background(), pts.Quote{Values: quoted})
	require.NoError(t, err)
	return ok
}

// unsettled is a quote of now whose PCR 10 changed while it was made.
func (m *machine) unsettled() pts.Quote {
	values := m.values(pcr.SHA256)
	for i := 8; i < pcr.Count; i++ {
		delete(values, i)
	}
	values[10] = bytes.Clone(m.banks[pcr.SHA256].Value(10))
	composite := pcr.SHA256.Sum(values.Concat())
	stable := maps.Clone(values)
	delete(stable, 10)
	return pts.Quote{Stable: stable, Covers: func(v pcr.Values) bool { return bytes.Equal(pcr.SHA256.Sum(v.Concat()), composite) }}
}

// Where files are measured all the time no value of PCR 10 is known that the quote
// covers: the list is cut, or read on, to where it leads to the quote's composite.
func TestEvidenceOfAQuoteWhosePCRsChanged(t *testing.T) {
	for name, steps := range map[string]struct{ before, after int }{"as collected": {}, "entries came before": {before: 3}, "after": {after: 2}, "both": {2, 3}} {
		t.Run(name, func(t *testing.T) {
			m := boot(t, 3, true)
			m.run(4)
			var q pts.Quote
			if steps.before == 0 {
				q = m.unsettled()
			}
			m.run(steps.after * (1 - min(steps.before, 1)))
			c := m.collect(m.config(), pts.SHA256)
			if steps.before > 0 {
				m.run(steps.before)
				q = m.unsettled()
				m.run(steps.after)
			}
			want := steps.before + 5 // boot_aggregate and 4
			ok, err := c.MatchQuote(context.Background(), q)
			require.NoError(t, err)
			require.True(t, ok)
			bank, all := replay(t, c.Drain(), pcr.SHA256, 3)
			require.Equal(t, want, len(slices.DeleteFunc(all, func(e pts.SimpleComponentEvidence) bool { return e.PCR != 10 })))
			values := pcr.Values{10: bank.Value(10)}
			maps.Copy(values, q.Stable)
			require.True(t, q.Covers(values))
		})
	}
	m := boot(t, 3, true)
	c := m.collect(m.config(), pts.SHA256)
	q := m.unsettled()
	q.Covers = func(pcr.Values) bool { return false }
	ok, err := c.MatchQuote(context.Background(), q)
	require.NoError(t, err)
	require.False(t, ok, "another machine's")
	delete(q.Stable, 3)
	ok, err = c.MatchQuote(context.Background(), q)
	require.NoError(t, err)
	require.False(t, ok, "PCR 3 changed too, which no list tells")
	ok, err = c.MatchQuote(context.Background(), pts.Quote{})
	require.NoError(t, err)
	require.False(t, ok)
}

func TestEvidenceLeadsToTheQuotedPCRs(t *testing.T) {
	for alg, h := range map[pts.HashAlgorithms]pcr.Hash{pts.SHA1: pcr.SHA1, pts.SHA256: pcr.SHA256} {
		m := boot(t, 3, true)
		m.run(20)
		c := m.collect(m.config(), alg)
		require.EqualValues(t, 0x4FF, c.PCRs())
		require.True(t, settle(t, c, m.values(h)))
		b, all := replay(t, c.Drain(), h, 3)
		require.Len(t, all, 16+21)
		for i := range uint32(24) {
			require.Equal(t, m.banks[h].Value(i), b.Value(i), "PCR %d", i)
		}
		require.Equal(t, "sha256:boot_aggregate", all[16].PolicyURI)
		require.Equal(t, pts.ValidationPassed, all[16].Validation)
		require.Equal(t, "sha256:/usr/bin/tool20", all[36].PolicyURI)
		require.Equal(t, pts.ValidationNone, all[0].Validation)
		require.Equal(t, pts.TransformMatch, all[36].Transform)
		require.False(t, all[36].Time.IsZero())
		require.Nil(t, all[36].PCRs)
		require.Empty(t, c.Drain(), "taken once")
		require.Zero(t, c.PCRs())
	}
}

// What measure_deny covers is in the list of IMA without its name, and a log that
// it covers is not sent.
func TestRefusedNames(t *testing.T) {
	m := boot(t, 0, false)
	m.run(2)
	d := sha256.Sum256([]byte("pin"))
	m.measure(d[:], "/srv/secret/pin")
	m.run(1)
	cfg := m.config()
	refused := errors.New("refused")
	cfg.Refused = func(path string) error {
		if path == "/srv/secret/pin" {
			return refused
		}
		return nil
	}
	b, all := replay(t, m.collect(cfg, pts.SHA256).Drain(), pcr.SHA256, 0)
	require.Equal(t, "sha256:(refused)", all[16+3].PolicyURI)
	require.Equal(t, "sha256:/usr/bin/tool2", all[16+2].PolicyURI)
	require.Equal(t, "sha256:boot_aggregate", all[16].PolicyURI)
	require.Equal(t, m.banks[pcr.SHA256].Value(10), b.Value(10), "the PCR is reached all the same")

	for _, log := range []string{m.imaLog(), m.biosLog()} {
		cfg.Refused = func(path string) error {
			if path == log {
				return refused
			}
			return nil
		}
		c := New(cfg)
		for _, q := range []uint8{qualifierTrusted, qualifierOS} {
			err := c.Collect(context.Background(), imaName(q), pts.Bank{Algorithm: pts.SHA256})
			require.Equal(t, (log == m.imaLog()) == (q == qualifierOS), errors.Is(err, refused), "%v", err)
		}
	}
}

func TestPCRInfo(t *testing.T) {
	m := boot(t, 0, false)
	m.run(3)
	cfg := m.config()
	cfg.PCRInfo = true
	_, all := replay(t, m.collect(cfg, pts.SHA256).Drain(), pcr.SHA256, 0)
	last := all[len(all)-1]
	require.Equal(t, m.banks[pcr.SHA256].Value(10), last.PCRs.After)
	require.Equal(t, all[len(all)-2].PCRs.After, last.PCRs.Before)
	require.Equal(t, make([]byte, 32), all[0].PCRs.Before)
}

// Entries that came between the reading and the quote are added: exactly those
// that the quote covers, not those that came after it.
func TestGrowingLog(t *testing.T) {
	m := boot(t, 3, true)
	m.run(5)
	c := m.collect(m.config(), pts.SHA256)
	m.run(7)
	quoted := m.values(pcr.SHA256)
	m.run(4)
	require.True(t, settle(t, c, quoted))
	b, all := replay(t, c.Drain(), pcr.SHA256, 3)
	require.Len(t, all, 16+1+5+7)
	require.Equal(t, quoted[10], b.Value(10))
}

// The kernel writes the list before it extends the PCR: what was read may be
// ahead of the quote.
func TestListAheadOfTheQuote(t *testing.T) {
	m := boot(t, 3, true)
	m.run(5)
	quoted := m.values(pcr.SHA256)
	m.run(2)
	c := m.collect(m.config(), pts.SHA256)
	require.True(t, settle(t, c, quoted))
	b, all := replay(t, c.Drain(), pcr.SHA256, 3)
	require.Len(t, all, 16+1+5)
	require.Equal(t, quoted[10], b.Value(10))
}

// An entry that extends a PCR which the quote does not cover asks for another.
func TestPCRThatTheQuoteLacks(t *testing.T) {
	m := boot(t, 3, true)
	c := m.collect(m.config(), pts.SHA256)
	rec, _, s := record(make([]byte, 32), "/policy/with/pcr=11")
	rec[0] = 11
	m.append(m.imaLog(), rec)
	m.banks[pcr.SHA256].Extend(11, s)
	m.run(1)
	quoted := m.values(pcr.SHA256)
	delete(quoted, 11)
	require.False(t, settle(t, c, quoted))
	require.True(t, c.PCRs().Has(11))
	require.True(t, settle(t, c, m.values(pcr.SHA256)))
	b, _ := replay(t, c.Drain(), pcr.SHA256, 3)
	require.Equal(t, m.banks[pcr.SHA256].Value(10), b.Value(10))
	require.Equal(t, m.banks[pcr.SHA256].Value(11), b.Value(11))
}

func TestAlteredLogIsSentAsItIs(t *testing.T) {
	m := boot(t, 3, true)
	m.run(5)
	m.alter("/usr/bin/tool3\x00", "/usr/bin/evil3\x00")
	c := m.collect(m.config(), pts.SHA256)
	require.False(t, settle(t, c, m.values(pcr.SHA256)))
	require.Len(t, c.Drain(), 16+6, "the verifier sees it and refuses")
}

func (m *machine) alter(from, to string) {
	m.t.Helper()
	for _, f := range []string{m.imaLog(), m.biosLog()} {
		b, err := os.ReadFile(f)
		require.NoError(m.t, err)
		require.NoError(m.t, os.WriteFile(f, bytes.Replace(b, []byte(from), []byte(to), 1), 0o600))
	}
}

func TestWrongBootAggregateStopsTheList(t *testing.T) {
	m := boot(t, 3, true)
	m.run(2)
	digest := m.aggregateDigest()
	m.alter(string(digest), strings.Repeat("x", 32))
	c := New(m.config())
	b := pts.Bank{Algorithm: pts.SHA256, Locality: 3}
	require.NoError(t, c.Collect(context.Background(), imaName(qualifierTrusted), b))
	require.ErrorContains(t, c.Collect(context.Background(), imaName(qualifierOS), b), "boot aggregate computed over PCR0..PCR9 is incorrect")
	require.EqualValues(t, 0xFF, c.PCRs())
	require.True(t, settle(t, c, m.values(pcr.SHA256)))
	require.Len(t, c.Drain(), 16)
	// Without BIOS evidence there is nothing to compare it with.
	require.NoError(t, New(m.config()).Collect(context.Background(), imaName(qualifierOS), b))
}

func (m *machine) aggregateDigest() []byte {
	c := New(m.config())
	require.NoError(m.t, c.Collect(context.Background(), imaName(qualifierTrusted), pts.Bank{Algorithm: pts.SHA256, Locality: m.locality}))
	return c.bank.Digest(9)
}

func TestPadding(t *testing.T) {
	m := boot(t, 0, false)
	m.run(3)
	cfg := m.config()
	cfg.PCRPadding = true
	_, all := replay(t, m.collect(cfg, pts.SHA256).Drain(), pcr.SHA256, 0)
	last := all[len(all)-1]
	require.Equal(t, pts.TransformShort, last.Transform)
	require.Equal(t, make([]byte, 12), last.Measurement[20:])
	require.Equal(t, pts.TransformMatch, all[0].Transform, "BIOS events have their own digests")
	_, all = replay(t, m.collect(cfg, pts.SHA1).Drain(), pcr.SHA1, 0)
	require.Equal(t, pts.TransformMatch, all[len(all)-1].Transform)
}

func TestLocality(t *testing.T) {
	for _, l := range []uint8{0, 3, 4} {
		m := boot(t, l, true)
		got, ok := New(m.config()).Locality(context.Background(), pts.SHA256, nil)
		require.True(t, ok, "the log tells it")
		require.Equal(t, l, got)
		m = boot(t, l, false)
		got, ok = New(m.config()).Locality(context.Background(), pts.SHA1, m.banks[pcr.SHA1].Value(0))
		require.True(t, ok, "the value of PCR 0 tells it")
		require.Equal(t, l, got)
		got, ok = New(m.config()).Locality(context.Background(), pts.SHA256, nil)
		require.True(t, ok, "the boot aggregate tells it")
		require.Equal(t, l, got)
		cfg := m.config()
		cfg.IMALog = "/nonexistent"
		_, ok = New(cfg).Locality(context.Background(), pts.SHA256, make([]byte, 32))
		require.False(t, ok)
	}
	_, ok := New(Config{BIOSLog: "/nonexistent"}).Locality(context.Background(), pts.SHA256, nil)
	require.False(t, ok)
}

type fakeTPM struct {
	pts.Quoter
	values pcr.Values
	err    error
}

func (f fakeTPM) ReadPCRs(_ context.Context, alg pts.HashAlgorithms, _ pcr.Selection) (pcr.Values, error) {
	if alg != pts.SHA1 {
		return nil, errors.New("wrong bank")
	}
	return f.values, f.err
}

func TestTrustedGRUB(t *testing.T) {
	after := bytes.Repeat([]byte{7}, 20)
	n := pts.ComponentName{Vendor: patnc.VendorITA, Qualifier: qualifierTrusted, Name: nameTrustedGRUB}
	c := New(Config{})
	b := pts.Bank{Algorithm: pts.SHA256, TPM: fakeTPM{values: pcr.Values{16: after}}}
	require.NoError(t, c.Collect(context.Background(), n, b))
	require.Zero(t, c.PCRs(), "not quoted")
	as := c.Drain()
	require.Len(t, as, 1)
	enc, err := as[0].Value.AppendValue(nil)
	require.NoError(t, err)
	v, err := pts.Attributes[pts.TypeSimpleComponentEvidence].Parse(enc)
	require.NoError(t, err)
	e := v.(pts.SimpleComponentEvidence)
	require.EqualValues(t, 16, e.PCR)
	require.Equal(t, pts.SHA1, e.Hash)
	require.Equal(t, &pts.PCRInfo{Before: make([]byte, 20), After: after}, e.PCRs)
	require.Equal(t, make([]byte, 20), e.Measurement)
	b.TPM = fakeTPM{err: errors.New("gone")}
	require.ErrorContains(t, c.Collect(context.Background(), n, b), "error occurred while reading PCR: 16")
}

func TestTrustedBoot(t *testing.T) {
	hex20 := func(d string) string { return strings.Repeat(d, 20) }
	n := pts.ComponentName{Vendor: patnc.VendorITA, Qualifier: qualifierTrusted, Name: nameTrustedBoot}
	cfg := Config{TrustedBoot: [2]TrustedBoot{{hex20("00"), hex20("aa"), hex20("bb")}, {hex20("00"), hex20("cc"), hex20("dd")}}}
	c := New(cfg)
	require.NoError(t, c.Collect(context.Background(), n, pts.Bank{Algorithm: pts.SHA1}))
	require.EqualValues(t, 3<<17, c.PCRs())
	require.Len(t, c.Drain(), 2)
	for _, bad := range []string{"", "zz", hex20("aa")[2:]} {
		cfg.TrustedBoot[1].After = bad
		c = New(cfg)
		require.Error(t, c.Collect(context.Background(), n, pts.Bank{Algorithm: pts.SHA1}))
		require.Empty(t, c.Drain(), "all or nothing")
	}
}

func TestUnknownComponents(t *testing.T) {
	c := New(Config{})
	b := pts.Bank{Algorithm: pts.SHA256}
	for _, n := range []pts.ComponentName{
		{Vendor: patnc.VendorTCG, Qualifier: 0x21, Name: 2}, {Vendor: patnc.VendorITA, Qualifier: 0x21, Name: 9},
		{Vendor: patnc.VendorITA, Family: 1, Qualifier: 0x21, Name: 3},
	} {
		require.ErrorIs(t, c.Collect(context.Background(), n, b), pts.ErrNoCollector)
	}
	require.ErrorContains(t, c.Collect(context.Background(), imaName(0x20), b), "unsupported functional component name qualifier")
	require.Error(t, New(Config{}).Collect(context.Background(), imaName(0x21), pts.Bank{}))
	require.Error(t, New(Config{BIOSLog: "/nonexistent"}).Collect(context.Background(), imaName(0x21), b))
	require.Error(t, New(Config{IMALog: "/nonexistent"}).Collect(context.Background(), imaName(0x22), b))
}

func TestAlgorithm(t *testing.T) {
	m := boot(t, 0, false)
	require.Equal(t, pts.SHA256, New(m.config()).Algorithm())
	m.alter("boot_aggregate", "boot_aggregatf")
	require.Zero(t, New(m.config()).Algorithm())
	require.Zero(t, New(Config{IMALog: "/nonexistent"}).Algorithm())
	require.NoError(t, os.WriteFile(m.imaLog(), []byte("rubbish"), 0o600))
	require.Zero(t, New(m.config()).Algorithm())
}

type settingsMap map[string]string

func (s settingsMap) String(k, def string) string {
	if v, ok := s[k]; ok {
		return v
	}
	return def
}
func (s settingsMap) Bool(k string, def bool) bool {
	if v, ok := s[k]; ok {
		return v == "yes"
	}
	return def
}

func TestFromSettings(t *testing.T) {
	const p = "plugins.imc-attestation."
	require.Equal(t, Config{}, FromSettings(settingsMap{}, nil))
	require.Equal(t, Config{PCRInfo: true, PCRPadding: true, TrustedBoot: [2]TrustedBoot{{"a", "b", "c"}, {"d", "e", "f"}}},
		FromSettings(settingsMap{p + "pcr_info": "yes", p + "pcr_padding": "yes",
			p + "pcr17_before": "a", p + "pcr17_meas": "b", p + "pcr17_after": "c",
			p + "pcr18_before": "d", p + "pcr18_meas": "e", p + "pcr18_after": "f"}, nil))
}

// A kernel whose list lies in its lengths costs a line of log, not memory.
func TestBrokenList(t *testing.T) {
	m := boot(t, 3, true)
	m.run(2)
	m.append(m.imaLog(), append(append([]byte{10, 0, 0, 0}, make([]byte, 20)...), 0xFF, 0xFF, 0xFF, 0xFF))
	c := New(m.config())
	b := pts.Bank{Algorithm: pts.SHA256, Locality: 3}
	require.Error(t, c.Collect(context.Background(), imaName(qualifierOS), b))
	_, err := c.MatchQuote(context.Background(), pts.Quote{Values: m.values(pcr.SHA256)})
	require.NoError(t, err)
	require.Len(t, c.Drain(), 3)
}

func TestContextEnds(t *testing.T) {
	m := boot(t, 3, true)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	require.ErrorIs(t, New(m.config()).Collect(ctx, imaName(qualifierTrusted), pts.Bank{Algorithm: pts.SHA256}), context.Canceled)
}

func inspect(t *testing.T, m *machine, cfg Config, tpm pcr.Values) *Report {
	t.Helper()
	r, err := Inspect(context.Background(), cfg, pts.SHA256, tpm)
	require.NoError(t, err)
	return r
}

func TestInspectFindsNoDifference(t *testing.T) {
	m := boot(t, 3, false)
	m.run(9)
	tpm := m.values(pcr.SHA256)
	m.run(2)
	r := inspect(t, m, m.config(), tpm)
	require.Nil(t, r.Difference)
	require.True(t, *r.Matches)
	require.EqualValues(t, 3, r.Locality)
	require.Equal(t, "correct over PCR0..PCR9", r.BootAggregate)
	require.Equal(t, 16, r.Components[0].Entries)
	require.Equal(t, 12, r.Components[1].Entries)
	require.Equal(t, 2, r.Components[1].Later)
	require.Len(t, r.PCRs, 9)
	require.Equal(t, 10, r.PCRs[8].Entries)

	r = inspect(t, m, m.config(), nil)
	require.Nil(t, r.Matches)
	require.Len(t, r.PCRs, 9)
}

func TestInspectNamesTheEntry(t *testing.T) {
	m := boot(t, 3, true)
	m.run(9)
	m.alter("/usr/bin/tool4\x00", "/usr/bin/evil4\x00")
	r := inspect(t, m, m.config(), m.values(pcr.SHA256))
	require.False(t, *r.Matches)
	require.Equal(t, 5, r.Difference.Entry)
	require.Equal(t, "/usr/bin/evil4", r.Difference.Name)
	require.EqualValues(t, 10, r.Difference.PCR)
	require.Contains(t, r.Difference.String(), "/usr/bin/evil4")

	// In the SHA-1 bank PCR 10 still matches; the entry is named all the same.
	r, err := Inspect(context.Background(), m.config(), pts.SHA1, m.values(pcr.SHA1))
	require.NoError(t, err)
	require.False(t, *r.Matches)
	require.Equal(t, 5, r.Difference.Entry)
}

func TestInspectNamesTheEvent(t *testing.T) {
	m := boot(t, 3, true)
	m.run(1)
	sum := sha256.Sum256([]byte("event 5"))
	m.alter(string(sum[:]), strings.Repeat("x", 32))
	r := inspect(t, m, m.config(), m.values(pcr.SHA256))
	require.EqualValues(t, 5, r.Difference.PCR)
	require.Equal(t, "EV_EFI_PLATFORM_FIRMWARE_BLOB", r.Difference.Name)
	require.Equal(t, "incorrect: the BIOS events do not lead to it", r.BootAggregate)
}

func TestInspectOfMissingEntry(t *testing.T) {
	m := boot(t, 3, true)
	m.run(4)
	m.banks[pcr.SHA256].Extend(10, make([]byte, 32))
	r := inspect(t, m, m.config(), m.values(pcr.SHA256))
	require.Zero(t, r.Difference.Entry)
	require.Contains(t, r.Difference.Reason, "one is missing")
}

// bankTPM is a TPM with these values in every bank.
type bankTPM struct {
	pts.Quoter
	values pcr.Values
}

func (f bankTPM) ReadPCRs(context.Context, pts.HashAlgorithms, pcr.Selection) (pcr.Values, error) {
	return f.values, nil
}

// How the kernel pads is found by what the TPM holds, whatever the setting says,
// violations included.
func TestPaddingIsFound(t *testing.T) {
	for _, pad := range []ima.Padding{ima.PadNone, ima.PadSHA1, ima.PadMissing} {
		for _, setting := range []bool{false, true} {
			m := boot(t, 3, true)
			m.run(4)
			rec, _, _ := record(make([]byte, 32), "/bin/violated")
			clear(rec[4:24])
			m.append(m.imaLog(), rec)
			m.entries++
			m.run(1)
			// what such a kernel does to PCR 10
			tpm := m.values(pcr.SHA256)
			b := pcr.NewBank(pcr.SHA256)
			list, err := os.ReadFile(m.imaLog())
			require.NoError(t, err)
			r := ima.NewReader(bytes.NewReader(list), ima.Config{})
			for e, err := r.Next(); err == nil; e, err = r.Next() {
				require.True(t, b.Extend(10, e.AppendMeasurement(nil, pcr.SHA256, pad)))
			}
			tpm[10] = b.Value(10)
			cfg := m.config()
			cfg.PCRPadding = setting
			report := inspect(t, m, cfg, tpm)
			require.True(t, *report.Matches, "%v, pcr_padding %v", pad, setting)
			require.Equal(t, cfg.padding() != pad, len(report.Notes) == 1, "%v", report.Notes)

			c := New(cfg)
			at := pts.Bank{Algorithm: pts.SHA256, Locality: 3, TPM: bankTPM{values: tpm}}
			require.NoError(t, c.Collect(context.Background(), imaName(qualifierTrusted), at))
			require.NoError(t, c.Collect(context.Background(), imaName(qualifierOS), at))
			require.True(t, settle(t, c, tpm))
			got, all := replay(t, c.Drain(), pcr.SHA256, 3)
			require.Equal(t, tpm[10], got.Value(10))
			require.Equal(t, pad != ima.PadNone, all[len(all)-1].Transform == pts.TransformShort)
		}
	}
}

func TestInspectWithoutLogs(t *testing.T) {
	r, err := Inspect(context.Background(), Config{BIOSLog: "/nonexistent", IMALog: "/nonexistent", TrustedBoot: [2]TrustedBoot{{"a", "b", "c"}}}, pts.SHA256, nil)
	require.NoError(t, err)
	require.Equal(t, "the kernel offers no such log", r.Components[0].Error)
	require.Equal(t, "the kernel offers no such log", r.Components[1].Error)
	require.NotEmpty(t, r.Components[2].Error)
}

// BenchmarkEvidence collects, settles and encodes 20,000 entries.
func BenchmarkEvidence(b *testing.B) {
	m := &machine{t: b, dir: b.TempDir(), banks: map[pcr.Hash]*pcr.Bank{pcr.SHA1: pcr.NewBank(pcr.SHA1), pcr.SHA256: pcr.NewBank(pcr.SHA256)}}
	var log []byte
	for i := range 20000 {
		d := sha256.Sum256(fmt.Append(nil, i))
		rec, _, s := record(d[:], fmt.Sprintf("/usr/lib/x86_64-linux-gnu/lib%d.so.1", i))
		log = append(log, rec...)
		m.banks[pcr.SHA256].Extend(10, s)
	}
	m.append(m.imaLog(), log)
	quoted := m.values(pcr.SHA256)
	b.ReportAllocs()
	evidence := func(message []byte) (*Collector, []patnc.Attribute, []byte) {
		c := New(m.config())
		if err := c.Collect(context.Background(), imaName(qualifierOS), pts.Bank{Algorithm: pts.SHA256}); err != nil {
			b.Fatal(err)
		}
		if ok, err := c.MatchQuote(context.Background(), pts.Quote{Values: quoted}); !ok || err != nil {
			b.Fatal(ok, err)
		}
		as := c.Drain()
		for _, a := range as {
			var err error
			if message, err = a.AppendBinary(message); err != nil {
				b.Fatal(err)
			}
		}
		return c, as, message
	}
	n := 0
	var message []byte
	for b.Loop() {
		var as []patnc.Attribute
		_, as, message = evidence(message[:0])
		n += len(as)
	}
	octets := len(message)
	heap := func() int64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return int64(s.HeapAlloc)
	}
	before := heap()
	c, as, message := evidence(nil)
	b.ReportMetric(float64(heap()-before)/1024, "held-KiB") // collector, attributes and message at once: the peak
	runtime.KeepAlive(c)
	runtime.KeepAlive(as)
	runtime.KeepAlive(message)
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(float64(octets)/20000, "octets/entry")
}

// Evidence never grows over its bound, whatever the logs hold.
func TestEvidenceIsBounded(t *testing.T) {
	m := boot(t, 3, true)
	m.run(9)
	c := New(m.config())
	c.octets = MaxOctets - 2200
	b := pts.Bank{Algorithm: pts.SHA256, Locality: 3}
	require.NoError(t, c.Collect(context.Background(), imaName(qualifierTrusted), b))
	require.ErrorIs(t, c.Collect(context.Background(), imaName(qualifierOS), b), ErrTooMuch)
	require.LessOrEqual(t, c.octets, MaxOctets)
}

// 20,000 pieces of evidence leave in as few messages as their size allows: what
// a message leaves empty is less than the next piece.
func TestEvidenceFillsMessages(t *testing.T) {
	m := boot(t, 3, true)
	var log []byte
	for i := range 20000 {
		rec, _, _ := record(make([]byte, 32), fmt.Sprintf("/usr/bin/tool%d", i))
		log = append(log, rec...)
	}
	m.append(m.imaLog(), log)
	as := m.collect(m.config(), pts.SHA256).Drain()
	require.Len(t, as, 16+1+20000)
	const size = 65490 // of a PA-TNC message in strongSwan's batches
	messages, dropped, err := patnc.Pack(as, size, nil)
	require.NoError(t, err)
	require.Empty(t, dropped)
	total := 0
	for i, msg := range messages {
		b, err := msg.AppendBinary(nil)
		require.NoError(t, err)
		require.LessOrEqual(t, len(b), size)
		if i < len(messages)-1 {
			require.Greater(t, len(b), size-200)
		}
		total += len(b)
	}
	require.Equal(t, (total+size-200-1)/(size-200), len(messages))
}
