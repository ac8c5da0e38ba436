package ipsecconf

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAuthenticationAndSecrets(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "ipsec.conf", `config setup
	strictcrlpolicy=ifuri
ca site
	auto=add
	cacert=site.pem
	crluri=http://a/crl
	crluri2=http://b/crl
	ocspuri=http://a/ocsp
conn %default
	right=192.0.2.1
	rightid=@gw.example.org
conn cert
	leftauth=rsa/pss-sha256
	leftcert=carol.pem
	leftsendcert=always
	rightauth=pubkey
	rightca="C=CH, O=gotnc, CN=Sub CA"
	rightcertpolicy=1.2.3
	rightsendcert=never
conn psk
	authby=secret
	leftid=carol@example.org
conn rounds
	leftauth=pubkey
	leftcert=carol.pem
	leftauth2=eap-md5
	leftid2=carol
	eap_identity=carol
	rightauth=pubkey
	rightcert=gw.pem
conn keys
	leftauth=pubkey
	leftid=carol@example.org
	leftsigkey=carol.pub
	leftcert=%smartcard:0x01800001
	rightauth=pubkey
	rightsigkey=/keys/gw.pub
	rightgroups=admins
`)
	write(t, dir, "ipsec.secrets", `: RSA carol.key "pass phrase"
: PKCS8 /keys/eight.key %prompt
: ECDSA ec.key
: P12 carol.p12 secret
carol@example.org @gw.example.org : PSK 0sAQID
192.0.2.7 %any : PSK "other"
carol : EAP "Ar3etTnp"
: PIN %smartcard 1234
: PIN %smartcard0:0x81010001 "pin"
: PIN %smartcard:81010002 %prompt
`)
	m, err := Load(filepath.Join(dir, "ipsec.conf"))
	require.NoError(t, err)
	in := func(p string) string { return filepath.Join(dir, "ipsec.d", p) }

	c, err := m.Connection("cert")
	require.NoError(t, err)
	require.Equal(t, "rsa/pss-sha256", c.Local[0].Auth.String())
	require.Equal(t, []string{in("certs/carol.pem")}, c.Local[0].Certs)
	require.Equal(t, "always", c.SendCert)
	require.False(t, c.SendCertReq)
	require.Equal(t, "C=CH, O=gotnc, CN=Sub CA", c.Remote[0].CAID)
	require.Equal(t, []string{"1.2.3"}, c.Remote[0].CertPolicy)
	require.Equal(t, "ifuri", c.Remote[0].Revocation)

	c, err = m.Connection("psk")
	require.NoError(t, err)
	require.Equal(t, "psk", c.Local[0].Auth.Class)
	require.Equal(t, "psk", c.Remote[0].Auth.Class)
	s, ok := m.SharedKey("carol@example.org", "gw.example.org")
	require.True(t, ok)
	require.Equal(t, []byte{1, 2, 3}, []byte(s.Secret))

	c, err = m.Connection("rounds")
	require.NoError(t, err)
	require.Len(t, c.Local, 2)
	require.Equal(t, "pubkey", c.Local[0].Auth.String())
	require.Equal(t, "eap-md5", c.Local[1].Auth.String())
	require.Equal(t, "carol", c.Local[1].EAPIdentity())
	require.Equal(t, []string{in("certs/gw.pem")}, c.Remote[0].Certs)

	c, err = m.Connection("keys")
	require.NoError(t, err)
	require.Equal(t, []string{in("certs/carol.pub")}, c.Local[0].PubKeys)
	require.Equal(t, []string{"/keys/gw.pub"}, c.Remote[0].PubKeys)
	require.Equal(t, []string{"admins"}, c.Remote[0].Groups)

	require.Len(t, m.Keys, 4)
	require.Len(t, m.Tokens, 2)
	require.EqualValues(t, 0x81010001, m.Tokens[0].Handle)
	require.Equal(t, "pin", string(m.Tokens[0].PIN))
	require.Empty(t, m.Tokens[1].PIN)
	require.Equal(t, "rsa", m.Keys[0].Kind)
	require.Equal(t, in("private/carol.key"), m.Keys[0].File)
	require.Equal(t, "pass phrase", string(m.Keys[0].Passphrase))
	require.Equal(t, "/keys/eight.key", m.Keys[1].File)
	require.Empty(t, m.Keys[1].Passphrase)
	require.Equal(t, "ecdsa", m.Keys[2].Kind)
	require.Equal(t, "pkcs12", m.Keys[3].Kind)
	require.Equal(t, []string{"http://a/crl", "http://b/crl"}, m.Authorities[0].CRLURIs)
	require.Equal(t, []string{"http://a/ocsp"}, m.Authorities[0].OCSPURIs)
	require.Equal(t, in("cacerts/site.pem"), m.Authorities[0].CACert)
	var warnings []string
	for _, w := range m.Warnings() {
		warnings = append(warnings, w.Error())
	}
	require.Len(t, warnings, 1, warnings)
	require.Contains(t, warnings[0], "but for keys in a TPM")
}

