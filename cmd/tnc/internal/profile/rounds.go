package profile

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/netip"

	"github.com/gotnc/gotnc/cmd/tnc/internal/tpmkey"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/trust"
)

// rounds fills in how both ends authenticate. The EAP peers are the caller's to
// close, where there is an error too.
func (b *Builder) rounds(ctx context.Context, cfg *ike.Config, local netip.Addr) (peers []*eap.Peer, err error) {
	if len(b.Connection.Local) == 0 {
		return nil, b.Connection.Pos.Errorf("connection %q has no local section: add one with auth = eap-ttls and id", b.Connection.Name)
	}
	if err := b.remoteRounds(cfg, local); err != nil {
		return nil, err
	}
	for _, l := range b.Connection.Local {
		round := ike.LocalRound{}
		switch l.Auth.Class {
		case "eap":
			peer, err := b.eapPeer(ctx, cfg, l, local)
			if err != nil {
				return peers, err
			}
			peers = append(peers, peer)
			round.EAP = peer
		case "psk":
			round.PSK, err = b.ownPSK(l, local)
		default:
			err = b.signatureRound(ctx, &round, l)
		}
		if err == nil && round.ID.IDType == message.IDAny {
			round.ID, err = b.localIdentity(l, local)
		}
		if err != nil {
			return peers, err
		}
		cfg.LocalRounds = append(cfg.LocalRounds, round)
	}
	switch b.Connection.SendCert {
	case "always":
		cfg.Authentication.SendCert = ike.SendCertAlways
	case "never":
		cfg.Authentication.SendCert = ike.SendCertNever
	}
	return peers, b.ppk(cfg)
}

// ownPSK returns the key that this end proves itself with, before the gateway
// says who it is.
func (b *Builder) ownPSK(l *swanctl.Round, local netip.Addr) ([]byte, error) {
	them := ""
	if len(b.Connection.Remote) > 0 {
		them = b.Connection.Remote[0].ID
	}
	return b.psk(l, b.localName(l, local), them)
}

func (b *Builder) psk(r *swanctl.Round, us, them string) ([]byte, error) {
	s, ok := b.Swanctl.SharedKey(us, them)
	if !ok && us == anyIdentity { // our address is not known before there is a path
		s, ok = b.anyKey()
	}
	if !ok {
		return nil, r.Pos.Errorf("connection %q: %s has no preshared key for '%s' and '%s': %s", b.Connection.Name, b.Swanctl.File, us, them, b.missingSecret("ike", "PSK", them))
	}
	return s.Secret, nil
}

// ownPairs returns the private keys of a round of this end that signs: those of certs
// and pubkeys, else those whose certificates hold its identity.
func (b *Builder) ownPairs(l *swanctl.Round) (own []credential.KeyPair, err error) {
	for _, load := range []struct {
		setting string
		files   []string
		of      func(string) (credential.KeyPair, error)
	}{{"certs", l.Certs, b.store().Of}, {"pubkeys", l.PubKeys, b.store().OfKey}} {
		for _, f := range load.files {
			o, err := load.of(f)
			if err != nil {
				return nil, b.keyError(l, "local."+load.setting+" of connection", err)
			}
			own = append(own, o)
		}
	}
	id, named, err := namedIdentity(l)
	if err != nil {
		return nil, b.badIdentity(l, err)
	}
	if len(own) == 0 {
		for _, o := range b.store().All() {
			if !named || identity.Held(o.Cert, id) > identity.None {
				own = append(own, o)
			}
		}
	}
	if len(own) == 0 {
		return nil, b.keyError(l, "connection", b.store().NoKey(fmt.Sprintf("local.certs names none, and no certificate with a private key of ours holds '%s'", l.ID)))
	}
	return own, nil
}

// signatureRound fills in a round of this end with its private keys.
func (b *Builder) signatureRound(ctx context.Context, round *ike.LocalRound, l *swanctl.Round) error {
	own, err := b.ownPairs(l)
	if err != nil {
		return err
	}
	id, named, err := namedIdentity(l)
	if err != nil {
		return b.badIdentity(l, err)
	}
	if !named {
		id = ike.Identity{} // the first certificate's, or the address
	}
	if cert := own[0].Cert; cert != nil && !named {
		id = subjectOf(cert)
	} else if l.ConfirmID && named {
		id = b.confirmed(id, l, certificatesOf(own))
	}
	round.ID = id
	for _, o := range own {
		cred := ike.Credential{Key: tpmkey.Bind(ctx, o.Key), Schemes: keySchemes(o.Key)}
		if o.Cert != nil {
			cred.Certs = append(cred.Certs, o.Cert.Raw)
			for _, ca := range o.Chain {
				cred.Certs = append(cred.Certs, ca.Raw)
			}
			cred.Authorities = b.authorities(o)
			cred.URLs = b.certURLs(append([]*x509.Certificate{o.Cert}, o.Chain...))
			if b.Connection.OCSP == "reply" || b.Connection.OCSP == "both" {
				var err error
				if cred.OCSP, err = b.ownStatus(o); err != nil {
					return err
				}
			}
		}
		round.Credentials = append(round.Credentials, cred)
	}
	round.Signature.PSS = settings.RSAPSS.In(b.Strongswan)
	if l.Auth.Constraints != "" {
		k, err := signature.ParseConstraints(l.Auth.Constraints)
		if err != nil {
			return l.Pos.Errorf("local.auth of connection %q: %w", b.Connection.Name, err)
		}
		round.Signature.Schemes = k.IKE
	}
	return nil
}

