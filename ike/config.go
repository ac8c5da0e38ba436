package ike

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/gotnc/gotnc/ike/eap"
)

// Config describes one connection. New validates it once; what it points to
// must not change afterwards. No function in it may block, except those that a
// Work carries out (EAP.Handle, Verifier.Verify, Credential.OCSP, Credential.Key.Sign).
type Config struct {
	// Name of the connection in the log; "" = "ike".
	Name string
	// ID is the number of this IKE_SA in the log ("home[1]"); 0 = 1.
	ID int
	// Local is the address and port that datagrams to Remote leave from, as
	// the packet has them (needed for NAT detection). Required; ike/transport
	// fills it in.
	Local netip.AddrPort
	// LocalNATT is the same for port 4500; zero = Local (one socket for both).
	LocalNATT netip.AddrPort
	// Remote is the gateway. Port 0 = 500. Where the port is 500 the exchange
	// moves to 4500 after IKE_SA_INIT; any other port carries the non-ESP
	// marker from the first packet. Required; ike/transport fills it in.
	Remote netip.AddrPort

	// LocalRounds are how we authenticate, in order. Required.
	LocalRounds []LocalRound
	// RemoteRounds are how the gateway has to authenticate, in order. Required.
	RemoteRounds []RemoteRound
	// Authentication is the rest about authentication.
	Authentication Authentication

	// Proposals for the IKE_SA in strongSwan's grammar; empty = default. No
	// algorithm of private use (transform IDs from 1024) is implemented, offered
	// or accepted: strongSwan's accept_private_algs has nothing to allow here.
	Proposals []string
	// Children are the CHILD_SAs to set up: the first with the IKE_SA, the
	// others after it. Empty = one with the values of a zero ChildConfig.
	Children []ChildConfig
	// VirtualIPs are what is asked for inside the tunnel.
	VirtualIPs VirtualIPs
	// ForceEncap reports a NAT that is not there (encap = yes), so that ESP
	// arrives in UDP; user-space ESP needs it.
	ForceEncap bool
	// NoMOBIKE leaves RFC 4555 out (mobike = no).
	NoMOBIKE bool

	// Fragmentation and size of messages.
	Fragmentation Fragmentation
	// Redirects (RFC 5685).
	Redirects Redirects
	// Timers of the IKE_SA.
	Timers Timers
	// Retransmission schedule.
	Retransmission Retransmission

	// Rand is the source of SPIs, nonces and keys; nil = crypto/rand. Who carries out a
	// SignRequest reads it too.
	Rand io.Reader
	// KeyLog, where set, gets the keys of every IKE_SA as a line of Wireshark's
	// ikev2_decryption_table: for debugging only, it gives all secrecy away.
	KeyLog func(line string)
	// Logger gets strongSwan's lines; nil = none.
	Logger *slog.Logger
}

// VirtualIPs are the addresses inside the tunnel that the gateway is asked for.
type VirtualIPs struct {
	// Wanted are requested from the gateway; the unspecified address (0.0.0.0, ::)
	// asks for any. Empty = none.
	Wanted []netip.Addr
	// Last are what the gateway assigned to the IKE_SA that this one replaces, or to
	// the last run: they are asked for where Wanted says any of their family, so that
	// connections inside survive. The gateway may assign others. Those that no entry
	// of Wanted is for are ignored.
	Last []netip.Addr
}

// Authentication is what holds for all rounds of authentication.
type Authentication struct {
	// PPK is mixed into the keys where the gateway knows it; nil = none.
	PPK *PPK
	// SendCert is when our certificates are sent.
	SendCert SendCert
	// SendCertReq asks for a certificate of the CAs in CertReqKeys
	// (send_certreq); strongSwan sends its certificate only where asked.
	SendCertReq bool
	// CertReqKeys name each CA by the SHA-1 hash of its SubjectPublicKeyInfo, 20
	// octets (RFC 7296 section 3.7).
	CertReqKeys [][]byte
	// FetchCert, where set, returns what an http URL leads to: the gateway is told that
	// it may name certificates by hash and URL instead of sending them (charon.hash_and_url,
	// RFC 7296 section 3.6). The URL is a stranger's: FetchCert decides where it may
	// lead, and bounds time and octets. It is called by who carries out a VerifyRequest,
	// and may block until ctx ends.
	FetchCert func(ctx context.Context, url string) ([]byte, error)
	// RequestOCSP asks for an OCSP response beside the certificate (RFC 4806).
	RequestOCSP bool
	// ClassicSignatures leaves RFC 7427 out (charon.signature_authentication =
	// no): no hash algorithms are announced, AUTH is made with the methods of
	// RFC 7296 and RFC 4754, and a gateway that signs as RFC 7427 says is
	// refused.
	ClassicSignatures bool
	// SHA1 accepts and makes RSA signatures over SHA-1: those of authentication
	// method 1 (RFC 7296 section 3.8), which are left for RSA keys where either side
	// does without RFC 7427. Without it they are signature.ErrSHA1 (RFC 8247 section 3).
	SHA1 bool
	// NoInitialContact leaves N(INITIAL_CONTACT) out.
	NoInitialContact bool
	// GatewayIdentified, where set, is called with the gateway's IKE identity in
	// every round, before the EAP request beside it is handled (EAP-TTLS expects
	// it in the server certificate unless aaa_id says otherwise). An error ends
	// the exchange.
	GatewayIdentified func(id Identity) error
}

