package profile

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/testpki"
)

// rounds makes the IKE configuration of a swanctl.conf in dir, whose one
// connection holds body.
func rounds(t *testing.T, dir, body, rest string) (ike.Config, string, error) {
	t.Helper()
	return configure(t, dir, body, rest, config.New())
}

// configure is rounds with a strongswan.conf.
func configure(t *testing.T, dir, body, rest string, sc *config.Config) (ike.Config, string, error) {
	t.Helper()
	file := filepath.Join(dir, "swanctl.conf")
	require.NoError(t, os.WriteFile(file, []byte("connections {\n home {\n  remote_addrs = 192.0.2.1\n"+body+"\n  children {\n   home {\n   }\n  }\n }\n}\n"+rest), 0o600))
	m, err := swanctl.Load(file)
	require.NoError(t, err)
	require.Empty(t, m.Warnings())
	conn, err := m.Connection("home")
	if err != nil {
		return ike.Config{}, "", err
	}
	roots, err := m.Roots(conn)
	require.NoError(t, err)
	var said strings.Builder
	p := &Profile{Strongswan: sc, Charon: settings.ReadCharon(sc), Swanctl: m, Connection: conn, Roots: roots}
	cfg, peers, err := NewBuilder(p, nil, log.NewWriter(&said, log.LevelDetail)).Config(context.Background(), netip.Addr{})
	for _, p := range peers {
		p.Close()
	}
	return cfg, said.String(), err
}

func TestRounds(t *testing.T) {
	dir := t.TempDir()
	const (
		psk   = "local {\n auth = psk\n id = carol\n }\n remote {\n auth = psk\n id = gw\n }\n"
		keyed = "secrets {\n ike {\n secret = shared\n }\n}\n"
	)
	cfg, _, err := rounds(t, dir, psk, keyed)
	require.NoError(t, err, "no CA is needed")
	require.Equal(t, "shared", string(cfg.LocalRounds[0].PSK))
	require.Equal(t, ike.RemotePSK, cfg.RemoteRounds[0].Method)
	key, err := cfg.RemoteRounds[0].PSK(cfg.RemoteRounds[0].ID)
	require.NoError(t, err)
	require.Equal(t, "shared", string(key))

	for body, says := range map[string]string{
		psk: "no preshared key for 'carol' and 'gw'",
		"local {\n auth = pubkey\n id = carol\n }\n remote {\n auth = psk\n id = gw\n }\n":                                 "no certificate with a private key of ours holds 'carol'",
		"local {\n auth = pubkey\n certs = none.pem\n }\n remote {\n auth = psk\n id = gw\n }\n":                           "none.pem",
		"local {\n auth = eap-md5\n id = carol\n }\n remote {\n auth = pubkey\n id = gw\n }\n":                             "no CA certificate found",
		"local {\n auth = eap-ttls\n id = carol\n }\n remote {\n auth = eap-ttls\n id = gw\n }\n":                          "no CA certificate found",
		"local {\n auth = eap-md5\n id = carol\n }\n remote {\n auth = eap-md5\n id = gw\n }\n":                            "remote.auth = pubkey",
		"local {\n auth = psk\n id = carol\n }\n remote {\n auth = psk\n id = gw\n groups = a\n }\n":                       "remote.groups",
		"local {\n auth = psk\n id = carol\n }\n remote {\n auth = rsa-rot13\n id = gw\n }\n":                              `"rot13" is no key type`,
		"local {\n auth = psk\n id = carol\n }\n remote {\n auth = pubkey\n id = gw\n pubkeys = none.pem\n }\n":            "none.pem",
		"local {\n auth = psk\n id = carol\n }\n remote {\n auth = psk\n id = gw\n revocation = lax\n }\n":                 "not one of relaxed",
		"ppk_id = p\n ppk_required = yes\n local {\n auth = psk\n id = carol\n }\n remote {\n auth = psk\n id = carol\n }": "add a section ppk",
		"remote {\n auth = psk\n }":                            "has no local section",
		"local {\n auth = psk\n }\n remote {\n auth = psk\n }": "no preshared key",
	} {
		secrets := ""
		if strings.Contains(says, "ppk") {
			secrets = keyed
		}
		if strings.Contains(body, "auth = psk\n id = carol") && body != psk {
			secrets = keyed
		}
		_, _, err := rounds(t, dir, body, secrets)
		require.ErrorContains(t, err, says, body)
	}
	_, said, err := rounds(t, dir, "ppk_id = p\n"+psk, keyed)
	require.NoError(t, err)
	require.Contains(t, said, "no PPK for 'p' found, ignored")
	cfg, _, err = rounds(t, dir, "ppk_id = p\n"+psk, "secrets {\n ike {\n secret = shared\n }\n ppk {\n id = p\n secret = 0x0102\n }\n}\n")
	require.NoError(t, err)
	require.Equal(t, &ike.PPK{ID: []byte("p"), Key: []byte{1, 2}}, cfg.Authentication.PPK)
}

