package settings

import (
	"math"
	"time"
)

// Where the client's settings are looked up.
var (
	charon     = scope{group: IKE, sections: []string{"charon"}}
	resolve    = scope{group: IKE, sections: []string{"charon"}, prefix: "plugins.resolve."}
	revocation = scope{group: IKE, sections: []string{"charon"}, prefix: "plugins.revocation."}
	libtls     = scope{group: EAP, sections: []string{"charon.tls", "libtls"}}
	eapTLS     = scope{group: EAP, sections: []string{"charon"}, prefix: "plugins.eap-tls."}
	eapTTLS    = scope{group: EAP, sections: []string{"charon"}, prefix: "plugins.eap-ttls."}
	eapPEAP    = scope{group: EAP, sections: []string{"charon"}, prefix: "plugins.eap-peap."}
	eapTNC     = scope{group: EAP, sections: []string{"charon"}, prefix: "plugins.eap-tnc."}
	libtnccs   = scope{group: TNC, sections: []string{"charon.tnc", "libtnccs"}}
	tncIMC     = scope{group: TNC, sections: []string{"charon"}, prefix: "plugins.tnc-imc."}
	tnccs20    = scope{group: TNC, sections: []string{"charon"}, prefix: "plugins.tnccs-20."}
	tnccs11    = scope{group: TNC, sections: []string{"charon"}, prefix: "plugins.tnccs-11."}
	stroke     = scope{group: IKE, sections: []string{"charon"}, prefix: "plugins.stroke."}
	auth       = scope{group: IKE, sections: []string{"tnc"}, prefix: "auth.", own: true}
	fetch      = scope{group: IKE, sections: []string{"tnc"}, prefix: "fetch.", own: true}
	imc        = scope{group: TNC, sections: []string{"tnc"}, prefix: "imc.", own: true}
	stream     = scope{group: IKE, sections: []string{"tnc"}, own: true}
	mutual     = scope{group: Mutual, sections: []string{"tnc"}, prefix: "mutual.", own: true}
)

