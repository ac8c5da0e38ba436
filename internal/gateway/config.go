// Package gateway is a reference gateway in one process: an IKEv2 responder
// with an EAP-TTLS server, a PB-TNC server, a verifier, and a user-space ESP
// host that answers pings. `tnc demo` and the tests connect to it where no
// other gateway is installed. It needs no rights: one UDP socket, on the
// loopback interface by default, and a TCP socket where one is asked for.
//
// It is made for trying a client and for testing one, not for guarding a
// network: see Faults.
package gateway

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/imc/imv"
)

// Names of the inner EAP methods in Config.Phase2, as strongSwan writes them.
const (
	MethodMD5 = "md5" // MD5-Challenge against Config.Users
	MethodTNC = "tnc" // EAP-TNC, type 38
	MethodPT  = "pt"  // PT-EAP, type 54
)

// Config describes a gateway. Only Identity and Certificate must be set.
type Config struct {
	Listen    string // UDP address; empty means "127.0.0.1:0". Datagrams carry the non-ESP marker
	ListenTCP string // TCP address for IKE and ESP over TCP (RFC 9329); empty means none
	// TCPBound has an IKE_SA live on the TCP connection alone that it began on, as
	// pluto's do: others that do not begin with IKE_SA_INIT are closed.
	TCPBound    bool
	Identity    string          // FQDN: IDr, and a name of Certificate
	Certificate tls.Certificate // of the EAP-TTLS server, with its key

	Users map[string]string // identity to password, for MD5
	// PSK, where set, is what clients may authenticate with instead of EAP.
	PSK []byte
	// ClientCAs, where set, are trusted for clients that sign instead of using EAP.
	ClientCAs *x509.CertPool
	Phase2    []string // inner methods in order; nil means md5 (where Users is set) and pt

	IKEProposals []string // strongSwan's grammar; nil means "default"
	ESPProposals []string // the same

	Networks   []netip.Prefix // behind the gateway, traffic selectors of its side; nil means 10.1.0.0/16
	Quarantine []netip.Prefix // what an isolated client reaches instead; nil means Networks
	Pool       netip.Prefix   // virtual addresses; zero means 10.3.0.0/24

	Policy imv.Policy

	MinTLS, MaxTLS  uint16 // tls.VersionTLS12 … 13; zero means 1.2 and 1.3
	FragmentSize    int    // IKE fragments, octets of a whole IP datagram; 0 means 1280
	EAPFragmentSize int    // largest EAP-TTLS packet sent; 0 means 8000
	AskIdentity     bool   // ask for the EAP identity before EAP-TTLS starts
	SignAuth        bool   // authenticate with the certificate in the first IKE_AUTH reply as well
	MaxClients      int    // half-open and established, further ones are ignored; 0 means 64
	// MOBIKE is announced to clients that announce it (RFC 4555).
	MOBIKE bool
	// Unique has the INITIAL_CONTACT of a client end other IKE_SAs of its identity
	// (RFC 7296 section 2.4).
	Unique bool
	// Tries is how often an own request is repeated, a second apart, before the
	// client counts as dead; 0 means 5.
	Tries int
	// RekeyRetry is the longest wait before a rekeying of the gateway's that met
	// TEMPORARY_FAILURE is tried again; 0 means 10 s.
	RekeyRetry time.Duration

	HalfOpen time.Duration // clients that have not finished after this are dropped; 0 means 30 s

	Rand   io.Reader // SPIs, nonces, keys; nil means crypto/rand
	Faults Faults
	Logger *slog.Logger // nil discards
}

