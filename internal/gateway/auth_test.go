package gateway_test

import (
	gocrypto "crypto"
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/gateway"
	"github.com/gotnc/gotnc/internal/testpki"
)

func TestPSKAuthentication(t *testing.T) {
	psk := []byte("ThisIsAPSK")
	for name, c := range map[string]struct {
		ours, theirs []byte
		bad          bool
		err          error
	}{
		"the same":               {psk, psk, false, nil},
		"another":                {[]byte("other"), psk, false, ike.ErrAuthFailed},
		"none there":             {psk, nil, false, ike.ErrAuthFailed},
		"the gateway's is wrong": {psk, psk, true, ike.ErrGatewayAuth},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(cfg *gateway.Config) { cfg.PSK, cfg.Faults.BadAuth = c.theirs, c.bad })
			out := w.connect(options{noIMC: true, edit: func(cfg *ike.Config) {
				cfg.LocalRounds[0].EAP, cfg.LocalRounds[0].PSK = nil, c.ours
				cfg.RemoteRounds[0].Method = ike.RemotePSK
				cfg.RemoteRounds[0].PSK = func(ike.Identity) ([]byte, error) { return c.ours, nil }
			}})
			if c.err != nil {
				require.ErrorIs(t, out.err, c.err)
				require.False(t, out.connected)
				return
			}
			require.NoError(t, out.err)
			require.NotNil(t, out.child)
		})
	}
}

// Both ends sign, with every kind of key.
func TestSignatureAuthentication(t *testing.T) {
	for _, k := range []testpki.Key{testpki.RSA, testpki.ECDSA, testpki.ECDSA384, testpki.ECDSA521, testpki.Ed25519} {
		ca, err := testpki.NewCA("Root CA", testpki.ECDSA)
		require.NoError(t, err)
		sub, err := ca.SubCA("Sub CA", testpki.ECDSA, nil)
		require.NoError(t, err)
		server, err := ca.Issue(serverName, k, nil)
		require.NoError(t, err)
		own, err := sub.Issue("carol", k, func(c *x509.Certificate) { c.EmailAddresses = []string{"carol@strongswan.org"} })
		require.NoError(t, err)
		connect := func(edit func(*ike.Config)) outcome {
			w := newWorld(t, func(c *gateway.Config) {
				c.Certificate, c.ClientCAs = server, x509.NewCertPool()
				c.ClientCAs.AddCert(ca.Cert)
			})
			return w.connect(options{noIMC: true, edit: func(c *ike.Config) {
				l := &c.LocalRounds[0]
				l.EAP, l.Credentials = nil, []ike.Credential{{Key: own.PrivateKey.(gocrypto.Signer), Certs: [][]byte{own.Certificate[0], sub.Cert.Raw}}}
				c.RemoteRounds[0].Method, c.RemoteRounds[0].Verifier = ike.RemotePubkey, signedBy{ca.Cert}
				if edit != nil {
					edit(c)
				}
			}})
		}
		out := connect(nil)
		require.NoError(t, out.err)
		require.NotNil(t, out.child)
		out = connect(func(c *ike.Config) { c.LocalRounds[0].Credentials[0].Certs = own.Certificate })
		require.ErrorIs(t, out.err, ike.ErrAuthFailed, "without the intermediate CA")
		out = connect(func(c *ike.Config) { c.Authentication.SendCert = ike.SendCertNever })
		require.ErrorIs(t, out.err, ike.ErrAuthFailed)
		out = connect(func(c *ike.Config) {
			c.LocalRounds[0].ID = ike.Identity{IDType: message.IDFQDN, Data: []byte("dave.strongswan.org")}
		})
		require.ErrorIs(t, out.err, ike.ErrAuthFailed, "somebody else's name")
	}
}
