package tpm_test

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	require.NoError(t, err)
	return b
}

// The vectors of pts.md §8, over the secret of §7.
const (
	secretSHA1   = "f5496bf838c3ea9f23bd8aa7fa9ebaa9f5eb21d9"
	secretSHA256 = "1bf373d3a27ecba371cc97806653da9122d9f368a824d83ffe750b0658dda675"
)

func TestVectors12(t *testing.T) {
	values := pcr.Values{
		16: unhex(t, "f823a51d6b6e10926450b5a5d42c510469caead6"),
		10: unhex(t, "b311ff7e540d671f5b54ed190d402a1d064fbecb"),
	}
	assert.Equal(t, values, replayed(pcr.SHA1, small))
	composite := tpm.Composite12(values)
	assert.Equal(t, unhex(t, "d4f4457811599f39182343e38fc37139096718a1"), composite)
	for kind, want := range map[tpm.QuoteKind]struct {
		length int
		sha1   string
	}{
		tpm.QuoteInfo:  {48, "91df99ba2520f0e93f38a8f1a884dd76c12b7189"},
		tpm.QuoteInfo2: {52, "ad1b977becb2914f50a2255f8b0647228e55618c"},
	} {
		info := tpm.Info12(kind, composite, unhex(t, secretSHA1), small, nil)
		assert.Len(t, info, want.length)
		d := sha1.Sum(info)
		assert.Equal(t, want.sha1, hex.EncodeToString(d[:]))
	}
	version := unhex(t, "0030 0102 129e 0002 03 49424d00 0000")
	assert.Len(t, tpm.Info12(tpm.QuoteInfo2Version, composite, unhex(t, secretSHA1), small, version), 52+15)
	assert.Nil(t, tpm.Info12(tpm.QuoteTPM20, composite, nil, small, nil))
}

const attestVector = `ff544347 8018 0022 000b 0000000000000000000000000000000000000000000000000000000000000000
	0020 1bf373d3a27ecba371cc97806653da9122d9f368a824d83ffe750b0658dda675 0000000000001122 00000003 00000004 01
	2016051100000000 00000001 000b 03 000401 0020 bea75946ae6373e44750e2f80ee59c4f05069735ca01c3105507368e45a9f269`

func TestVector20(t *testing.T) {
	b := unhex(t, attestVector)
	require.Len(t, b, 145)
	a, err := tpm.ParseAttest(wire.NewReader("TPMS_ATTEST", b))
	require.NoError(t, err)
	assert.Equal(t, append([]byte{0, 0x0b}, make([]byte, 32)...), a.QualifiedSigner)
	assert.Equal(t, unhex(t, secretSHA256), a.ExtraData)
	assert.Equal(t, unhex(t, "0000000000001122 00000003 00000004 01"), a.ClockInfo[:])
	assert.Equal(t, unhex(t, "2016051100000000"), a.FirmwareVersion[:])
	assert.Equal(t, tpm.Selection20(pcr.SHA256, small), a.PCRSelection)
	assert.Equal(t, tpm.Digest20(pcr.SHA256, replayed(pcr.SHA256, small)), a.PCRDigest)
	out, err := a.AppendBinary(nil)
	require.NoError(t, err)
	assert.Equal(t, b, out)
	for n := range b {
		_, err := tpm.ParseAttest(wire.NewReader("TPMS_ATTEST", b[:n]))
		assert.Error(t, err, n)
	}
	_, err = tpm.ParseAttest(wire.NewReader("TPMS_ATTEST", append(bytes.Clone(b), 0)))
	assert.ErrorIs(t, err, wire.ErrTrailing)
	hostile := bytes.Clone(b)
	copy(hostile[6+2+34+2+32+17+8:], []byte{0xff, 0xff, 0xff, 0xff})
	_, err = tpm.ParseAttest(wire.NewReader("TPMS_ATTEST", hostile))
	assert.ErrorIs(t, err, wire.ErrLength, "4 Gi selections")
}

// The 559 octets that strongSwan 4.6 logged when it loaded an AIK blob.
func seedBlob(t testing.TB) []byte {
	t.Helper()
	dump, err := os.ReadFile("testdata/aik_blob.dump")
	require.NoError(t, err)
	var b []byte
	for _, m := range regexp.MustCompile(`(?m)^ *[0-9]+: ((?:[0-9A-F]{2} )+)`).FindAllStringSubmatch(string(dump), -1) {
		b = append(b, unhex(t, m[1])...)
	}
	require.Len(t, b, 559)
	return b
}

