package message

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIdentityPayload(t *testing.T) {
	vector(t, TypeIDi, "02 000000 6177", &IDi{Identity{IDType: IDFQDN, Data: []byte("aw")}})
	vector(t, TypeIDr, "0b 010203 00", &IDr{Identity{IDType: IDKeyID, Reserved: [3]byte{1, 2, 3}, Data: []byte{0}}})
	vector(t, TypeIDi, "01 000000 c0000201", &IDi{Identity{IDType: IDIPv4, Data: []byte{192, 0, 2, 1}}})
	refused(t, TypeIDi, "01 000000 c00002")
	refused(t, TypeIDi, "05 000000 c0000201")
	id := Identity{IDType: IDFQDN, Reserved: [3]byte{9, 8, 7}, Data: []byte("x")}
	require.Equal(t, []byte{2, 9, 8, 7, 'x'}, id.Body())
}

func TestParseIdentity(t *testing.T) {
	for in, v := range map[string]struct {
		typ  IDType
		data string
		text string
	}{
		"":                          {IDAny, "", "%any"},
		"%any":                      {IDAny, "", "%any"},
		"moon.strongswan.org":       {IDFQDN, "6d6f6f6e2e7374726f6e677377616e2e6f7267", "moon.strongswan.org"},
		"@moon":                     {IDFQDN, "6d6f6f6e", "moon"},
		"fqdn:moon":                 {IDFQDN, "6d6f6f6e", "moon"},
		"fqdn:#6d6f":                {IDFQDN, "6d6f", "mo"},
		"carol@strongswan.org":      {IDRFC822, "6361726f6c407374726f6e677377616e2e6f7267", "carol@strongswan.org"},
		"email:carol":               {IDRFC822, "6361726f6c", "carol"},
		"@@a@b":                     {IDRFC822, "614062", "a@b"},
		"192.168.0.1":               {IDIPv4, "c0a80001", "192.168.0.1"},
		"fec0::1":                   {IDIPv6, "fec00000000000000000000000000001", "fec0::1"},
		"ipv6:fec0::1":              {IDIPv6, "fec00000000000000000000000000001", "fec0::1"},
		"@#0a0b":                    {IDKeyID, "0a0b", "0a:0b"},
		"keyid:ab":                  {IDKeyID, "6162", "ab"},
		"DNS:moon":                  {IDFQDN, "6d6f6f6e", "moon"},
		"192.168.0.0/22":            {IDIPv4Range, "c0a80000c0a803ff", "192.168.0.0-192.168.3.255"},
		"10.0.0.1-10.0.0.9":         {IDIPv4Range, "0a0000010a000009", "10.0.0.1-10.0.0.9"},
		"ipv4net:10.0.0.0/8":        {IDIPv4Range, "0a0000000affffff", "10.0.0.0-10.255.255.255"},
		"fec0::/127":                {IDIPv6Range, "fec00000000000000000000000000000fec00000000000000000000000000001", "fec0::-fec0::1"},
		"a-b.example.org":           {IDFQDN, "612d622e6578616d706c652e6f7267", "a-b.example.org"},
		"{11}:ab":                   {IDKeyID, "6162", "ab"},
		"{0x2}:#6d6f":               {IDFQDN, "6d6f", "mo"},
		"urn:gw":                    {IDKeyID, "75726e3a6777", "urn:gw"},
		"C=CH, O=strongSwan, CN=gw": {IDDERDN, "", "C=CH, O=strongSwan, CN=gw"},
	} {
		id, err := ParseIdentity(in)
		require.NoError(t, err, in)
		require.Equal(t, v.typ, id.IDType, in)
		if v.typ != IDDERDN {
			require.Equal(t, v.data, hex.EncodeToString(id.Data), in)
		}
		require.Equal(t, v.text, id.String(), in)
	}
	// The octets of a name are those of crypto/x509/pkix for the same values.
	id, err := ParseIdentity("C=CH, O=strongSwan, CN=gw")
	require.NoError(t, err)
	want, err := asn1.Marshal(pkix.Name{Country: []string{"CH"}, Organization: []string{"strongSwan"}, CommonName: "gw"}.ToRDNSequence())
	require.NoError(t, err)
	require.Equal(t, want, id.Data)
	slash, err := ParseIdentity("asn1dn:/C=CH/O=strongSwan/CN=gw")
	require.NoError(t, err)
	require.True(t, slash.Equal(id))
	email, err := ParseIdentity(`O=a\, b, E=x@y, CN=ü`)
	require.NoError(t, err)
	require.Equal(t, `O=a, b, E=x@y, CN=??`, email.String())

	for _, bad := range []string{"@", "@#", "@#0", "fqdn:", "ipv4:moon", "C=CH, X", "FOO=1", "CN=", "keyid:#zz", "asn1dn:", "asn1dn:#"} {
		_, err := ParseIdentity(bad)
		require.ErrorIs(t, err, ErrIdentity, bad)
	}
	utf8, err := asn1.Marshal(pkix.RDNSequence{
		{{Type: dnTypes["C"], Value: "CH"}}, {{Type: dnTypes["O"], Value: asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte("STRONGswan")}}},
		{{Type: dnTypes["CN"], Value: "gw"}},
	})
	require.NoError(t, err)
	require.NotEqual(t, utf8, id.Data)
	require.True(t, id.Equal(Identity{IDType: IDDERDN, Data: utf8}), "string types and case of names do not count")
	other, err := ParseIdentity("C=CH, O=strongSwan, CN=other")
	require.NoError(t, err)
	require.False(t, id.Equal(other))
	require.False(t, id.Equal(Identity{IDType: IDDERDN, Data: []byte{0x30}}))
	short, err := ParseIdentity("C=CH, O=strongSwan")
	require.NoError(t, err)
	require.False(t, short.Equal(id))

	a, b := Identity{IDType: IDFQDN, Data: []byte("Moon")}, Identity{IDType: IDFQDN, Data: []byte("mOON")}
	require.True(t, a.Equal(b))
	b.IDType = IDKeyID
	require.False(t, a.Equal(b))
	require.False(t, Identity{IDType: IDKeyID, Data: []byte("A")}.Equal(Identity{IDType: IDKeyID, Data: []byte("a")}))
	require.Equal(t, "a?b", Identity{IDType: IDFQDN, Data: []byte("a\nb")}.String(), "no control characters in logs")
}

func FuzzParseIdentity(f *testing.F) {
	f.Add("C=CH, O=strongSwan, CN=gw")
	f.Add("@#0a0b")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseIdentity(s); err == nil {
			_ = id.String()
		}
	})
}