func TestSigningRounds(t *testing.T) {
	dir := t.TempDir()
	ca, err := testpki.NewCA("CA", testpki.ECDSA)
	require.NoError(t, err)
	own, err := ca.Issue("carol.gotnc.test", testpki.RSA, nil)
	require.NoError(t, err)
	require.NoError(t, testpki.WriteFiles(own, filepath.Join(dir, "x509/carol.pem"), filepath.Join(dir, "private/carol.pem")))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "x509ca"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x509ca/ca.pem"), ca.PEM(), 0o600))
	const remote = "remote {\n auth = rsa-2048-ike:rsa/pss-sha256\n id = gw\n }\n"

	cfg, _, err := rounds(t, dir, "send_cert = always\n local {\n id = carol.gotnc.test\n auth = ike:rsa-sha512\n }\n"+remote, "")
	require.NoError(t, err)
	l := cfg.LocalRounds[0]
	require.Equal(t, "carol.gotnc.test", l.ID.String(), "found by its identity")
	require.Equal(t, own.Certificate[0], l.Credentials[0].Certs[0])
	require.Len(t, l.Credentials[0].Authorities, 1)
	require.Equal(t, []signature.Scheme{{Key: signature.RSA, Hash: signature.SHA512}}, l.Signature.Schemes)
	require.Equal(t, ike.SendCertAlways, cfg.Authentication.SendCert)
	require.True(t, cfg.Authentication.SendCertReq)
	require.Len(t, cfg.Authentication.CertReqKeys, 1)
	require.Equal(t, 2048, cfg.RemoteRounds[0].Constraints.RSABits)
	require.NotNil(t, cfg.RemoteRounds[0].Verifier)

	cfg, said, err := rounds(t, dir, "local {\n id = dave.gotnc.test\n certs = carol.pem\n }\n"+remote, "")
	require.NoError(t, err)
	require.Equal(t, "dave.gotnc.test", cfg.LocalRounds[0].ID.String(), "swanctl.conf's id stays")
	require.NotContains(t, said, "not confirmed")

	cfg, _, err = rounds(t, dir, "local {\n certs = carol.pem\n }\n"+remote, "")
	require.NoError(t, err)
	require.Equal(t, "C=CH, O=gotnc, CN=carol.gotnc.test", cfg.LocalRounds[0].ID.String(), "without id the certificate's subject")
	cfg, _, err = rounds(t, dir, "local {\n auth = eap-ttls\n certs = carol.pem\n }\n"+remote, "")
	require.NoError(t, err)
	require.Equal(t, "C=CH, O=gotnc, CN=carol.gotnc.test", cfg.LocalRounds[0].ID.String(), "of EAP too")
	cfg, _, err = rounds(t, dir, "local {\n auth = eap-ttls\n eap_id = carol\n }\n"+remote, "")
	require.NoError(t, err)
	require.Equal(t, "%any", cfg.LocalRounds[0].ID.String(), "without a certificate the address, which is not known yet")

	cfg, _, err = rounds(t, dir, "local-2 {\n round = 2\n auth = psk\n id = c\n }\n local-1 {\n round = 1\n certs = carol.pem\n }\n"+remote, "secrets {\n ike {\n secret = x\n }\n}\n")
	require.NoError(t, err)
	require.Len(t, cfg.LocalRounds, 2)
	require.NotEmpty(t, cfg.LocalRounds[0].Credentials)
	require.NotEmpty(t, cfg.LocalRounds[1].PSK)
}

// Settings of strongswan.conf that change how the IKE_SA is made.
func TestCharonSettings(t *testing.T) {
	const (
		psk   = "local {\n auth = psk\n id = carol\n }\n remote {\n auth = psk\n id = gw\n }\n"
		keyed = "secrets {\n ike {\n secret = shared\n }\n}\n"
	)
	cfg, _, err := rounds(t, t.TempDir(), psk, keyed)
	require.NoError(t, err)
	require.False(t, cfg.Authentication.ClassicSignatures)
	require.False(t, cfg.Authentication.SHA1)
	require.Zero(t, cfg.Retransmission.Jitter)
	for percent, want := range map[string]int{"15": 15, "50": ike.MaxRetransmitJitter} {
		sc, err := config.Parse("strongswan.conf", "charon {\n signature_authentication = no\n retransmit_jitter = "+percent+"\n}\n")
		require.NoError(t, err)
		cfg, _, err = configure(t, t.TempDir(), psk, keyed, sc)
		require.NoError(t, err)
		require.True(t, cfg.Authentication.ClassicSignatures)
		require.True(t, cfg.Authentication.SHA1, "there is nothing else for RSA keys")
		require.Equal(t, want, cfg.Retransmission.Jitter)
	}
}