func TestKeyBlobOfTheSeed(t *testing.T) {
	b := seedBlob(t)
	k, err := tpm.ParseKeyBlob(wire.NewReader("AIK blob", b))
	require.NoError(t, err)
	assert.Equal(t, [4]byte{1, 1, 0, 0}, k.Version)
	assert.False(t, k.Is12())
	assert.EqualValues(t, tpm.KeyUsageIdentity, k.Usage)
	assert.EqualValues(t, 4, k.Flags, "volatile")
	assert.EqualValues(t, 0, k.AuthDataUsage, "TPM_AUTH_NEVER")
	assert.EqualValues(t, 1, k.Algorithm, "TPM_ALG_RSA")
	assert.EqualValues(t, 1, k.EncScheme, "TPM_ES_NONE")
	assert.EqualValues(t, 2, k.SigScheme, "TPM_SS_RSASSAPKCS1v15_SHA1")
	assert.EqualValues(t, 2048, k.KeyLength)
	assert.EqualValues(t, 2, k.NumPrimes)
	assert.Empty(t, k.Exponent)
	assert.Empty(t, k.PCRInfo)
	assert.Len(t, k.Modulus, 256)
	assert.Equal(t, unhex(t, "E91C5F575B735F35"), k.Modulus[:8])
	assert.Equal(t, unhex(t, "7D24826E2B"), k.Modulus[251:])
	assert.Len(t, k.EncData, 256)
	assert.Equal(t, unhex(t, "223522CB61"), k.EncData[:5])
	assert.Equal(t, unhex(t, "F0777AAB"), k.EncData[252:])
	require.NoError(t, k.CheckAIK())
	pub, err := k.PublicKey()
	require.NoError(t, err)
	assert.Equal(t, 65537, pub.E)
	assert.Equal(t, 2048, pub.N.BitLen())

	out, err := k.AppendBinary(nil)
	require.NoError(t, err)
	assert.Equal(t, b, out)
	pubkey := k.Pubkey()
	assert.Len(t, pubkey, 284)
	again, err := tpm.ParsePubkey(wire.NewReader("TPM_PUBKEY", pubkey))
	require.NoError(t, err)
	assert.Equal(t, pubkey, again.Pubkey())

	for n := range b {
		_, err := tpm.ParseKeyBlob(wire.NewReader("AIK blob", b[:n]))
		var de *wire.DecodeError
		assert.ErrorAs(t, err, &de, n)
	}
	for n := range pubkey {
		_, err := tpm.ParsePubkey(wire.NewReader("TPM_PUBKEY", pubkey[:n]))
		assert.Error(t, err, n)
	}
	_, err = tpm.ParseKeyBlob(wire.NewReader("AIK blob", append(bytes.Clone(b), 0)))
	assert.ErrorIs(t, err, wire.ErrTrailing)
}

func TestKeyBlobsThatAreNone(t *testing.T) {
	b := seedBlob(t)
	for name, spoil := range map[string]func([]byte){
		"version":              func(b []byte) { b[0] = 2 },
		"algorithm":            func(b []byte) { b[14] = 6 },
		"key of 4 Gi bits":     func(b []byte) { copy(b[23:], []byte{0xff, 0xff, 0xff, 0xff}) },
		"parameters of 4 GiB":  func(b []byte) { copy(b[19:], []byte{0xff, 0xff, 0xff, 0xff}) },
		"exponent of 4 GiB":    func(b []byte) { copy(b[31:], []byte{0xff, 0xff, 0xff, 0xff}) },
		"modulus of 4 GiB":     func(b []byte) { copy(b[39:], []byte{0xff, 0xff, 0xff, 0xff}) },
		"private part of 2GiB": func(b []byte) { copy(b[299:], []byte{0x80, 0, 0, 0}) },
	} {
		x := bytes.Clone(b)
		spoil(x)
		_, err := tpm.ParseKeyBlob(wire.NewReader("AIK blob", x))
		assert.Error(t, err, name)
	}
	// TPM_KEY12: tag and fill instead of the version
	x := bytes.Clone(b)
	copy(x, []byte{0, 0x28, 0, 0})
	k, err := tpm.ParseKeyBlob(wire.NewReader("AIK blob", x))
	require.NoError(t, err)
	assert.True(t, k.Is12())
	// RSA with an even modulus, a short one, a bad exponent
	for name, spoil := range map[string]func(*tpm.KeyBlob){
		"even":     func(k *tpm.KeyBlob) { k.Modulus = append(bytes.Clone(k.Modulus[:255]), 2) },
		"short":    func(k *tpm.KeyBlob) { k.Modulus = k.Modulus[:255] },
		"exponent": func(k *tpm.KeyBlob) { k.Exponent = []byte{2} },
		"exponent of 5 octets": func(k *tpm.KeyBlob) {
			k.Exponent = []byte{1, 0, 0, 0, 1}
		},
	} {
		k := k
		spoil(&k)
		_, err := k.PublicKey()
		assert.Error(t, err, name)
	}
	k.SigScheme = 1
	assert.ErrorIs(t, k.CheckAIK(), tpm.ErrNoKey)
}

