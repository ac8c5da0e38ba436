package tlsstep

import (
	"bytes"
	"crypto"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/gotnc/gotnc/internal/testpki"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func unhex(t *testing.T, s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	require.NoError(t, err)
	return b
}

func octets(from, to byte) (b []byte) {
	for i := from; i <= to; i++ {
		b = append(b, i)
	}
	return b
}

// The vectors of spec sheet §2.1.
func TestMSKVectors(t *testing.T) {
	seed := append(bytes.Repeat([]byte{0x11}, 32), bytes.Repeat([]byte{0x22}, 32)...)
	for label, want := range map[string]string{
		LabelTLS:  "4ca91a3fa99bcac65e73bbf2207ad20d0a7c29521fff5ad931b2974fa6d4c1e9 591c49b6dde203a7f3942d7ba1b1249713f445ebcabb984266cb68135653395f",
		LabelTTLS: "e9070eb78d039392720003053ef08827b32beb90512cb27fbbccaeddf775069a 5e46da05f1040c64fc080acf9253383fd95e71e1044e098d149c5a2daa5f98bf",
	} {
		require.Equal(t, unhex(t, want), prf12(sha256.New, octets(0, 0x2f), label, seed, 128)[:64])
	}
	// TLS 1.3 has no way in for a given secret: the exporter of RFC 8446 §7.5 is
	// computed here, which pins label and context.
	for typ, want := range map[byte]string{
		13: "59d2d0b3d955aa780569424b38d1db357da6f822c0239c14bc0b81ca9c67f715 a4b98ba605a3e957b94282d7d45cd75e182e729098e303fd04f379479bb6d181",
		21: "54d49114172aa894d6a2209ab0174ad6a34e583b210d6185676da66dc87d4f94 60a2723c0781ca310836c58ef20cb6cdba78d56fac431f6b2f95e423bb2e47e2",
	} {
		require.Equal(t, unhex(t, want), exporter13(t, octets(0, 0x1f), labelExporter, []byte{typ}, 128)[:64])
	}
}

func exporter13(t *testing.T, secret []byte, label string, context []byte, n int) []byte {
	expand := func(secret []byte, label string, context []byte, n int) []byte {
		label = "tls13 " + label
		info := append([]byte{byte(n >> 8), byte(n), byte(len(label))}, label...)
		info = append(append(info, byte(len(context))), context...)
		out, err := hkdf.Expand(sha256.New, secret, string(info), n)
		require.NoError(t, err)
		return out
	}
	none, ctx := sha256.Sum256(nil), sha256.Sum256(context)
	return expand(expand(secret, label, none[:], 32), "exporter", ctx[:], n)
}

type pair struct{ client, server *Conn }

func newPair(t *testing.T, edit func(client, server *tls.Config)) pair {
	t.Helper()
	ca, err := testpki.NewCA("CA", testpki.ECDSA)
	require.NoError(t, err)
	cert, err := ca.Issue("moon", testpki.ECDSA, nil)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(ca.Cert)
	cc := &tls.Config{RootCAs: roots, ServerName: "moon"}
	sc := &tls.Config{Certificates: []tls.Certificate{cert}}
	if edit != nil {
		edit(cc, sc)
	}
	p := pair{Client(cc), Server(sc)}
	t.Cleanup(p.client.Close)
	t.Cleanup(p.server.Close)
	return p
}

// handshake drives both ends until neither has anything to send; chunk cuts
// the flights.
func (p pair) handshake(chunk int) (clientErr, serverErr error) {
	from, to := p.server, p.client
	flight := []byte(nil)
	for first := true; first || len(flight) > 0; first = false {
		var answer []byte
		for {
			n := len(flight)
			if chunk > 0 {
				n = min(n, chunk)
			}
			out, err := to.Step(flight[:n])
			answer = append(answer, out...)
			if err != nil {
				if to == p.client {
					clientErr = err
				} else {
					serverErr = err
				}
				break
			}
			if flight = flight[n:]; len(flight) == 0 {
				break
			}
		}
		flight, from, to = answer, to, from
	}
	return clientErr, serverErr
}

func TestHandshakeKeysAndData(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		suites := []uint16{0}
		if version == tls.VersionTLS12 {
			suites = []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}
		}
		for _, suite := range suites {
			for _, chunk := range []int{0, 1, 100} {
				t.Run(fmt.Sprintf("%x/%s/%d", version, tls.CipherSuiteName(suite), chunk), func(t *testing.T) {
					p := newPair(t, func(c, s *tls.Config) {
						c.MaxVersion = version
						if suite != 0 {
							c.CipherSuites = []uint16{suite}
						}
					})
					_, err := p.client.Write([]byte("early"))
					require.ErrorIs(t, err, errHandshake)
					_, err = p.client.Keys(21, LabelTTLS)
					require.ErrorIs(t, err, errHandshake)
					ce, se := p.handshake(chunk)
					require.NoError(t, ce)
					require.NoError(t, se)
					require.True(t, p.client.Complete())
					require.True(t, p.server.Complete())

					ck, err := p.client.Keys(21, LabelTTLS)
					require.NoError(t, err)
					sk, err := p.server.Keys(21, LabelTTLS)
					require.NoError(t, err)
					require.Equal(t, ck, sk)
					require.Len(t, ck.MSK, 64)
					require.Len(t, ck.EMSK, 64)
					require.Len(t, ck.SessionID, 65)
					st, err := p.client.State()
					require.NoError(t, err)
					require.Equal(t, version, st.Version)
					if version == tls.VersionTLS12 {
						// Both ends are crypto/tls, which negotiates Extended Master Secret
						// and so exports: our PRF has to agree.
						want, err := st.ExportKeyingMaterial(LabelTTLS, nil, 128)
						require.NoError(t, err)
						require.Equal(t, want[:64], ck.MSK)
						require.Equal(t, want[64:], ck.EMSK)
					}

					for _, n := range []int{1, 100, 70000} {
						msg := bytes.Repeat([]byte{byte(n)}, n)
						for _, ends := range [][2]*Conn{{p.client, p.server}, {p.server, p.client}} {
							rec, err := ends[0].Write(msg)
							require.NoError(t, err)
							out, err := ends[1].Step(rec)
							require.NoError(t, err)
							require.Empty(t, out)
							require.Equal(t, msg, ends[1].App())
							require.Empty(t, ends[1].App())
						}
					}
					ck.Zero()
					require.Equal(t, make([]byte, 64), ck.MSK)
				})
			}
		}
	}
}

