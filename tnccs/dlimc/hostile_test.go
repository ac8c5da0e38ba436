//go:build cgo && unix

package dlimc

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/pb"
)

func TestIMCCallsFromItsOwnThread(t *testing.T) {
	noLeak(t)
	c, s, first, l := run(t, buildIMC(t, "THREAD"), Config{})
	require.Len(t, parse(t, first).Messages, 2, "messages that it sends during a call into it are sent")
	require.Contains(t, l.String(), "thread inside 0\n")
	require.Eventually(t, func() bool { return strings.Contains(l.String(), "thread late 8 retry 0\n") }, 5*time.Second, 5*time.Millisecond,
		"SendMessage between calls is ILLEGAL_OPERATION")
	reply, err := s.Receive(batch(t, pb.SDATA))
	require.NoError(t, err)
	require.Empty(t, parse(t, reply).Messages)
	require.NoError(t, c.Close())
}

func TestIMCSendsGarbage(t *testing.T) {
	noLeak(t)
	for _, inProcess := range []bool{false, true} {
		c, s, first, _ := run(t, buildIMC(t, "GARBAGE"), Config{InProcess: inProcess})
		x := parse(t, first)
		require.Len(t, x.Messages, 2, "what it sends is the server's to judge")
		require.Len(t, x.Messages[1].(pb.PA).Body, 5000)
		reply, err := s.Receive(batch(t, pb.RESULT, pb.AssessmentResult{}, pb.AccessRecommendation{Code: pb.AccessDenied}))
		require.NoError(t, err)
		require.Equal(t, pb.CLOSE, parse(t, reply).Type)
		require.Empty(t, s.Outcome().IMCErrors)
		require.NoError(t, c.Close())
	}
}

// A crash costs the connection the IMC's answers; the next connection has it back.
func TestLostChildIsStartedAgain(t *testing.T) {
	noLeak(t)
	flag := filepath.Join(t.TempDir(), "crash")
	require.NoError(t, os.WriteFile(flag, nil, 0o600))
	t.Setenv("GOTNC_TEST_CRASH", flag)
	e := buildIMC(t, "CRASH_IF")
	lg, l := logger()
	c, err := tnccs.NewClient(tnccs.Config{Logger: lg})
	require.NoError(t, err)
	require.NoError(t, Add(c, e, Config{Logger: lg}))
	s := c.NewSession()
	first, err := s.Begin(0, tnccs.TransportEAP, "1.1")
	require.NoError(t, err)
	require.Len(t, parse(t, first).Messages, 1)
	require.True(t, errors.Is(s.Outcome().IMCErrors[0], ErrCrashed))
	require.NoError(t, s.Close())
	require.NoError(t, os.Remove(flag))
	s = c.NewSession()
	first, err = s.Begin(0, tnccs.TransportEAP, "1.1")
	require.NoError(t, err)
	require.Len(t, parse(t, first).Messages, 3, "%s", l)
	require.Contains(t, l.String(), `IMC 1 "Tiny" started again`)
	require.NoError(t, c.Close())
}

func TestShortReceiveWithoutASender(t *testing.T) {
	noLeak(t)
	c, err := tnccs.NewClient(tnccs.Config{Protocol: tnccs.ProtocolXML})
	require.NoError(t, err)
	imc, err := Load(buildIMC(t, "SHORT"), Config{})
	require.NoError(t, err)
	require.NoError(t, c.Add("Tiny", imc))
	s := c.NewSession()
	b, err := s.Begin(0, tnccs.TransportEAP, "1.1")
	require.NoError(t, err)
	require.Contains(t, string(b), "<Type>00902a01</Type><Base64>c2hvcnQ=</Base64>")
	b, err = s.Receive([]byte(`<TNCCS-Batch BatchId="2" Recipient="TNCC" xmlns="http://www.trustedcomputinggroup.org/IWG/TNC/1_0/IF_TNCCS#">` +
		`<IMC-IMV-Message><Type>00902A01</Type><Base64>YXNr</Base64></IMC-IMV-Message></TNCCS-Batch>`))
	require.NoError(t, err)
	require.Contains(t, string(b), "<Base64>YXNr</Base64>")
	require.NoError(t, c.Close())
}

func TestStrongSwanConf(t *testing.T) {
	conf := func(path string, env []string) string { return strongswanConf(path, userConf(path, env), nil) }
	text := conf("/usr/lib/ipsec/imcvs/imc-x.so", []string{"A=b"})
	require.Contains(t, text, "load = random nonce")
	require.True(t, strings.HasSuffix(text, "\ninclude /etc/strongswan.conf\n"), "the user's settings come last and win")
	require.Contains(t, conf("/opt/s/lib/ipsec/imcvs/imc-x.so", nil), "include /opt/s/etc/strongswan.conf\n")
	require.Contains(t, conf("/x.so", []string{"STRONGSWAN_CONF=/a", "STRONGSWAN_CONF=/b"}), "include /b\n")
	require.Contains(t, conf("/x.so", []string{`STRONGSWAN_CONF=/my "a" \ #{}[*?]/b`}), `include /my\ \"a\"\ \\\ \#{\}\[\*\?]/b`+"\n")
	require.False(t, usesLibimcv("/bin/sh"))
	require.False(t, usesLibimcv("/nonexistent"))
}
