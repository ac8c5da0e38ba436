package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
)

func TestConfigCheckAndDoctor(t *testing.T) {
	s := newSite(t, nil)
	stdout, stderr, code := runTNC(t, append([]string{"config", "check"}, s.args...)...)
	require.Zero(t, code, stdout+stderr)
	require.Contains(t, stdout, `connection "home"`)
	require.Contains(t, stdout, `IMC "Attestation"`)
	s.replace("swanctl.conf", "remote_addrs", "remote_adrs")
	s.write("tnc_config", "IMC \"Attestation\" /does/not/exist.so\n")
	stdout, _, code = runTNC(t, append([]string{"config", "check"}, s.args...)...)
	require.Equal(t, 1, code)
	require.Contains(t, stdout, `swanctl.conf:3`, "unknown keys with file and line")
	require.Contains(t, stdout, "has no remote_addrs")
	require.Contains(t, stdout, "/does/not/exist.so")
	stdout, _, _ = runTNC(t, append([]string{"doctor"}, s.args...)...)
	require.Contains(t, stdout, "data plane xfrm")
	require.Contains(t, stdout, "/does/not/exist.so")
}

// A certificate out of date is reported; beside a CA that is valid an old one only
// warns.
func TestConfigCheckExpired(t *testing.T) {
	s := newSite(t, nil)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	old := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "old CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1e9, 0)}
	der, err := x509.CreateCertificate(rand.Reader, old, old, key.Public(), key)
	require.NoError(t, err)
	s.write("x509ca/old.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	check := append([]string{"config", "check"}, s.args...)
	stdout, _, code := runTNC(t, check...)
	require.Zero(t, code, stdout)
	require.Regexp(t, `(?m)^warning  certificate CN=old CA expired on 2001-09-09: replace it$`, stdout)
	require.NoError(t, os.Remove(s.path("x509ca/ca.pem")))
	stdout, stderr, code := runTNC(t, check...)
	require.Equal(t, report.ExitFailure, code)
	require.Regexp(t, `(?m)^error    certificate CN=old CA expired on 2001-09-09: replace it$`, stdout)
	oneSentence(t, stderr, "errors in the configuration: 1")
}

// A mistyped setting of the IMC is reported, by strongswan.conf's line.
func TestConfigCheckMistyped(t *testing.T) {
	s := newSite(t, nil)
	s.write("strongswan.conf", "libimcv {\n  plugins {\n    imc-attestation {\n      mesure_deny = /home\n      measure_deny = /root\n    }\n  }\n}\n")
	stdout, _, code := runTNC(t, append([]string{"config", "check"}, s.args...)...)
	require.Zero(t, code)
	require.Regexp(t, `(?m)^warning  \S+strongswan.conf:4: setting "mesure_deny" is not known in libimcv.plugins.imc-attestation; is "measure_deny" meant\?$`, stdout)
	require.NotContains(t, stdout, `setting "measure_deny"`)
}

// One error does not hide another, each has its place, and nothing to check is
// said.
func TestConfigCheckTellsAll(t *testing.T) {
	s := newSite(t, nil)
	require.NoError(t, os.RemoveAll(filepath.Join(s.dir, "x509ca")))
	s.replace("swanctl.conf", "remote_ts", "esp_proposals = aes999\n        remote_ts")
	stdout, _, code := runTNC(t, append([]string{"config", "check"}, s.args...)...)
	require.Equal(t, report.ExitFailure, code)
	require.Regexp(t, `(?m)^error    \S+swanctl.conf:\d+: connection "home": no CA certificate`, stdout)
	require.Regexp(t, `(?m)^error    \S+swanctl.conf:\d+: esp_proposals of child "home": .*aes999`, stdout)
	s.write("swanctl.conf", "")
	stdout, _, code = runTNC(t, append([]string{"config", "check"}, s.args...)...)
	require.Equal(t, report.ExitFailure, code)
	require.Regexp(t, `(?m)^error    \S+swanctl.conf: no connection is configured`, stdout)
}