// certURLs returns where each certificate can be fetched, as the cert_uri_base of the CA
// that issued it says; "" = nowhere.
func (b *Builder) certURLs(certs []*x509.Certificate) (urls []string) {
	for _, c := range certs {
		url := ""
		for _, a := range b.Swanctl.Authorities {
			if a.CertURIBase == "" || a.CACert == "" {
				continue
			}
			// A file that cannot be read is an error where trust is built.
			if cas, err := swanctl.LoadCertificates(a.CACert); err == nil && len(cas) > 0 && bytes.Equal(cas[0].RawSubject, c.RawIssuer) {
				hash := sha1.Sum(c.Raw)
				url = a.CertURIBase + hex.EncodeToString(hash[:])
				break
			}
		}
		urls = append(urls, url)
	}
	return urls
}

// authorities returns the CAs above a certificate of this end, as CERTREQ names
// them.
func (b *Builder) authorities(o credential.KeyPair) (keys [][]byte) {
	top := o.Cert
	if n := len(o.Chain); n > 0 {
		top = o.Chain[n-1]
	}
	for _, ca := range append(o.Chain, b.Roots.Certs...) {
		if string(ca.RawSubject) == string(o.Cert.RawIssuer) || string(ca.RawSubject) == string(top.RawIssuer) {
			keys = append(keys, trust.KeyHash(ca))
		}
	}
	return keys
}

// remoteRounds fills in how the gateway authenticates. Without a section any
// certificate will do, or the gateway authenticates as this end does.
func (b *Builder) remoteRounds(cfg *ike.Config, local netip.Addr) error {
	remote := b.Connection.Remote
	if len(remote) == 0 {
		remote = []*swanctl.Round{{Name: "remote", Pos: b.Connection.Pos, Auth: swanctl.Auth{Class: b.Connection.Local[0].Auth.Class}}}
	}
	for _, r := range remote {
		id, loose, err := b.remoteIdentity(r)
		if err != nil {
			return err
		}
		if len(r.Groups) > 0 {
			return r.Pos.Errorf("connection %q: remote.groups cannot be checked of a gateway: take it out", b.Connection.Name)
		}
		round := ike.RemoteRound{ID: id, Loose: loose}
		switch r.Auth.Class {
		case "eap":
			round.Method = ike.RemoteEAP
		case "psk":
			round.Method = ike.RemotePSK
			round.PSK = func(gateway ike.Identity) ([]byte, error) {
				them := r.ID // secrets name it as the connection does
				if identity.IsPattern(id) {
					them = gateway.String()
				}
				return b.psk(r, b.localName(b.Connection.Local[0], local), them)
			}
		default:
			round.Method = ike.RemotePubkey
			if r.Auth.Constraints != "" {
				if round.Constraints, err = signature.ParseConstraints(r.Auth.Constraints); err != nil {
					return r.Pos.Errorf("remote.auth of connection %q: %w", b.Connection.Name, err)
				}
			}
			if round.Verifier, err = b.verifier(r, round); err != nil {
				return err
			}
			cfg.Authentication.SendCertReq = b.Connection.SendCertReq
			if settings.HashAndURL.In(b.Strongswan) {
				cfg.Authentication.FetchCert = b.fetchCert
			}
			cfg.Authentication.RequestOCSP = b.Connection.OCSP == "request" || b.Connection.OCSP == "both"
		}
		cfg.RemoteRounds = append(cfg.RemoteRounds, round)
	}
	if cfg.Authentication.SendCertReq {
		asked := b.Roots.Named
		if len(asked) == 0 {
			asked = b.Roots.Certs
		}
		for _, ca := range asked {
			cfg.Authentication.CertReqKeys = append(cfg.Authentication.CertReqKeys, trust.KeyHash(ca))
		}
	}
	return nil
}

// ppk fills in the post-quantum preshared key.
func (b *Builder) ppk(cfg *ike.Config) error {
	id := b.Connection.PPKID
	if id == "" {
		return nil
	}
	s, ok := b.Swanctl.Secret("ppk", id)
	if !ok {
		if !b.Connection.PPKRequired {
			log.Warnf(b.group(log.CFG), "no PPK for '%s' found, ignored because PPK is not required", id)
			return nil
		}
		return b.Connection.Pos.Errorf("connection %q: %s has no PPK for ppk_id = %s: %s", b.Connection.Name, b.Swanctl.File, id, b.missingSecret("ppk", "PPK", id))
	}
	ident, err := ike.ParseIdentity(id)
	if err != nil {
		return b.Connection.Pos.Errorf("ppk_id of connection %q: %w", b.Connection.Name, err)
	}
	cfg.Authentication.PPK = &ike.PPK{ID: ident.Data, Key: s.Secret, Required: b.Connection.PPKRequired}
	return nil
}

// anyIdentity is how an identity that is not known yet is written.
const anyIdentity = "%any"

// anyKey returns a preshared key that may be the one of this machine's address.
func (b *Builder) anyKey() (*swanctl.SharedSecret, bool) {
	for _, s := range b.Swanctl.Secrets {
		for _, id := range s.IDs {
			if _, err := netip.ParseAddr(id); err == nil && s.Kind == "ike" {
				return s, true
			}
		}
	}
	return nil, false
}
