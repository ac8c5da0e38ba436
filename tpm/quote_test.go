package tpm_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

var update = flag.Bool("update", false, "record the transcripts in testdata again")

// measured is what the tests extend into PCRs 10 and 16 beside what the
// emulator has after its start.
func extend(t *testing.T, p tpm.TPM, banks ...pcr.Hash) {
	t.Helper()
	for i, what := range map[int]string{10: "a", 16: "b"} {
		d := map[pcr.Hash][]byte{}
		for _, b := range banks {
			d[b] = b.Sum([]byte(what))
		}
		require.NoError(t, p.(interface {
			ExtendPCR(context.Context, int, map[pcr.Hash][]byte) error
		}).ExtendPCR(t.Context(), i, d))
	}
}

// replayed is what a verifier computes of the same measurements.
func replayed(bank pcr.Hash, pcrs pcr.Selection) pcr.Values {
	out := pcr.Values{}
	for _, i := range pcrs.PCRs() {
		out[i] = make([]byte, bank.Size())
		if i >= 17 && i <= 22 {
			out[i] = bytes.Repeat([]byte{0xff}, bank.Size())
		}
	}
	for i, what := range map[int]string{10: "a", 16: "b"} {
		if v, ok := out[i]; ok {
			h := bank.Crypto().New()
			h.Write(v)
			h.Write(bank.Sum([]byte(what)))
			out[i] = h.Sum(nil)
		}
	}
	return out
}

var (
	small = pcr.Select(10, 16)
	large = pcr.Select(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 23) // more than one TPM2_PCR_Read
)

// quoteCase is one quote; the transcript of it is testdata/<name>.txt.
type quoteCase struct {
	name string
	gen  tpm.Generation
	key  string // which key
	pss  bool
	req  tpm.QuoteRequest
}

func external(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i + 1)
	}
	return b
}

func cases() []quoteCase {
	var out []quoteCase
	for _, k := range keys20 {
		for _, b := range []pcr.Hash{pcr.SHA1, pcr.SHA256, pcr.SHA384, pcr.SHA512} {
			pcrs := small
			if b == pcr.SHA256 {
				pcrs = large
			}
			out = append(out, quoteCase{
				name: fmt.Sprintf("tpm20-%s-%s", k.name, bankNames[b]), gen: tpm.TPM20, key: k.name, pss: k.kt.Scheme == tpm20.RSAPSS,
				req: tpm.QuoteRequest{PCRs: pcrs, Bank: b, External: external(b.Size())},
			})
		}
	}
	for name, kind := range map[string]tpm.QuoteKind{"quote": tpm.QuoteInfo, "quote2": tpm.QuoteInfo2, "quote2-version": tpm.QuoteInfo2Version} {
		for _, key := range []string{"key", "key12", "keyauth"} {
			out = append(out, quoteCase{name: "tpm12-" + key + "-" + name, gen: tpm.TPM12, key: key,
				req: tpm.QuoteRequest{PCRs: large, Bank: pcr.SHA1, External: external(20), Kind: kind}})
		}
	}
	slices.SortFunc(out, func(a, b quoteCase) int { return bytes.Compare([]byte(a.name), []byte(b.name)) })
	return out
}

var bankNames = map[pcr.Hash]string{pcr.SHA1: "sha1", pcr.SHA256: "sha256", pcr.SHA384: "sha384", pcr.SHA512: "sha512"}

var keys20 = []struct {
	name string
	kt   tpm20.KeyTemplate
}{
	{"rsassa", tpm20.KeyTemplate{}},
	{"rsassa-sha384", tpm20.KeyTemplate{Hash: pcr.SHA384}},
	{"rsapss", tpm20.KeyTemplate{Scheme: tpm20.RSAPSS}},
	{"ecdsa", tpm20.KeyTemplate{Scheme: tpm20.ECDSA}},
	{"ecdsa-p384-sha512", tpm20.KeyTemplate{Scheme: tpm20.ECDSA, Bits: 384, Hash: pcr.SHA512}},
}

