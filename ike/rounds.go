package ike

import (
	"context"
	gocrypto "crypto"
	"fmt"
	"time"

	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
)

// LocalRound is one of our authentications: exactly one of EAP, PSK and
// Credentials. Several follow each other (RFC 4739), where the gateway knows
// that.
type LocalRound struct {
	// ID is our identity (IDi). Required.
	ID Identity
	// EAP authenticates us.
	EAP EAP
	// PSK is the preshared key, which the caller keeps until the Machine is
	// finished.
	PSK []byte
	// Credentials are keys with their certificates: the first one is used that
	// fits a CA that the gateway asks for, else the first.
	Credentials []Credential
	// Signature chooses among the schemes; PeerHashes, Able and SHA1
	// are filled in.
	Signature signature.Options
}

// Credential is a private key with its certificates.
type Credential struct {
	// Key signs, and may block: it is used by who carries out a SignRequest. Its Public
	// is called by the Machine and may not.
	Key gocrypto.Signer
	// Schemes, where not empty, are the only ones that Key makes.
	Schemes []signature.Scheme
	// Certs are sent where SendCert says so: our certificate, then those of
	// intermediate CAs, DER. Empty: the gateway knows the public key.
	Certs [][]byte
	// URLs are where the certificates of the same index can be fetched in DER: a gateway
	// that announces N(HTTP_CERT_LOOKUP_SUPPORTED) gets hash and URL instead (RFC 7296
	// section 3.6). "" or none: the certificate itself is sent.
	URLs []string
	// Authorities name the CAs above the certificate as CERTREQ does, 20 octets
	// each.
	Authorities [][]byte
	// OCSP, where set, returns OCSP responses about Certs, DER, for a gateway that
	// asks for them (RFC 4806). It is called by who carries out a StatusRequest,
	// and may block until ctx ends.
	OCSP func(ctx context.Context) [][]byte
}

// RemoteMethod is how the gateway has to prove who it is.
type RemoteMethod int

// Ways of gateway authentication.
const (
	// RemoteEAP: the gateway proves itself by the EAP method alone (RFC 5998):
	// the method has to be mutual and to yield a key. N(EAP_ONLY_AUTHENTICATION)
	// is announced always; whether a gateway may do without the notify
	// (charon.force_eap_only_authentication) is its own setting, not a client's.
	RemoteEAP RemoteMethod = iota
	// RemotePubkey: the gateway signs, before EAP starts; Verifier finds the key.
	RemotePubkey
	// RemotePSK: the gateway knows the preshared key, before EAP starts.
	RemotePSK
)

// RemoteRound is one authentication that the gateway has to show; it has to
// show all of them.
type RemoteRound struct {
	// ID is the identity that the gateway has to show (IDr). That of the first
	// round is sent as the wanted one where it is no pattern. Zero = any (%any).
	ID Identity
	// Loose: the gateway may show any identity, and none is asked for; that its
	// certificate holds ID too is then the Verifier's concern (remote.id = %name).
	Loose  bool
	Method RemoteMethod
	// PSK returns the key that is shared with the gateway of that identity
	// (RemotePSK).
	PSK func(gateway Identity) ([]byte, error)
	// Verifier finds the gateway's public key (RemotePubkey).
	Verifier Verifier
	// Constraints on the signature (RemotePubkey).
	Constraints signature.Constraints
}

// PeerCertificates is what the gateway's CERT payloads hold, unverified.
type PeerCertificates struct {
	ID    Identity // that it showed
	Certs [][]byte // DER, the end entity's first; empty = it sent none
	CRLs  [][]byte // DER
	OCSP  [][]byte // responses, DER (RFC 4806)
	Now   time.Time
}

// Verifier decides on certificates.
type Verifier interface {
	// Verify returns the public keys that the identity may sign with, at least
	// one. Its error is a clause about the gateway ("its certificate …").
	// It is called by who carries out a VerifyRequest, and may block. The octets
	// do not change.
	Verify(ctx context.Context, p PeerCertificates) ([]gocrypto.PublicKey, error)
}

// SendCert is when our certificate is sent.
type SendCert int

// Policies of send_cert.
const (
	SendCertIfAsked SendCert = iota // the gateway sent CERTREQ
	SendCertAlways
	SendCertNever
)

func (c *Config) validateRounds() error {
	if len(c.LocalRounds) == 0 {
		return &ConfigError{"LocalRounds", "no authentication of our own"}
	}
	eap := false
	for i, l := range c.LocalRounds {
		if identity.IsPattern(l.ID) {
			return &ConfigError{"LocalRounds.ID", "no local identity"}
		}
		n := 0
		for _, has := range []bool{l.EAP != nil, len(l.PSK) > 0, len(l.Credentials) > 0} {
			if has {
				n++
			}
		}
		if n != 1 {
			return &ConfigError{"LocalRounds", fmt.Sprintf("our round %d needs one of an EAP method, a preshared key and a private key", i+1)}
		}
		eap = eap || l.EAP != nil
	}
	if len(c.RemoteRounds) == 0 {
		return &ConfigError{"RemoteRounds", "no authentication of the gateway"}
	}
	for _, r := range c.RemoteRounds {
		switch {
		case r.Loose && r.Method != RemotePubkey:
			return &ConfigError{"RemoteRounds.Loose", "only a gateway with a certificate may show another identity than the configured one"}
		case r.Method == RemoteEAP && !eap:
			return &ConfigError{"RemoteRounds.Method", "the gateway has to authenticate with EAP, which we do not use"}
		case r.Method == RemotePubkey && r.Verifier == nil:
			return &ConfigError{"RemoteRounds.Verifier", "the gateway has to authenticate with a certificate, but no CA certificate is loaded"}
		case r.Method == RemotePSK && r.PSK == nil:
			return &ConfigError{"RemoteRounds.PSK", "the gateway has to authenticate with a preshared key, but there is none"}
		}
	}
	if p := c.Authentication.PPK; p != nil && (len(p.ID) == 0 || len(p.Key) == 0) {
		return &ConfigError{"Authentication.PPK", "a PPK needs an ID and a key"}
	}
	return nil
}

// certPayloads splits CERT payloads by their encoding.
func certPayloads(msg *message.Message) (p PeerCertificates) {
	for _, c := range message.All[*message.Cert](msg.Payloads) {
		switch c.Encoding {
		case message.CertX509Signature:
			p.Certs = append(p.Certs, c.Data)
		case message.CertCRL:
			p.CRLs = append(p.CRLs, c.Data)
		case message.CertOCSP:
			p.OCSP = append(p.OCSP, c.Data)
		}
	}
	return p
}
