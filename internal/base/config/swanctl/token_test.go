package swanctl

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config"
)

// parsed reads text as the file swanctl.conf.
func parsed(t *testing.T, text string) *Config {
	t.Helper()
	c, err := config.Parse("swanctl.conf", text)
	require.NoError(t, err)
	return FromConfig(c, "/etc/swanctl/swanctl.conf")
}

// Tokens are what strongSwan's tpm plugin takes them for: handles in hexadecimal
// digits, of any writing.
func TestTokens(t *testing.T) {
	m := parsed(t, `connections { a { remote_addrs = gw
 local { certs = a.pem
  cert1 { handle = 0x01800001
   slot = 1073741825
  }
  cert2 { handle = 01:80:00:02 }
 } } }
secrets {
 token { handle = 0x81010001
  slot = 0
  pin = "se cret"
 }
 token2 { handle = 8:10:10:00:2 }
 token3 { handle = 50
 }
 token4 { pin = 1
 }
 token5 { handle = xyz
 }
 token6 { module = opensc
  handle = 50
 }
 token7 { handle = 0x81010003
  password = x
 }
}
`)
	require.Empty(t, m.Connections[0].Problems)
	l := m.Connections[0].Local[0]
	require.Equal(t, []string{"/etc/swanctl/x509/a.pem", "tpm:0x01800001", "tpm:0x01800002"}, l.Certs)
	index, ok := TokenIndex(l.Certs[1])
	require.True(t, ok)
	require.EqualValues(t, 0x01800001, index)
	_, ok = TokenIndex(l.Certs[0])
	require.False(t, ok)
	require.Len(t, m.Tokens, 3)
	require.EqualValues(t, 0x81010001, m.Tokens[0].Handle)
	require.Equal(t, Secret("se cret"), m.Tokens[0].PIN)
	require.EqualValues(t, 0x81010002, m.Tokens[1].Handle)
	require.Nil(t, m.Tokens[1].PIN)
	var said []string
	for _, f := range m.Faults {
		said = append(said, f.Error())
	}
	require.Len(t, said, 4)
	require.Contains(t, said[0], "swanctl.conf:14: secrets.token3 is ignored: handle = \"50\" is not one of a persistent key in a TPM")
	require.Contains(t, said[1], "secrets.token4 names no handle")
	require.Contains(t, said[2], "secrets.token5 is ignored: handle: \"xyz\" is no hexadecimal number")
	require.Contains(t, said[3], "setting \"password\" is not known")
	require.ErrorContains(t, m.Warnings()[0], "secrets.token6 is ignored: tokens of PKCS #11 modules")
	m.Close()
	require.NotContains(t, string(m.Tokens[0].PIN), "cret")
}

func TestTokenCertificatesRefused(t *testing.T) {
	for text, want := range map[string]string{
		"local { cert { handle = 50\n } }":                           "no NV index",
		"local { cert { handle = zz\n } }":                           "no hexadecimal",
		"local { cert { handle = 0x01800001\n file = a.pem\n } }":    "a file and a handle",
		"local { cert { handle = 0x01800001\n module = opensc\n } }": "PKCS #11",
		"remote { cert { handle = 0x01800001\n } }":                  "only our own certificates",
		"remote { cacert { handle = 0x01800001\n } }":                "only our own certificates",
	} {
		m := parsed(t, "connections { a { remote_addrs = gw\n"+text+"\n } }")
		require.Len(t, m.Connections[0].Problems, 1, text)
		require.ErrorContains(t, m.Connections[0].Problems[0], want, text)
	}
}