// quoteAndVerify makes the quote over a transport and verifies it.
func quoteAndVerify(t *testing.T, x tpm.Transport, c quoteCase, spki []byte) {
	t.Helper()
	p, err := tpm.Open(t.Context(), x, tpm.Config{Rand: tpmtest.Counter()})
	require.NoError(t, err)
	defer p.Close()
	require.Equal(t, c.gen, p.Generation())
	version, err := p.VersionInfo(t.Context())
	require.NoError(t, err)
	banks, err := p.Banks(t.Context())
	require.NoError(t, err)
	assert.Contains(t, banks, c.req.Bank)
	id, err := p.Identity(t.Context(), c.req.AIK)
	require.NoError(t, err)
	assert.True(t, id.Naked)
	assert.Equal(t, spki, id.DER)
	q, err := p.Quote(t.Context(), c.req)
	require.NoError(t, err)

	want := replayed(c.req.Bank, c.req.PCRs)
	assert.Equal(t, want, q.Values)
	e := received(q, c.req, spki, version, want)
	e.pss = c.pss
	require.NoError(t, e.verify())

	// and the verifier notices what is not so
	for name, spoil := range map[string]func(*evidence){
		"another secret":    func(e *evidence) { e.secret = bytes.Repeat([]byte{9}, len(e.secret)) },
		"another PCR":       func(e *evidence) { e.pcrs = maps.Clone(e.pcrs); e.pcrs[10] = make([]byte, c.req.Bank.Size()) },
		"another signature": func(e *evidence) { e.signature = bytes.Clone(e.signature); e.signature[5] ^= 1 },
	} {
		bad := e
		spoil(&bad)
		assert.Error(t, bad.verify(), name)
	}
}

// tpms starts what the cases need and makes the keys.
type tpms struct {
	e    map[tpm.Generation]*tpmtest.Emulator
	aik  map[string]tpm.AIK
	spki map[string][]byte
}

func startTPMs(t *testing.T) *tpms {
	e12, p12 := tpmtest.Open12(t)
	r := &tpms{e: map[tpm.Generation]*tpmtest.Emulator{tpm.TPM12: e12}, aik: map[string]tpm.AIK{}, spki: map[string][]byte{}}
	for name, template := range map[string]tpm12.IdentityTemplate{"key": {}, "key12": {Key12: true}, "keyauth": {Authorize: true}} {
		template.Label = tpm12.LabelDigest("test", nil)
		id, err := p12.MakeIdentity(t.Context(), tpmtest.Owner12, template)
		require.NoError(t, err)
		require.Equal(t, template.Key12, bytes.Equal([]byte{0, 0x28, 0, 0}, id.Blob[:4]))
		pub, err := tpm12.CheckIdentity(*id)
		require.NoError(t, err)
		r.put(t, name, tpm.AIK{Blob: id.Blob}, pub)
	}
	extend(t, p12, pcr.SHA1)
	require.NoError(t, p12.Close())

	e20 := tpmtest.Swtpm(t, tpm.TPM20)
	r.e[tpm.TPM20] = e20
	p20 := e20.Open(t).(*tpm20.TPM)
	for _, k := range keys20 {
		key, err := p20.CreateAK(t.Context(), tpm20.AKRequest{EK: tpm20.ECC, Template: k.kt}, tpm20.Auth{})
		require.NoError(t, err, k.name)
		r.put(t, k.name, tpm.AIK{Handle: key.Handle}, key.PublicKey)
	}
	extend(t, p20, pcr.SHA1, pcr.SHA256, pcr.SHA384, pcr.SHA512)
	require.NoError(t, p20.Close())
	return r
}

func (r *tpms) put(t *testing.T, name string, aik tpm.AIK, pub crypto.PublicKey) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(pub)
	require.NoError(t, err)
	r.aik[name], r.spki[name] = aik, der
}

// Both generations, all quote modes, keys, schemes and banks against Debian's
// swtpm, verified by the verifier of this package's tests. With -update the
// conversations become the transcripts that TestReplay uses.
func TestQuotesOfSwtpm(t *testing.T) {
	r := startTPMs(t)
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			x, err := device.OpenTransport(t.Context(), r.e[c.gen].Config)
			require.NoError(t, err)
			rec := &tpmtest.Recorder{Transport: x}
			c.req.AIK = r.aik[c.key]
			quoteAndVerify(t, rec, c, r.spki[c.key])
			if *update {
				rec.Log.Values = map[string][]byte{"spki": r.spki[c.key], "blob": c.req.AIK.Blob}
				rec.Log.Values["handle"] = be32(c.req.AIK.Handle)
				require.NoError(t, rec.Log.Write(transcript(c), "spki", "blob", "handle"))
			}
		})
	}
}

