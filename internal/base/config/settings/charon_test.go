package settings

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/internal/base/config"
)

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	c, err := config.Parse("strongswan.conf", text)
	require.NoError(t, err)
	return c
}

func TestCharonDefaults(t *testing.T) {
	require.Equal(t, Charon{
		Port: 500, PortNATT: 4500, RetransmitTimeout: 4 * time.Second, RetransmitBase: 1.8, RetransmitTries: 5,
		FragmentSizeV4: 1280, FragmentSizeV6: 1280, MaxPacket: 10000, KeepAlive: 20 * time.Second,
		InstallRoutes: true, InstallVirtualIP: true, RoutingTable: 220, RoutingTablePrio: 220, SignatureAuth: true, FollowRedirects: true, InstallDNS: true,
		TLS: TLS{VersionMin: "1.2"}, TNCConfig: "/etc/tnc_config",
		EncapTCP: "auto", TCPPort: 4500, TCPAfter: 8 * time.Second, UDPAgain: 10 * time.Minute,
	}, ReadCharon(config.New()))
}

func TestCharonOptions(t *testing.T) {
	c := parse(t, `charon { port = 0
 port_nat_t = 70000
 retransmit_timeout = 0.5
 retransmit_base = 0
 retransmit_limit = -1
 fragment_size = 1400
 fragment_size_v6 = 1500
 plugins { eap-ttls { max_message_count = 0
 fragment_size = 4000
 } } }
libtnccs { tnc_config = /tmp/tnc_config
}
libtls { version_max = 1.3
}
`)
	o := ReadCharon(c)
	require.EqualValues(t, 0, o.Port)
	require.EqualValues(t, 4500, o.PortNATT)
	require.Equal(t, 500*time.Millisecond, o.RetransmitTimeout)
	require.Equal(t, 1.8, o.RetransmitBase)
	require.Equal(t, 1400, o.FragmentSizeV4)
	require.Equal(t, 1500, o.FragmentSizeV6)
	require.Equal(t, 0, TTLSMaxMessages.In(c))
	require.Equal(t, 4000, TTLSFragmentSize.In(c))
	require.True(t, TTLSIncludeLength.In(c))
	require.Equal(t, "/tmp/tnc_config", o.TNCConfig)
	require.Equal(t, "1.3", o.TLS.VersionMax)
	require.Len(t, c.Warnings(), 3)
	require.EqualError(t, c.Warnings()[0], "strongswan.conf:2: port_nat_t = 70000: not between 0 and 65535; the default applies")
	require.EqualError(t, c.Warnings()[1], `strongswan.conf:4: retransmit_base = "0": not between 1 and 100; the default applies`)
	require.EqualError(t, c.Warnings()[2], `strongswan.conf:5: retransmit_limit = "-1": not between 0 and 86400 seconds; the default applies`)

	c, err := config.Load("../testdata/carol.strongswan.conf")
	require.NoError(t, err)
	o = ReadCharon(c)
	require.Equal(t, "@DIR@/@HOST@/tnc_config", o.TNCConfig)
	require.Empty(t, c.Warnings())
}