// Of IKE and the tunnel.
var (
	Port              = charon.number("port", "", 500, 0, math.MaxUint16, "UDP port of IKE here; 0 takes any that is free.")
	PortNATT          = charon.number("port_nat_t", "", 4500, 0, math.MaxUint16, "UDP port of IKE here behind a NAT; 0 takes any that is free.")
	RetransmitTimeout = charon.decimal("retransmit_timeout", "seconds", 4, 0, 86400, "Time until a request is first repeated.")
	RetransmitBase    = charon.decimal("retransmit_base", "", 1.8, 1, 100, "Factor by which the time grows with each repetition.")
	RetransmitTries   = charon.number("retransmit_tries", "", 5, 0, 1000, "Repetitions before the gateway counts as gone.")
	RetransmitLimit   = charon.decimal("retransmit_limit", "seconds", 0, 0, 86400, "Longest time between two repetitions; 0 sets none.")
	RetransmitJitter  = charon.number("retransmit_jitter", "percent", 0, 0, 100, "Part of the time by which a repetition may come earlier, at random; at most 20 count.")
	FragmentSize      = charon.number("fragment_size", "octets", 1280, 0, math.MaxUint16, "Largest IP datagram of an IKE fragment; 0 is the default.")
	FragmentSizeV4    = charon.optional("fragment_size_v4", "octets", 0, math.MaxUint16, "fragment_size", "Largest IPv4 datagram of an IKE fragment.")
	FragmentSizeV6    = charon.optional("fragment_size_v6", "octets", 0, math.MaxUint16, "fragment_size", "Largest IPv6 datagram of an IKE fragment.")
	MaxPacket         = charon.number("max_packet", "octets", 10000, 1, 1<<24, "Largest IKE message after reassembly.")
	KeepAlive         = charon.time("keep_alive", 20*time.Second, "", "Interval of NAT keepalives; 0 sends none.")
	InstallRoutes     = charon.yesNo("install_routes", true, "Set routes into the tunnel.")
	InstallVirtualIP  = charon.yesNo("install_virtual_ip", true, "Set the virtual addresses that the gateway assigns.")
	RoutingTable      = charon.number("routing_table", "", 220, 0, noLimit, "Number of the routing table for routes into the tunnel.")
	RoutingTablePrio  = charon.number("routing_table_prio", "", 220, 0, noLimit, "Priority of the rule that leads to that table.")
	FollowRedirects   = charon.yesNo("follow_redirects", true, "Follow a gateway's REDIRECT (RFC 5685).")
	SignatureAuth     = charon.yesNo("signature_authentication", true, "Use digital signatures with a hash algorithm of choice (RFC 7427).")
	HashAndURL        = charon.yesNo("hash_and_url", false, "Let the gateway name its certificates by hash and http URL, and fetch them.")
	RSAPSS            = charon.yesNo("rsa_pss", false, "Sign with RSASSA-PSS where the key is RSA.")
	CacheCRLs         = charon.yesNo("cache_crls", false, "Keep fetched CRLs as files in the directory x509crl.")
	InstallDNS        = resolve.yesNo("load", true, "Use the gateway's name servers.")
	ResolvConf        = resolve.text("file", "", "File that name servers are written to, instead of /etc/resolv.conf.")
	ResolvconfPath    = resolve.text("resolvconf.path", "", "The program resolvconf, instead of /sbin/resolvconf.")
	AllowSwap         = stroke.yesNo("allow_swap", true, "Swap the ends of a connection of ipsec.conf whose right end is this machine.")
	SecretsFile       = stroke.text("secrets_file", "", "The file of secrets, instead of ipsec.secrets beside ipsec.conf.")
	EnableCRL         = revocation.yesNo("enable_crl", true, "Check certificates against CRLs.")
	EnableOCSP        = revocation.yesNo("enable_ocsp", true, "Check certificates by OCSP.")
	FetchTimeout      = revocation.time("timeout", 0, "10", "Time that one CRL or OCSP response may take to fetch.")
	EncapTCP          = stream.oneOf("encap_tcp", []string{"auto", "yes", "no"}, "IKE and ESP over TCP (RFC 9329): yes, no, or auto, where UDP gets no answer. It needs the data plane tun.")
	TCPPort           = stream.number("tcp_port", "", 4500, 1, math.MaxUint16, "TCP port of the gateway.")
	TCPAfter          = stream.decimal("tcp_after", "seconds", 8, 0, 3600, "Time without an answer over UDP until auto tries TCP.")
	UDPAgain          = stream.decimal("udp_again", "seconds", 600, 1, 86400, "Interval at which auto tries UDP again while TCP is in use; where it works a new IKE_SA over UDP takes over.")
	SHA1Signatures    = auth.yesNo("sha1_signatures", false, "Accept and make RSA signatures over SHA-1, with gateways that lack RFC 7427; charon.signature_authentication = no includes it.")
	AnyGateway        = auth.yesNo("any_gateway", false, "Use a password where remote.id is open: whoever has a certificate of a trusted CA can ask for it, or for a hash of it.")
	FetchPrivate      = fetch.yesNo("private_addresses", false, "Fetch certificates, CRLs and OCSP responses from loopback, link-local and private addresses too where a peer or its certificate names them.")
)

// Of EAP. Where fragment_size is not set packets are as large as IKE fragmentation carries;
// where max_message_count is not set there is no limit, since strongSwan's defaults
// (32, for eap-tnc 10) end a longer measurement.
var (
	TLSVersionMin = libtls.text("version_min", "1.2", "Lowest TLS version: 1.2 or 1.3.")
	TLSVersionMax = libtls.text("version_max", "", "Highest TLS version: 1.2 or 1.3; not set, 1.3.")

	TLSFragmentSize  = eapTLS.optional("fragment_size", "octets", 0, math.MaxUint16, "9980", "Largest EAP-TLS packet.")
	TLSMaxMessages   = eapTLS.number("max_message_count", "", 0, 0, noLimit, "Largest number of EAP-TLS packets of the server; 0 sets no limit.")
	TLSIncludeLength = eapTLS.yesNo("include_length", true, "Send the message length also in EAP-TLS packets that are not fragmented.")

	TTLSFragmentSize  = eapTTLS.optional("fragment_size", "octets", 0, math.MaxUint16, "9980", "Largest EAP-TTLS packet.")
	TTLSMaxMessages   = eapTTLS.number("max_message_count", "", 0, 0, noLimit, "Largest number of EAP-TTLS packets of the server; 0 sets no limit.")
	TTLSIncludeLength = eapTTLS.yesNo("include_length", true, "Send the message length also in EAP-TTLS packets that are not fragmented.")

	PEAPFragmentSize  = eapPEAP.optional("fragment_size", "octets", 0, math.MaxUint16, "9980", "Largest PEAP packet.")
	PEAPMaxMessages   = eapPEAP.number("max_message_count", "", 0, 0, noLimit, "Largest number of PEAP packets of the server; 0 sets no limit.")
	PEAPBinding       = eapPEAP.mine().yesNo("require_binding", false, "Refuse a server that does not bind the method inside the tunnel to it (Crypto-Binding).")
	PEAPIncludeLength = eapPEAP.yesNo("include_length", false, "Send the message length also in PEAP packets that are not fragmented.")

	TNCFragmentSize = eapTNC.mine().optional("fragment_size", "octets", 64, math.MaxUint16, "65535", "Largest EAP-TNC packet, for servers that reassemble.")
	TNCMaxMessages  = eapTNC.number("max_message_count", "", 0, 0, noLimit, "Largest number of EAP-TNC or PT-EAP packets of the server; 0 sets no limit.")
)