// PCR 16 changes before and after each quote: what the quote covers is found among the
// values that PCR 16 had.
func TestQuoteWhosePCRsChange(t *testing.T) {
	r := startTPMs(t)
	for _, c := range cases() {
		ordinal := map[string]byte{"tpm20-ecdsa-sha256": cmdQuote20 & 0xff, "tpm20-rsassa-sha384": cmdQuote20 & 0xff, "tpm12-key-quote2": 0x3e}[c.name]
		if ordinal == 0 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			x, err := device.OpenTransport(t.Context(), r.e[c.gen].Config)
			require.NoError(t, err)
			defer x.Close()
			beside, err := tpm.Open(t.Context(), x, tpm.Config{})
			require.NoError(t, err)
			_, err = beside.Banks(t.Context())
			require.NoError(t, err)
			change := func() {
				require.NoError(t, beside.(interface {
					ExtendPCR(context.Context, int, map[pcr.Hash][]byte) error
				}).ExtendPCR(t.Context(), 16, map[pcr.Hash][]byte{c.req.Bank: c.req.Bank.Sum([]byte("one more"))}))
			}
			var at []pcr.Values // of each quote
			p, err := tpm.Open(t.Context(), tpmtest.Func(func(ctx context.Context, cmd []byte) ([]byte, error) {
				if cmd[9] != ordinal {
					return x.Exchange(ctx, cmd)
				}
				change()
				values, err := beside.ReadPCRs(ctx, c.req.Bank, c.req.PCRs)
				require.NoError(t, err)
				at = append(at, values)
				rsp, err := x.Exchange(ctx, cmd)
				change()
				return rsp, err
			}), tpm.Config{})
			require.NoError(t, err)
			defer p.Close()
			c.req.AIK = r.aik[c.key]
			q, err := p.Quote(t.Context(), c.req)
			require.NoError(t, err)
			require.Nil(t, q.Values)
			require.Len(t, at, 2, "it was tried again, once")
			require.True(t, q.Covers(at[1]))
			require.False(t, q.Covers(at[0]))
			delete(at[1], 16)
			require.Equal(t, at[1], q.Stable)
		})
	}
}

func transcript(c quoteCase) string { return filepath.Join("testdata", c.name+".txt") }

// The same without swtpm.
func TestReplay(t *testing.T) {
	for _, c := range cases() {
		t.Run(c.name, func(t *testing.T) {
			tr, err := tpmtest.ReadTranscript(transcript(c))
			require.NoError(t, err)
			h := tr.Values["handle"]
			c.req.AIK = tpm.AIK{Blob: tr.Values["blob"], Handle: uint32(h[0])<<24 | uint32(h[1])<<16 | uint32(h[2])<<8 | uint32(h[3])}
			quoteAndVerify(t, tr.Replay(), c, tr.Values["spki"])
		})
	}
}

// What the fakes sign is what TPMs sign.
func TestFakes(t *testing.T) {
	for _, gen := range []tpm.Generation{tpm.TPM12, tpm.TPM20} {
		for _, kind := range []tpm.QuoteKind{tpm.QuoteInfo, tpm.QuoteInfo2, tpm.QuoteInfo2Version} {
			for _, ecdsa := range []bool{false, true} {
				f := tpmtest.NewFake(gen)
				if ecdsa && gen == tpm.TPM12 {
					continue
				} else if ecdsa {
					f.UseECDSA()
				}
				for _, b := range f.Algorithms {
					f.Extend(b, 10, b.Sum([]byte("a")))
					f.Extend(b, 16, b.Sum([]byte("b")))
					req := tpm.QuoteRequest{AIK: tpm.AIK{Handle: f.Handle}, PCRs: large, Bank: b, External: external(20), Kind: kind}
					q, err := f.Quote(t.Context(), req)
					require.NoError(t, err)
					id, err := f.Identity(t.Context(), req.AIK)
					require.NoError(t, err)
					v, err := f.VersionInfo(t.Context())
					require.NoError(t, err)
					require.NoError(t, received(q, req, id.DER, v, replayed(b, large)).verify())
				}
			}
		}
	}
}

