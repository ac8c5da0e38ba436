package settings

import (
	"time"

	"github.com/gotnc/gotnc/internal/base/config"
)

// Charon is what the client takes from the section charon for IKE and the
// tunnel.
type Charon struct {
	Port, PortNATT uint16

	RetransmitTimeout time.Duration
	RetransmitBase    float64
	RetransmitTries   int
	RetransmitLimit   time.Duration // 0 = none
	RetransmitJitter  int           // percent

	FragmentSizeV4 int // octets of the IPv4 datagram
	FragmentSizeV6 int // octets of the IPv6 datagram
	MaxPacket      int // octets of a reassembled message

	KeepAlive        time.Duration // 0 = none
	InstallRoutes    bool
	InstallVirtualIP bool
	RoutingTable     int
	RoutingTablePrio int
	FollowRedirects  bool
	SignatureAuth    bool

	InstallDNS     bool
	ResolvConf     string // "" = /etc/resolv.conf
	ResolvconfPath string // "" = /sbin/resolvconf

	TLS       TLS
	TNCConfig string

	EncapTCP string // yes, no or auto
	TCPPort  uint16
	TCPAfter time.Duration // without an answer over UDP
	UDPAgain time.Duration // interval of tries
}

// TLS holds the TLS versions as they are written; "" = not set.
type TLS struct{ VersionMin, VersionMax string }

// ReadCharon reads the settings of a Charon. Values that cannot be used leave
// the default and are in cfg's Warnings.
func ReadCharon(cfg *config.Config) Charon {
	fragment := FragmentSize.In(cfg)
	return Charon{
		Port:              uint16(Port.In(cfg)),
		PortNATT:          uint16(PortNATT.In(cfg)),
		RetransmitTimeout: RetransmitTimeout.Seconds(cfg),
		RetransmitBase:    RetransmitBase.In(cfg),
		RetransmitTries:   RetransmitTries.In(cfg),
		RetransmitLimit:   RetransmitLimit.Seconds(cfg),
		RetransmitJitter:  RetransmitJitter.In(cfg),
		FragmentSizeV4:    FragmentSizeV4.Or(cfg, fragment),
		FragmentSizeV6:    FragmentSizeV6.Or(cfg, fragment),
		MaxPacket:         MaxPacket.In(cfg),
		KeepAlive:         KeepAlive.In(cfg),
		InstallRoutes:     InstallRoutes.In(cfg),
		InstallVirtualIP:  InstallVirtualIP.In(cfg),
		RoutingTable:      RoutingTable.In(cfg),
		RoutingTablePrio:  RoutingTablePrio.In(cfg),
		FollowRedirects:   FollowRedirects.In(cfg),
		SignatureAuth:     SignatureAuth.In(cfg),
		InstallDNS:        InstallDNS.In(cfg),
		ResolvConf:        ResolvConf.In(cfg),
		ResolvconfPath:    ResolvconfPath.In(cfg),
		TLS:               TLS{VersionMin: TLSVersionMin.In(cfg), VersionMax: TLSVersionMax.In(cfg)},
		TNCConfig:         TNCConfig.In(cfg),
		EncapTCP:          EncapTCP.In(cfg),
		TCPPort:           uint16(TCPPort.In(cfg)),
		TCPAfter:          TCPAfter.Seconds(cfg),
		UDPAgain:          UDPAgain.Seconds(cfg),
	}
}
