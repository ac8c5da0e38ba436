package strongswan

import (
	"bytes"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm12"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// TestTPM12 attests with a TPM 1.2 in all quote modes: the SHA-1 event log, IMA's
// first template and ima-ng with SHA-1.
func TestTPM12(t *testing.T) {
	r := newTPMRig(t)
	r.must("pki")
	r.must("net-up")
	e, p := tpmtest.Open12(t)
	id, err := p.MakeIdentity(t.Context(), tpmtest.Owner12, tpm12.IdentityTemplate{})
	require.NoError(t, err)
	r.certify(id)
	r.measuredBoot(p)
	require.NoError(t, p.Close())

	for name, settings := range map[string]string{
		"TPM_Quote":                    "use_quote2 = no",
		"TPM_Quote2":                   "use_quote2 = yes",
		"TPM_Quote2 with version info": "use_quote2 = yes\n use_version_info = yes",
		"TPM_Quote2 with PCR info":     "pcr_info = yes",
	} {
		t.Run(name, func(t *testing.T) {
			r.t = t
			r.must("moon")
			r.must("client", r.lib)
			conf := filepath.Join(r.dir, "client", "strongswan.conf")
			c := readFile(t, conf)
			for old, new := range map[string]string{
				"opts = \"host=127.0.0.1,port=2321\"": fmt.Sprintf("opts = %q", e.Config.Opts),
				"aik_handle = 0x81010003":             "aik_blob = " + filepath.Join(r.dir, "aik.blob") + "\n " + settings,
			} {
				require.Contains(t, c, old)
				c = strings.Replace(c, old, new, 1)
			}
			require.NoError(t, os.WriteFile(conf, []byte(c), 0o600))
			recommendation, _, _ := r.attestMeasured()
			_, results := r.results()
			require.Equal(t, "allowed", recommendation, "%v", results)
			require.Contains(t, r.moonLog(), quoteVerified)
			require.Equal(t, []string{"registered IMA boot aggregate evidence measurement; processed 2 IMA file evidence measurements: 0 ok, 2 unknown, 0 differ, 0 failed; registered 16 BIOS evidence measurements"}, results)
		})
	}
}

// certify issues the AIK's certificate by the rig's CA and writes what the rig's
// database and our settings want.
func (r *rig) certify(id *tpm12.Identity) {
	r.t.Helper()
	public, err := tpm12.CheckIdentity(*id)
	require.NoError(r.t, err)
	decode := func(file string) []byte {
		b, _ := pem.Decode([]byte(readFile(r.t, filepath.Join(r.dir, "pki", file))))
		require.NotNil(r.t, b)
		return b.Bytes
	}
	ca, err := x509.ParseCertificate(decode("ca.pem"))
	require.NoError(r.t, err)
	var key any
	if key, err = x509.ParsePKCS1PrivateKey(decode("ca.key")); err != nil {
		key, err = x509.ParsePKCS8PrivateKey(decode("ca.key"))
	}
	require.NoError(r.t, err)
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(4711), Subject: pkix.Name{CommonName: "AIK 1.2"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}, ca, public, key)
	require.NoError(r.t, err)
	spki, err := x509.MarshalPKIXPublicKey(public)
	require.NoError(r.t, err)
	sum := sha1.Sum(spki)
	for name, b := range map[string][]byte{"aik.blob": id.Blob, "aik.der": der, "aik.keyid": []byte(hex.EncodeToString(sum[:]) + "\n")} {
		require.NoError(r.t, os.WriteFile(filepath.Join(r.dir, name), b, 0o600))
	}
}

// measuredBoot extends the TPM as firmware and kernel do and writes their logs.
func (r *rig) measuredBoot(p *tpm12.TPM) {
	r.t.Helper()
	le := binary.LittleEndian
	field := func(b []byte) []byte { return append(le.AppendUint32(nil, uint32(len(b))), b...) }
	bank := pcr.NewBank(pcr.SHA1)
	extend := func(i int, sum []byte) {
		require.NoError(r.t, p.ExtendPCR(r.t.Context(), i, map[pcr.Hash][]byte{pcr.SHA1: sum}))
		bank.Extend(uint32(i), sum)
	}
	var bios []byte
	for i := range 16 {
		data := fmt.Appendf(nil, "event %d", i)
		sum := sha1.Sum(data)
		bios = append(le.AppendUint32(le.AppendUint32(bios, uint32(i/2)), 4), sum[:]...)
		bios = append(bios, field(data)...)
		extend(i/2, sum[:])
	}
	record := func(template, name string, digest []byte) []byte {
		var data, hashed []byte
		if template == "ima" {
			data = append(bytes.Clone(digest), field([]byte(name))...)
			hashed = append(bytes.Clone(digest), append([]byte(name), make([]byte, 256-len(name))...)...)
		} else {
			data = append(field(append([]byte("sha1:\x00"), digest...)), field([]byte(name+"\x00"))...)
			hashed = data
			data = field(data)
		}
		sum := sha1.Sum(hashed)
		extend(10, sum[:])
		return append(append(append(le.AppendUint32(nil, 10), sum[:]...), field([]byte(template))...), data...)
	}
	file := sha1.Sum([]byte("file"))
	ima := record("ima-ng", "boot_aggregate", bank.Digest(7))
	ima = append(ima, record("ima-ng", "/usr/bin/one", file[:])...)
	ima = append(ima, record("ima", "/usr/bin/two", file[:])...)
	for name, b := range map[string][]byte{"tpm0/binary_bios_measurements": bios, "ima/binary_runtime_measurements": ima} {
		path := filepath.Join(r.dir, "carol", "sec", name)
		require.NoError(r.t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(r.t, os.WriteFile(path, b, 0o600))
	}
}