// A certificate of another key than the AIK is refused.
func TestIdentity(t *testing.T) {
	f := tpmtest.NewFake(tpm.TPM12)
	der, err := x509.MarshalPKIXPublicKey(f.Public())
	require.NoError(t, err)
	p, err := tpm.Open(t.Context(), readTranscript(t, "tpm12-key-quote").Replay(), tpm.Config{})
	require.NoError(t, err)
	id, err := p.Identity(t.Context(), tpm.AIK{PublicKey: der})
	require.NoError(t, err)
	assert.Equal(t, der, id.DER)
	_, err = p.Identity(t.Context(), tpm.AIK{})
	assert.ErrorIs(t, err, tpm.ErrNoKey)
	_, err = p.Identity(t.Context(), tpm.AIK{Certificate: []byte("no certificate")})
	assert.Error(t, err)
	_, err = p.Identity(t.Context(), tpm.AIK{Blob: []byte{1, 1, 0, 0}})
	assert.Error(t, err)

	cert := selfSigned(t)
	id, err = p.Identity(t.Context(), tpm.AIK{Certificate: cert})
	require.NoError(t, err)
	assert.False(t, id.Naked)
	assert.Equal(t, cert, id.DER)
	blob := readTranscript(t, "tpm12-key-quote").Values["blob"]
	_, err = p.Identity(t.Context(), tpm.AIK{Certificate: cert, Blob: blob})
	assert.ErrorIs(t, err, tpm.ErrNoKey, "a certificate of another key than the blob's")
	id, err = p.Identity(t.Context(), tpm.AIK{Blob: blob})
	require.NoError(t, err)
	pub, err := x509.ParsePKIXPublicKey(id.DER)
	require.NoError(t, err)
	assert.Equal(t, 2048, pub.(*rsa.PublicKey).N.BitLen())
}

func readTranscript(t testing.TB, name string) *tpmtest.Transcript {
	t.Helper()
	tr, err := tpmtest.ReadTranscript(filepath.Join("testdata", name+".txt"))
	require.NoError(t, err)
	return tr
}

func TestQuoteRefusesWhatCannotBe(t *testing.T) {
	p20, err := tpm.Open(t.Context(), readTranscript(t, "tpm20-rsassa-sha256").Replay(), tpm.Config{})
	require.NoError(t, err)
	p12, err := tpm.Open(t.Context(), readTranscript(t, "tpm12-key-quote").Replay(), tpm.Config{})
	require.NoError(t, err)
	blob := readTranscript(t, "tpm12-key-quote").Values["blob"]
	good20 := tpm.QuoteRequest{AIK: tpm.AIK{Handle: tpm20.FirstAKHandle}, PCRs: small, Bank: pcr.SHA256, External: external(32)}
	good12 := tpm.QuoteRequest{AIK: tpm.AIK{Blob: blob}, PCRs: small, Bank: pcr.SHA1, External: external(20)}
	storage := bytes.Clone(blob)
	storage[5] = 0x11
	for name, c := range map[string]struct {
		p    tpm.TPM
		req  func(*tpm.QuoteRequest)
		want error
	}{
		"2.0 without key":           {p20, func(r *tpm.QuoteRequest) { r.AIK = tpm.AIK{} }, tpm.ErrNoKey},
		"2.0 without PCRs":          {p20, func(r *tpm.QuoteRequest) { r.PCRs = 0 }, nil},
		"2.0 with long external":    {p20, func(r *tpm.QuoteRequest) { r.External = external(65) }, tpm.ErrExternal},
		"2.0 with unknown bank":     {p20, func(r *tpm.QuoteRequest) { r.Bank = 0x12 }, tpm.ErrNoBank},
		"1.2 without key":           {p12, func(r *tpm.QuoteRequest) { r.AIK = tpm.AIK{} }, tpm.ErrNoKey},
		"1.2 without PCRs":          {p12, func(r *tpm.QuoteRequest) { r.PCRs = 0 }, nil},
		"1.2 with SHA-256 external": {p12, func(r *tpm.QuoteRequest) { r.External = external(32) }, tpm.ErrExternal},
		"1.2 with SHA-256 bank":     {p12, func(r *tpm.QuoteRequest) { r.Bank = pcr.SHA256 }, tpm.ErrNoBank},
		"1.2 with kind of 2.0":      {p12, func(r *tpm.QuoteRequest) { r.Kind = tpm.QuoteTPM20 }, nil},
		"1.2 with storage key":      {p12, func(r *tpm.QuoteRequest) { r.AIK.Blob = storage }, tpm.ErrNoKey},
		"1.2 with truncated blob":   {p12, func(r *tpm.QuoteRequest) { r.AIK.Blob = blob[:558] }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			req := good20
			if c.p == p12 {
				req = good12
			}
			c.req(&req)
			_, err := c.p.Quote(t.Context(), req)
			require.Error(t, err)
			if c.want != nil {
				assert.ErrorIs(t, err, c.want)
			}
		})
	}
	_, err = p12.ReadPCRs(t.Context(), pcr.SHA256, small)
	assert.ErrorIs(t, err, tpm.ErrNoBank)
}

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(m.Run())
}