func TestFailuresCarryTheirAlert(t *testing.T) {
	p := newPair(t, func(c, _ *tls.Config) { c.RootCAs = x509.NewCertPool() })
	ce, se := p.handshake(0)
	require.ErrorContains(t, ce, "unknown authority")
	require.ErrorContains(t, se, "bad certificate")
	require.False(t, p.client.Complete())
	_, err := p.client.Step([]byte{1})
	require.Equal(t, ce, err, "the failure stays")
}

func TestClose(t *testing.T) {
	p := newPair(t, nil)
	p.client.Close() // before the first Step
	p.client.Close()
	_, err := p.client.Step(nil)
	require.ErrorIs(t, err, ErrClosed)

	p = newPair(t, nil)
	_, err = p.client.Step(nil) // in the middle of the handshake
	require.NoError(t, err)
	p.client.Close()
	_, err = p.client.Write([]byte("x"))
	require.ErrorIs(t, err, ErrClosed)

	p = newPair(t, func(c, _ *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	p.handshake(0)
	master := p.client.keys.master
	require.Len(t, master, 48)
	p.client.Close()
	require.Equal(t, make([]byte, 48), master)
}

func TestCloseNotify(t *testing.T) {
	p := newPair(t, nil)
	p.handshake(0)
	require.NoError(t, p.server.tls.CloseWrite())
	_, err := p.client.Step(p.server.mem.take())
	require.ErrorIs(t, err, ErrPeerClosed)
}

func TestTooMuchApplicationData(t *testing.T) {
	p := newPair(t, nil)
	p.handshake(0)
	rec, err := p.server.Write(make([]byte, appMax+1))
	require.NoError(t, err)
	_, err = p.client.Step(rec)
	require.ErrorIs(t, err, errAppData)
}

func TestServerHelloOverManyRecords(t *testing.T) {
	random := octets(1, 32)
	hello := append([]byte{2, 0, 0, 40, 3, 3}, random...)
	hello = append(hello, 0, 0, 0, 0)
	stream := []byte{21, 3, 3, 0, 2, 1, 90} // a warning first
	for _, b := range hello {
		stream = append(stream, 22, 3, 3, 0, 1, b)
	}
	for _, chunk := range []int{1, 7, len(stream)} {
		var k keySniffer
		for s := stream; len(s) > 0; {
			n := min(chunk, len(s))
			k.serverFlight(s[:n])
			s = s[n:]
		}
		require.Equal(t, random, k.serverRandom)
	}
	var k keySniffer
	for range 3 {
		k.serverFlight(make([]byte, sniffMax))
	}
	require.True(t, k.blind)
	require.Nil(t, k.serverRandom)
}

func FuzzStep(f *testing.F) {
	f.Add([]byte{22, 3, 3, 0, 4, 2, 0, 0, 0}, true)
	f.Fuzz(func(t *testing.T, b []byte, client bool) {
		c := Server(&tls.Config{})
		if client {
			c = Client(&tls.Config{ServerName: "moon"})
		}
		defer c.Close()
		if client {
			if _, err := c.Step(nil); err != nil {
				t.Fatal(err)
			}
		}
		for len(b) > 0 {
			n := min(len(b), 50)
			_, _ = c.Step(b[:n])
			b = b[n:]
		}
		if c.Complete() {
			t.Fatal("complete")
		}
	})
}

// noKey is a private key that does not sign.
type noKey struct {
	crypto.Signer
	err error
}

func (k noKey) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return nil, k.err }

// Why a key did not sign is what the handshake fails for, in both versions of TLS.
func TestKeyThatDoesNotSign(t *testing.T) {
	locked := errors.New("the TPM is locked")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		p := newPair(t, func(c, s *tls.Config) {
			s.MaxVersion, s.ClientAuth = version, tls.RequireAnyClientCert
			own := s.Certificates[0]
			own.PrivateKey = noKey{own.PrivateKey.(crypto.Signer), locked}
			c.Certificates = []tls.Certificate{own}
		})
		err, _ := p.handshake(0)
		var sign *SignError
		require.ErrorAs(t, err, &sign)
		require.ErrorIs(t, err, locked)
	}
}
