package message

import (
	"crypto/sha1"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHashURL(t *testing.T) {
	h := HashURL{Hash: sha1.Sum([]byte("certificate")), URL: "http://ca.example.org/a.der"}
	b, err := h.AppendBinary(nil)
	require.NoError(t, err)
	require.Equal(t, hex.EncodeToString(h.Hash[:])+hex.EncodeToString([]byte("http://ca.example.org/a.der")), hex.EncodeToString(b))
	again, err := ParseHashURL(b)
	require.NoError(t, err)
	require.Equal(t, h, again)
	for i := range 21 {
		_, err := ParseHashURL(b[:i])
		require.Error(t, err, i)
	}
	for _, url := range []string{"http://a/ b", "http://a/\n", "http://ä/", strings.Repeat("a", MaxURL+1)} {
		_, err := ParseHashURL(append(make([]byte, sha1.Size), url...))
		require.Error(t, err, url)
	}
	for _, url := range []string{"", strings.Repeat("a", MaxURL+1)} {
		_, err := HashURL{URL: url}.AppendBinary(nil)
		require.Error(t, err)
	}
}

// Two certificates, which are SEQUENCEs here, and a CRL between them.
const bundleVector = "301a" + "a006" + "30040202aaaa" + "a105" + "3003020101" + "a009" + "3007" + "0205aabbccddee"

func TestCertBundle(t *testing.T) {
	b, err := hex.DecodeString(bundleVector)
	require.NoError(t, err)
	c, err := ParseCertBundle(b)
	require.NoError(t, err)
	require.Len(t, c.Certs, 2)
	require.Len(t, c.CRLs, 1)
	require.Equal(t, "30040202aaaa", hex.EncodeToString(c.Certs[0]))
	require.Equal(t, "3003020101", hex.EncodeToString(c.CRLs[0]))
	for i := range b {
		_, err := ParseCertBundle(b[:i])
		require.Error(t, err, i)
	}
	for _, bad := range []string{bundleVector + "00", "3008a2063004020200aa", "3002a000", "30060404aaaaaaaa"} {
		b, err := hex.DecodeString(bad)
		require.NoError(t, err)
		_, err = ParseCertBundle(b)
		require.Error(t, err, bad)
	}
}

func FuzzHashURL(f *testing.F) {
	f.Add(append(make([]byte, sha1.Size), "http://a/b"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := ParseHashURL(b); err == nil {
			again, err := h.AppendBinary(nil)
			require.NoError(t, err)
			require.Equal(t, b, again)
		}
	})
}

func FuzzCertBundle(f *testing.F) {
	b, _ := hex.DecodeString(bundleVector)
	f.Add(b)
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = ParseCertBundle(b) })
}