func TestCapVersionInfo(t *testing.T) {
	b := unhex(t, "0030 0102 129e 0002 03 49424d00 0003 aabbcc")
	v, err := tpm.ParseCapVersionInfo(wire.NewReader("TPM_CAP_VERSION_INFO", b))
	require.NoError(t, err)
	assert.Equal(t, tpm.CapVersionInfo{Major: 1, Minor: 2, RevMajor: 0x12, RevMinor: 0x9e, SpecLevel: 2, ErrataRev: 3,
		VendorID: [4]byte{'I', 'B', 'M', 0}, VendorSpecific: []byte{0xaa, 0xbb, 0xcc}}, v)
	out, err := v.AppendBinary(nil)
	require.NoError(t, err)
	assert.Equal(t, b, out)
	for n := range b {
		_, err := tpm.ParseCapVersionInfo(wire.NewReader("TPM_CAP_VERSION_INFO", b[:n]))
		assert.Error(t, err, n)
	}
}

func TestCredentialFile(t *testing.T) {
	c := tpm.Credential{IDObject: []byte{1, 2, 3}, Secret: []byte{4, 5}}
	b, err := c.AppendBinary(nil)
	require.NoError(t, err)
	assert.Equal(t, unhex(t, "badcc0de 00000001 0003 010203 0002 0405"), b)
	again, err := tpm.ParseCredential(wire.NewReader("credential", b))
	require.NoError(t, err)
	assert.Equal(t, c, again)
	for n := range b {
		_, err := tpm.ParseCredential(wire.NewReader("credential", b[:n]))
		assert.Error(t, err, n)
	}
}

func TestNames(t *testing.T) {
	assert.Equal(t, "1.2", tpm.TPM12.String())
	assert.Equal(t, "rsapss", tpm.RSAPSS.String())
	for kind, want := range map[tpm.QuoteKind]tpm.QuoteKind{
		tpm.Kind12(false, false): tpm.QuoteInfo, tpm.Kind12(false, true): tpm.QuoteInfo,
		tpm.Kind12(true, false): tpm.QuoteInfo2, tpm.Kind12(true, true): tpm.QuoteInfo2Version,
	} {
		assert.Equal(t, want, kind)
		assert.NotEmpty(t, kind.String())
	}
}

func TestResponseErrorsSayWhatToDo(t *testing.T) {
	for _, c := range []struct {
		gen  tpm.Generation
		code uint32
		is   error
		says string
	}{
		{tpm.TPM20, 0x921, tpm.ErrLocked, "TPM_RC_LOCKOUT"},
		{tpm.TPM20, 0x922, tpm.ErrBusy, "TPM_RC_RETRY"},
		{tpm.TPM20, 0x98e, nil, "the password is wrong"},
		{tpm.TPM20, 0x18b, tpm.ErrNoKey, "tnc aik create"},
		{tpm.TPM20, 0x910, tpm.ErrNoKey, "no object at that handle"},
		{tpm.TPM12, 0x803, tpm.ErrLocked, "TPM_DEFEND_LOCK_RUNNING"},
		{tpm.TPM12, 7, tpm.ErrLocked, "firmware's setup"},
		{tpm.TPM12, 0x12, tpm.ErrNoOwner, "--take-ownership"},
		{tpm.TPM12, 0x21, nil, "another TPM"},
		{tpm.TPM20, 0xabc, nil, "0xabc"},
	} {
		err := &tpm.ResponseError{Generation: c.gen, Code: c.code, Command: "TPM2_X"}
		assert.Contains(t, err.Error(), c.says)
		if c.is != nil {
			assert.True(t, errors.Is(err, c.is), "%v", err)
		} else {
			assert.NoError(t, err.Unwrap())
		}
	}
}
