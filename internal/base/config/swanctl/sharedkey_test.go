package swanctl

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSharedKey(t *testing.T) {
	m := model(t, `secrets {
  ike-any { secret = any
  }
  ike-gw { id = gw.example.org
   secret = gw
  }
  ike-both { id-1 = carol@example.org
   id-2 = gw.example.org
   secret = both
  }
  ike-other { id = 192.0.2.1
   secret = other
  }
  eap { id = dave@example.org
   secret = eap
  } }`)
	for _, c := range []struct{ us, them, name string }{
		{"carol@example.org", "gw.example.org", "ike-both"},
		{"carol@example.org", "x.example.org", "ike-any"},  /* it names the other end, if only as anybody */
		{"dave@example.org", "gw.example.org", "ike-both"}, // of equals the last
		{"dave@example.org", "x.example.org", "ike-any"},
		{"192.0.2.1", "gw.example.org", "ike-both"},
		{"gw.example.org", "carol@example.org", "ike-both"},
	} {
		s, ok := m.SharedKey(c.us, c.them)
		require.True(t, ok)
		require.Equal(t, c.name, s.Name, c)
	}
	m.Secrets = m.Secrets[1:]
	s, ok := m.SharedKey("dave@example.org", "gw.example.org")
	require.True(t, ok)
	require.Equal(t, "ike-both", s.Name)
	_, ok = m.SharedKey("dave@example.org", "x.example.org")
	require.False(t, ok)
}