// ChildConfig describes a CHILD_SA.
type ChildConfig struct {
	Name string // for the log; "" = the connection's name
	// LocalTS is what our side protects; empty = our address: the virtual IP
	// where one is requested, else the address of the IKE_SA ("dynamic").
	LocalTS []TrafficSelector
	// RemoteTS is what lies behind the gateway; empty = the gateway's address.
	RemoteTS []TrafficSelector
	// Proposals in strongSwan's grammar ("aes128gcm16-ecp256"); empty = default.
	// Key exchange methods apply to rekeying (perfect forward secrecy).
	Proposals []string
	// RekeyTime, less a random part up to RandTime: it is rekeyed; 0 = never.
	RekeyTime, RandTime time.Duration
	// LifeTime: it is deleted and a new one is set up; 0 = never.
	LifeTime time.Duration
	// Trigger is the packet that asks for it; nil = none.
	Trigger *Trigger
	// Restart: it is set up again after the gateway deleted it (close_action =
	// start).
	Restart bool
}

// Fragmentation is how large messages travel.
type Fragmentation struct {
	Off bool // do without RFC 7383
	// Size is the size of a fragment as IP datagram, in octets; 0 = 1280
	// (charon.fragment_size).
	Size int
	// MaxPacket caps a reassembled message, in octets; 0 = 10000
	// (charon.max_packet).
	MaxPacket int
}

// Redirects is whether the gateway may send us to another one.
type Redirects struct {
	// Follow announces RFC 5685: a redirect ends the IKE_SA with a
	// *RedirectError.
	Follow bool
	// From is the gateway that sent us here; zero = none.
	From netip.Addr
}

// Timers are the timers of the IKE_SA.
type Timers struct {
	// RekeyTime, less a random part up to RandTime: the IKE_SA is rekeyed; 0 =
	// never. OverTime after it the IKE_SA ends where that failed.
	RekeyTime, RandTime, OverTime time.Duration
	// ReauthTime: ReauthDue is emitted then; 0 = never.
	ReauthTime time.Duration
	// DPDDelay: an IKE_SA idle that long is probed; 0 = never (dpd_delay).
	DPDDelay time.Duration
	// EstablishTimeout bounds the way from the first packet to the
	// established IKE_SA; 0 = 15 minutes. A gateway that keeps the EAP
	// exchange going for ever ends there.
	EstablishTimeout time.Duration
}

// Retransmission is strongSwan's schedule: the n-th retransmission of a
// request follows Timeout·Base^n after the transmission before it; after
// Tries retransmissions and one more such wait the peer counts as dead.
type Retransmission struct {
	Timeout time.Duration // 0 = 4 s (charon.retransmit_timeout)
	Base    float64       // 0 = 1.8 (charon.retransmit_base)
	Tries   int           // 0 = 5 (charon.retransmit_tries); negative = none
	Limit   time.Duration // longest single wait, 0 = no limit (charon.retransmit_limit)
	// Jitter is how much of each wait is taken away at most, at random, in
	// percent: 0 to MaxRetransmitJitter (charon.retransmit_jitter).
	Jitter int
}

// Defaults and caps.
const (
	PortIKE  = 500
	PortNATT = 4500

	DefaultRetransmitTimeout = 4 * time.Second
	DefaultRetransmitBase    = 1.8
	DefaultRetransmitTries   = 5
	DefaultFragmentSize      = 1280
	DefaultMaxPacket         = 10000
	DefaultEstablishTimeout  = 15 * time.Minute
	MaxRetransmitJitter      = 20 // percent, strongSwan's RETRANSMIT_JITTER_MAX

	maxCookies      = 8     // COOKIE replies followed
	maxEAPRounds    = 16384 // IKE_AUTH exchanges that carry EAP
	maxIdleAuth     = 16    // IKE_AUTH exchanges for rounds of the gateway alone
	minFragmentSize = 256
	maxFragmentSize = 65535
	minMaxPacket    = 1000
	maxMaxPacket    = 1 << 20
	keyHashSize     = 20 // of a CA in CERTREQ
)