// Identities of ipsec.conf count where the certificate holds them, a CA
// constraint where there is such a CA.
func TestIPsecConfIdentities(t *testing.T) {
	dir := t.TempDir()
	ca, err := testpki.NewCA("CA", testpki.ECDSA)
	require.NoError(t, err)
	own, err := ca.Issue("carol.gotnc.test", testpki.ECDSA, nil)
	require.NoError(t, err)
	gw, err := ca.Issue("gw.gotnc.test", testpki.ECDSA, nil)
	require.NoError(t, err)
	in := func(p string) string { return filepath.Join(dir, "ipsec.d", p) }
	require.NoError(t, testpki.WriteFiles(own, in("certs/carol.pem"), in("private/carol.pem")))
	require.NoError(t, testpki.WriteFiles(gw, in("certs/gw.pem"), in("certs/unused.key")))
	require.NoError(t, os.MkdirAll(in("cacerts"), 0o755))
	require.NoError(t, os.WriteFile(in("cacerts/ca.pem"), ca.PEM(), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ipsec.secrets"), []byte(": ECDSA carol.pem\n"), 0o600))
	config := func(settings string) (ike.Config, string, error) {
		conf := filepath.Join(dir, "ipsec.conf")
		require.NoError(t, os.WriteFile(conf, []byte("conn home\n right=192.0.2.1\n leftcert=carol.pem\n auto=add\n "+settings+"\n"), 0o600))
		empty := filepath.Join(dir, "empty")
		require.NoError(t, os.WriteFile(empty, nil, 0o600))
		p, err := Files{IPsecConf: conf, Strongswan: empty, TNCConfig: empty}.Load("home", LogLevels{})
		require.NoError(t, err)
		defer p.Close()
		var said bytes.Buffer
		cfg, _, err := NewBuilder(p, nil, log.NewWriter(&said, slog.LevelInfo)).Config(context.Background(), netip.MustParseAddr("192.0.2.9"))
		return cfg, said.String(), err
	}
	cfg, said, err := config("leftid=dave\n rightid=other\n rightcert=gw.pem")
	require.NoError(t, err)
	require.Equal(t, "C=CH, O=gotnc, CN=carol.gotnc.test", cfg.LocalRounds[0].ID.String())
	require.Equal(t, "C=CH, O=gotnc, CN=gw.gotnc.test", cfg.RemoteRounds[0].ID.String())
	require.Contains(t, said, "id 'dave' not confirmed by certificate, defaulting to 'C=CH, O=gotnc, CN=carol.gotnc.test'")
	cfg, _, err = config("leftid=carol.gotnc.test\n rightid=gw.gotnc.test\n rightcert=gw.pem")
	require.NoError(t, err)
	require.Equal(t, "carol.gotnc.test", cfg.LocalRounds[0].ID.String())
	require.Equal(t, "gw.gotnc.test", cfg.RemoteRounds[0].ID.String())
	_, said, err = config("rightca=/etc/ipsec.d/cacerts/Nord.pem")
	require.NoError(t, err)
	require.Contains(t, said, `CA certificate "/etc/ipsec.d/cacerts/Nord.pem" not found, discarding CA constraint`)
	_, said, err = config(`rightca="C=CH, O=gotnc, CN=CA"`)
	require.NoError(t, err)
	require.NotContains(t, said, "discarding")
}

func TestOwnersAreComparedAsIdentities(t *testing.T) {
	for _, c := range []struct {
		owner, id string
		want      swanctl.OwnerMatch
	}{
		{"dns:gw.example.org", "gw.example.org", swanctl.OwnerIs}, {"@gw.example.org", "GW.example.org", swanctl.OwnerIs}, {"email:a@b.org", "a@b.org", swanctl.OwnerIs},
		{"C=CH, CN=a", "c=CH,CN=a", swanctl.OwnerIs}, {"192.0.2.1", "ipv4:192.0.2.1", swanctl.OwnerIs}, {"*.example.org", "gw.example.org", swanctl.OwnerWild},
		{"%any", "gw", swanctl.OwnerAny}, {"gw", "gw2", swanctl.OwnerOther}, {"192.0.2.1", "fqdn:192.0.2.1", swanctl.OwnerOther},
	} {
		require.Equal(t, c.want, matchOwner(c.owner, c.id), "%s %s", c.owner, c.id)
	}
}