// Without rightid the gateway is who right says, as with strongSwan: not just
// anybody with a certificate of the CA.
func TestGatewayIdentityByDefault(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "ipsec.conf", `conn name
	right=gw.example.org
conn address
	authby=secret
	right=192.0.2.1
conn said
	right=192.0.2.1
	rightid=%gw.example.org
conn pinned
	right=gw.example.org
	rightcert=gw.pem
conn several
	right=gw.example.org, 192.0.2.9
conn anywhere
	right=%any
conn second
	right=gw.example.org
	rightauth2=pubkey
conn ca
	right=gw.example.org
	leftca="C=CH, O=gotnc, CN=Sub CA"
	rightca=%same
conn noca
	right=gw.example.org
	rightca=%same
`)
	m, err := Load(filepath.Join(dir, "ipsec.conf"))
	require.NoError(t, err)
	for name, want := range map[string]string{
		"name": "gw.example.org", "address": "192.0.2.1", "said": "%gw.example.org", "pinned": "gw.example.org", "several": "gw.example.org", "anywhere": "", "second": "gw.example.org",
	} {
		c, err := m.Connection(name)
		require.NoError(t, err)
		require.Equal(t, want, c.Remote[0].ID, name)
	}
	c, err := m.Connection("pinned")
	require.NoError(t, err)
	require.True(t, c.Remote[0].ConfirmID, "its certificate says who it is where it does not hold the address")
	c, err = m.Connection("second")
	require.NoError(t, err)
	require.Empty(t, c.Remote[1].ID)
	require.False(t, c.Remote[0].ConfirmID)
	for name, want := range map[string]string{"ca": "C=CH, O=gotnc, CN=Sub CA", "noca": ""} {
		c, err := m.Connection(name)
		require.NoError(t, err)
		require.Equal(t, want, c.Remote[0].CAID, name)
	}
}

// Secrets on the same line of several included files are several.
func TestIncludedSecrets(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "ipsec.conf", "conn home\n\tright=gw.example.org\n")
	write(t, dir, "ipsec.secrets", "include secrets.d/*.secrets\n")
	write(t, dir, "secrets.d/a.secrets", "carol@example.org moon.example.org : PSK one\ncarol : EAP three\n")
	write(t, dir, "secrets.d/b.secrets", "gw.example.org : PSK two\ndave : EAP four\n")
	m, err := Load(filepath.Join(dir, "ipsec.conf"))
	require.NoError(t, err)
	require.Len(t, m.Secrets, 4)
	for them, want := range map[string]string{"moon.example.org": "one", "gw.example.org": "two"} {
		s, ok := m.SharedKey("", them)
		require.True(t, ok, them)
		require.Equal(t, want, string([]byte(s.Secret)), them)
	}
	for id, want := range map[string]string{"carol": "three", "dave": "four"} {
		s, ok := m.Secret("eap", id)
		require.True(t, ok, id)
		require.Equal(t, want, string([]byte(s.Secret)), id)
	}
}