// Faults makes the gateway misbehave, for tests. The zero value behaves.
type Faults struct {
	Silent           bool                               // answer nothing at all
	SilentAfter      int                                // stop answering after this many requests; 0 never
	DropIn           int                                // lose the first n datagrams received
	DropOut          int                                // lose the first n datagrams sent
	DropEvery        int                                // lose every nth datagram sent; 0 never
	Duplicate        bool                               // send every datagram twice
	Garbage          bool                               // send three datagrams of junk ahead of every answer
	Cookie           bool                               // ask for a cookie first
	CookieTwice      bool                               // ask for a second, different cookie
	InvalidKE        bool                               // ask for the second key exchange method offered, where there is one
	NoProposal       bool                               // answer NO_PROPOSAL_CHOSEN to IKE_SA_INIT
	NoChildProposal  bool                               // answer NO_PROPOSAL_CHOSEN for the CHILD_SA
	NoRekeying       bool                               // answer NO_ADDITIONAL_SAS to CREATE_CHILD_SA
	NoVirtualIP      bool                               // answer INTERNAL_ADDRESS_FAILURE
	FragmentSize     int                                // overrides Config.FragmentSize, for very small fragments
	NoFragmentation  bool                               // do not announce IKE fragmentation
	ReorderFragments bool                               // send fragments last to first
	Certificate      *tls.Certificate                   // present this certificate instead
	BadAuth          bool                               // corrupt the AUTH payload of the gateway
	WrongIdentity    string                             // IDr instead of Config.Identity
	EAPFailure       bool                               // EAP-Failure instead of the first EAP-TTLS request
	EarlySuccess     bool                               // EAP-Success before any method ran
	BadBatch         bool                               // break the version of the first PB-TNC batch sent
	ReplaceBatch     func(n int, batch []byte) []byte   // rewrites the nth batch sent, from 0; nil leaves it
	ReplacePA        func(n int, message []byte) []byte // rewrites the nth PA-TNC message sent, from 0
	NoRecommendation bool                               // never send RESULT, empty SDATA for ever
	DeleteAfter      time.Duration                      // delete the IKE_SA this long after it was established; 0 never
	DPD              time.Duration                      // send a liveness check at this interval; 0 never
	Rewrite          func(Answer) [][]byte              // what is sent instead of each protected answer
}

// Answer is a protected answer that Faults.Rewrite may replace.
type Answer struct {
	N        int      // from 0
	Messages [][]byte // one, or the fragments
	// Seal protects other payloads as an answer to the same request.
	Seal func(...message.Payload) [][]byte
}

func (c *Config) fill() error {
	if c.Identity == "" {
		return errors.New("configure gateway: no identity")
	}
	if len(c.Certificate.Certificate) == 0 || c.Certificate.PrivateKey == nil {
		return errors.New("configure gateway: no certificate with a private key")
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Phase2 == nil {
		if len(c.Users) > 0 {
			c.Phase2 = append(c.Phase2, MethodMD5)
		}
		c.Phase2 = append(c.Phase2, MethodPT)
	}
	for i, m := range c.Phase2 {
		switch m {
		case MethodMD5:
		case MethodTNC, MethodPT:
			if i != len(c.Phase2)-1 {
				return fmt.Errorf("configure gateway: inner method %s must be the last one", m)
			}
		default:
			return fmt.Errorf("configure gateway: inner method %q is none of md5, tnc, pt", m)
		}
	}
	if c.IKEProposals == nil {
		c.IKEProposals = []string{"default"}
	}
	if c.ESPProposals == nil {
		c.ESPProposals = []string{"default"}
	}
	if c.Networks == nil {
		c.Networks = []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	}
	if c.Quarantine == nil {
		c.Quarantine = c.Networks
	}
	if !c.Pool.IsValid() {
		c.Pool = netip.MustParsePrefix("10.3.0.0/24")
	}
	if c.MinTLS == 0 {
		c.MinTLS = tls.VersionTLS12
	}
	if c.MaxTLS == 0 {
		c.MaxTLS = tls.VersionTLS13
	}
	if c.FragmentSize == 0 {
		c.FragmentSize = 1280
	}
	if c.Faults.FragmentSize != 0 {
		c.FragmentSize = c.Faults.FragmentSize
	}
	if c.EAPFragmentSize == 0 {
		c.EAPFragmentSize = 8000
	}
	if c.MaxClients == 0 {
		c.MaxClients = 64
	}
	if c.Tries == 0 {
		c.Tries = ownTries
	}
	if c.RekeyRetry == 0 {
		c.RekeyRetry = 10 * time.Second
	}
	if c.Rand == nil {
		c.Rand = rand.Reader
	}
	if c.HalfOpen == 0 {
		c.HalfOpen = 30 * time.Second
	}
	if err := c.Policy.Validate(); err != nil {
		return fmt.Errorf("configure gateway: %w", err)
	}
	return nil
}