// EAP is the peer side of an EAP conversation; ike/eap.Peer is one. The Machine
// calls MSK only; Handle is called by who carries out an EAPRequest.
type EAP interface {
	// Handle answers one EAP packet (a Request, Success or Failure). With
	// EAPContinue the response is sent. An error ends the exchange; a response
	// beside it (a TLS alert) is still sent, so that the server learns why.
	// Ownership of both passes to the one who gets them.
	Handle(request []byte) (response []byte, status EAPStatus, err error)
	// MSK returns the key after EAPSuccess, 64 octets; nil where the method
	// derives none.
	MSK() []byte
}

// EAPStatus is how far an EAP conversation has come.
type EAPStatus = eap.Status

// EAP statuses.
const (
	EAPContinue = eap.StatusContinue // a response goes out, more is to come
	EAPSuccess  = eap.StatusSuccess  // EAP-Success accepted
	EAPFailure  = eap.StatusFailure  // the conversation failed
)

// validate fills defaults in.
func (c *Config) validate() error {
	if c.Name == "" {
		c.Name = "ike"
	}
	if c.ID == 0 {
		c.ID = 1
	}
	if !c.Local.IsValid() || c.Local.Addr().IsUnspecified() {
		return &ConfigError{"Local", "no local address"}
	}
	if !c.LocalNATT.IsValid() {
		c.LocalNATT = c.Local
	}
	if !c.Remote.IsValid() || c.Remote.Addr().IsUnspecified() {
		return &ConfigError{"Remote", "no gateway address"}
	}
	if c.Remote.Port() == 0 {
		c.Remote = netip.AddrPortFrom(c.Remote.Addr(), PortIKE)
	}
	if c.Local.Addr().Is4() != c.Remote.Addr().Is4() {
		return &ConfigError{"Local", fmt.Sprintf("local address %s and gateway %s are of different families", c.Local.Addr(), c.Remote.Addr())}
	}
	if err := c.validateRounds(); err != nil {
		return err
	}
	if err := c.Fragmentation.validate(); err != nil {
		return err
	}
	if c.Timers.EstablishTimeout == 0 {
		c.Timers.EstablishTimeout = DefaultEstablishTimeout
	}
	if err := c.Retransmission.validate(); err != nil {
		return err
	}
	if len(c.Children) == 0 {
		c.Children = []ChildConfig{{}}
	}
	if err := c.VirtualIPs.validate(); err != nil {
		return err
	}
	for _, k := range c.Authentication.CertReqKeys {
		if len(k) != keyHashSize {
			return &ConfigError{"Authentication.CertReqKeys", "a CERTREQ key hash does not have 20 octets"}
		}
	}
	return nil
}

func (v *VirtualIPs) validate() error {
	if slices.Contains(v.Wanted, netip.Addr{}) {
		return &ConfigError{"VirtualIPs.Wanted", "bad virtual IP"}
	}
	if slices.Contains(v.Last, netip.Addr{}) {
		return &ConfigError{"VirtualIPs.Last", "bad virtual IP"}
	}
	return nil
}

func (f *Fragmentation) validate() error {
	if f.Size == 0 {
		f.Size = DefaultFragmentSize
	}
	if f.Size < minFragmentSize || f.Size > maxFragmentSize {
		return &ConfigError{"Fragmentation.Size", fmt.Sprintf("fragment size %d is outside %d to %d", f.Size, minFragmentSize, maxFragmentSize)}
	}
	if f.MaxPacket == 0 {
		f.MaxPacket = DefaultMaxPacket
	}
	if f.MaxPacket < minMaxPacket || f.MaxPacket > maxMaxPacket {
		return &ConfigError{"Fragmentation.MaxPacket", fmt.Sprintf("maximum packet size %d is outside %d to %d", f.MaxPacket, minMaxPacket, maxMaxPacket)}
	}
	return nil
}

func (r *Retransmission) validate() error {
	if r.Timeout == 0 {
		r.Timeout = DefaultRetransmitTimeout
	}
	if r.Base == 0 {
		r.Base = DefaultRetransmitBase
	}
	if r.Tries == 0 {
		r.Tries = DefaultRetransmitTries
	} else if r.Tries < 0 {
		r.Tries = 0
	}
	if r.Timeout < 0 || r.Base < 1 || r.Base > 100 || r.Tries > 100 || r.Limit < 0 || r.Jitter < 0 || r.Jitter > MaxRetransmitJitter {
		return &ConfigError{"Retransmission", "retransmission schedule out of range"}
	}
	return nil
}

// wait returns how long after the n-th transmission (0 = the first) the next
// one is due.
func (r Retransmission) wait(n int) time.Duration {
	d := float64(r.Timeout)
	for range n {
		d *= r.Base
		if d > float64(24*time.Hour) {
			d = float64(24 * time.Hour)
			break
		}
	}
	w := time.Duration(d)
	if r.Limit > 0 && w > r.Limit {
		w = r.Limit
	}
	return w
}
