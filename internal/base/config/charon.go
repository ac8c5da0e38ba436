package config

import (
	"math"
	"time"
)

// Charon is what a client takes from strongswan.conf, under the names and
// with the defaults of charon's options.
type Charon struct {
	Port     uint16 // charon.port, 500; 0 = any free port
	PortNATT uint16 // charon.port_nat_t, 4500; 0 = any free port

	RetransmitTimeout time.Duration // charon.retransmit_timeout, 4 s
	RetransmitBase    float64       // charon.retransmit_base, 1.8
	RetransmitTries   int           // charon.retransmit_tries, 5
	RetransmitLimit   time.Duration // charon.retransmit_limit, 0 = none
	RetransmitJitter  int           // charon.retransmit_jitter, percent

	FragmentSizeV4 int // charon.fragment_size(_v4), octets of the IPv4 datagram, 1280
	FragmentSizeV6 int // charon.fragment_size(_v6), octets of the IPv6 datagram, 1280
	MaxPacket      int // charon.max_packet, octets of a reassembled message, 10000

	KeepAlive         time.Duration // charon.keep_alive, NAT keepalives, 20 s; 0 = none
	InstallRoutes     bool          // charon.install_routes, yes
	InstallVirtualIP  bool          // charon.install_virtual_ip, yes
	RoutingTable      int           // charon.routing_table, 220
	RoutingTablePrio  int           // charon.routing_table_prio, 220
	SignatureAuth     bool          // charon.signature_authentication, yes
	ForceEAPOnly      bool          // charon.force_eap_only_authentication, no
	FollowRedirects   bool          // charon.follow_redirects, yes
	AcceptPrivateAlgs bool          // charon.accept_private_algs, no

	InstallDNS     bool   // charon.plugins.resolve.load and install_dns, yes
	ResolvConf     string // charon.plugins.resolve.file, "" = /etc/resolv.conf
	ResolvconfPath string // charon.plugins.resolve.resolvconf.path, "" = /sbin/resolvconf

	TTLS EAPTTLS
	TNC  EAPTNC
	TLS  TLS

	TNCConfig string // charon.tnc.tnc_config, libtnccs.tnc_config: /etc/tnc_config
}

// EAPTTLS holds charon.plugins.eap-ttls.
type EAPTTLS struct {
	// FragmentSize is the largest EAP-TTLS packet in octets. strongSwan's
	// default is 1024; 0 = not set: the caller chooses.
	FragmentSize    int
	MaxMessageCount int  // 32; 0 = no limit
	IncludeLength   bool // yes
}

// EAPTNC holds charon.plugins.eap-tnc.
type EAPTNC struct {
	MaxMessageCount int    // 10; 0 = no limit
	Protocol        string // tnccs-2.0, tnccs-1.1 or tnccs-dynamic
}

// TLS holds charon.tls, else libtls.
type TLS struct {
	VersionMin string // "1.2"
	VersionMax string // "1.2" in strongSwan; "" = not set: the caller chooses
}

// Charon reads the options. Values that cannot be used leave the default and
// are in Warnings.
func (c *Config) Charon() Charon {
	v := c.View("charon")
	seconds := func(key string, def float64) time.Duration {
		f := v.Float(key, def)
		if f < 0 || f > 86400 {
			val, _ := v.Lookup(key)
			c.warn(val.Errorf("%s = %s: not between 0 and 86400 seconds; the default applies", val.Key, QuoteText(val.Text)))
			f = def
		}
		return time.Duration(f * float64(time.Second))
	}
	frag := v.IntIn("fragment_size", 1280, 0, math.MaxUint16)
	o := Charon{
		Port:              uint16(v.IntIn("port", 500, 0, math.MaxUint16)),
		PortNATT:          uint16(v.IntIn("port_nat_t", 4500, 0, math.MaxUint16)),
		RetransmitTimeout: seconds("retransmit_timeout", 4),
		RetransmitBase:    v.Float("retransmit_base", 1.8),
		RetransmitTries:   v.IntIn("retransmit_tries", 5, 0, 1000),
		RetransmitLimit:   seconds("retransmit_limit", 0),
		RetransmitJitter:  v.IntIn("retransmit_jitter", 0, 0, 100),
		FragmentSizeV4:    v.IntIn("fragment_size_v4", frag, 0, math.MaxUint16),
		FragmentSizeV6:    v.IntIn("fragment_size_v6", frag, 0, math.MaxUint16),
		MaxPacket:         v.IntIn("max_packet", 10000, 1, 1<<24),
		KeepAlive:         v.Duration("keep_alive", 20*time.Second),
		InstallRoutes:     v.Bool("install_routes", true),
		InstallVirtualIP:  v.Bool("install_virtual_ip", true),
		RoutingTable:      v.IntIn("routing_table", 220, 0, math.MaxInt32),
		RoutingTablePrio:  v.IntIn("routing_table_prio", 220, 0, math.MaxInt32),
		SignatureAuth:     v.Bool("signature_authentication", true),
		ForceEAPOnly:      v.Bool("force_eap_only_authentication", false),
		FollowRedirects:   v.Bool("follow_redirects", true),
		AcceptPrivateAlgs: v.Bool("accept_private_algs", false),
		InstallDNS:        v.Bool("plugins.resolve.load", true),
		ResolvConf:        v.String("plugins.resolve.file", ""),
		ResolvconfPath:    v.String("plugins.resolve.resolvconf.path", ""),
		TTLS: EAPTTLS{
			FragmentSize:    v.IntIn("plugins.eap-ttls.fragment_size", 0, 0, math.MaxUint16),
			MaxMessageCount: v.IntIn("plugins.eap-ttls.max_message_count", 32, 0, math.MaxInt32),
			IncludeLength:   v.Bool("plugins.eap-ttls.include_length", true),
		},
		TNC: EAPTNC{
			MaxMessageCount: v.IntIn("plugins.eap-tnc.max_message_count", 10, 0, math.MaxInt32),
			Protocol:        v.String("plugins.eap-tnc.protocol", "tnccs-2.0"),
		},
		TNCConfig: c.View("charon.tnc", "libtnccs").String("tnc_config", "/etc/tnc_config"),
	}
	if o.RetransmitBase < 1 || o.RetransmitBase > 100 {
		val, _ := v.Lookup("retransmit_base")
		c.warn(val.Errorf("retransmit_base = %s: not between 1 and 100; the default applies", QuoteText(val.Text)))
		o.RetransmitBase = 1.8
	}
	tls := c.View("charon.tls", "libtls")
	o.TLS = TLS{VersionMin: tls.String("version_min", "1.2"), VersionMax: tls.String("version_max", "")}
	return o
}