// Of the TNC client.
var (
	TNCProtocol       = eapTNC.text("protocol", "", "TNCCS protocol: tnccs-2.0, tnccs-1.1 or tnccs-dynamic; not set, the server's.")
	TNCConfig         = libtnccs.text("tnc_config", "/etc/tnc_config", "File that names the IMCs.")
	PreferredLanguage = tncIMC.text("preferred_language", "", "Language of texts for the user, as in RFC 3282.").mustBe(languages)
	InProcess         = tncIMC.mine().yesNo("in_process", false, "Load all IMCs into this process instead of a child each.")
	AllowWritable     = tncIMC.mine().yesNo("allow_writable", false, "As root, load IMCs too that others than root may change, by writing the library or a folder on the way to it.")
	CallTimeout       = tncIMC.mine().time("call_timeout", 0, "120", "Time that a call of an IMC may take.")
	Sandbox           = imc.textOf("text", "sandbox", "strict for imc-attestation.so of this module, else readonly", "How far the process of each IMC is confined: strict, readonly or off.")
	SandboxOfIMC      = imc.textOf("text", "<name>.sandbox", "that of all", "The same for the IMC of that name in tnc_config.")
	IMCMemory         = imc.number("memory", "MiB", 1024, 64, 1<<20, "Private memory that a process of an IMC may have.")
	IMCProcesses      = imc.number("processes", "", 256, 16, 1<<20, "Processes and threads that an IMC may have.")
	MaxBatchSize      = tnccs20.optional("max_batch_size", "octets", math.MinInt, math.MaxInt, "the transport's", "Largest PB-TNC batch.")
	MaxMessageSize    = tnccs20.optional("max_message_size", "octets", math.MinInt, math.MaxInt, "what a batch holds", "Largest PA-TNC message.")
	MaxMessageSizeXML = tnccs11.optional("max_message_size", "octets", math.MinInt, math.MaxInt, "45000", "Largest PA-TNC message in TNCCS 1.1.")
	MutualMeasurement = tnccs20.yesNo("mutual", false, "Measure the gateway too, as tnc.mutual says.")
	TestNoSkip        = tnccs20.yesNo("tests.pb_tnc_noskip", false, "For tests: send an unknown PB-TNC message that must not be skipped.")
	TestVersion       = tnccs20.optional("tests.pb_tnc_version", "", math.MinInt, math.MaxInt, "2", "For tests: the version in PB-TNC batches.")
)

// Of mutual measurement.
var (
	MutualRequired   = mutual.yesNo("required", false, "Refuse a gateway that does not let itself be measured.")
	MutualHash       = mutual.text("hash", "", "Strongest measurement algorithm: sha1, sha256, sha384 or sha512; not set, sha256.").mustBe(oneWord("sha1", "sha256", "sha384", "sha512"))
	MutualProduct    = mutual.text("product", "", "What the name of the gateway's platform has to begin with.")
	MutualForce      = mutual.text("force", "", "Decision whatever was measured: allow, isolate or deny.").mustBe(oneWord("allow", "isolate", "deny"))
	MutualOnSilence  = mutual.text("on_silence", "", "Decision where the gateway has no Attestation IMC: allow, isolate or deny; not set, deny.").mustBe(oneWord("allow", "isolate", "deny"))
	MutualOnMismatch = mutual.text("on_mismatch", "", "Decision where a measurement differs: allow, isolate or deny; not set, isolate.").mustBe(oneWord("allow", "isolate", "deny"))
	MutualFilePath   = mutual.text("files.<name>.path", "", "A file on the gateway that is measured.").mustBe(absolutePath)
	MutualFileDigest = mutual.text("files.<name>.digest", "", "Its digest in hex.")
)
