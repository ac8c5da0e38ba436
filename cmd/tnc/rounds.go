package main

import (
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/trust"
)

// rounds fills in how both ends authenticate. The EAP peers are the caller's to
// close, where there is an error too.
func (c *connection) rounds(cfg *ike.Config) (peers []*eap.Peer, err error) {
	if len(c.conn.Local) == 0 {
		return nil, c.conn.Pos.Errorf("connection %q has no local section: add one with auth = eap-ttls and id", c.conn.Name)
	}
	if err := c.remoteRounds(cfg); err != nil {
		return nil, err
	}
	for _, l := range c.conn.Local {
		round := ike.LocalRound{}
		switch l.Auth.Class {
		case "eap":
			peer, err := c.eapPeer(cfg, l)
			if err != nil {
				return peers, err
			}
			peers = append(peers, peer)
			round.EAP = peer
		case "psk":
			round.PSK, err = c.ownPSK(l)
		default:
			err = c.signs(&round, l)
		}
		if err == nil && round.ID.IDType == message.IDAny {
			round.ID, err = c.localIdentity(l)
		}
		if err != nil {
			return peers, err
		}
		cfg.LocalRounds = append(cfg.LocalRounds, round)
	}
	switch c.conn.SendCert {
	case "always":
		cfg.SendCert = ike.SendCertAlways
	case "never":
		cfg.SendCert = ike.SendCertNever
	}
	return peers, c.ppk(cfg)
}

// localIdentity is local.id; of EAP eap_id where there is none.
func (c *connection) localIdentity(l *swanctl.Round) (ike.Identity, error) {
	name := l.ID
	if name == "" {
		name = l.EAPID
	}
	if name == "" && l.Auth.Class == "psk" && c.sock != nil { // as strongSwan
		name = c.sock.Local().Addr().String()
	}
	if name == "" {
		return ike.Identity{}, l.Pos.Errorf("connection %q: local has no id: set id to the name that the gateway knows this machine by", c.conn.Name)
	}
	id, err := ike.ParseIdentity(name)
	if err != nil {
		return ike.Identity{}, l.Pos.Errorf("local.id of connection %q: %w", c.conn.Name, err)
	}
	return id, nil
}

// ownPSK is the key that we prove ourselves with, before the gateway says who it
// is.
func (c *connection) ownPSK(l *swanctl.Round) ([]byte, error) {
	them := ""
	if len(c.conn.Remote) > 0 {
		them = c.conn.Remote[0].ID
	}
	return c.psk(l, l.ID, them)
}

func (c *connection) psk(r *swanctl.Round, us, them string) ([]byte, error) {
	s, ok := c.swanctl.SharedKey(us, them)
	if !ok {
		return nil, r.Pos.Errorf("connection %q: %s has no preshared key for '%s' and '%s': %s", c.conn.Name, c.swanctl.File, us, them, c.addSecret("ike", "PSK", them))
	}
	return s.Secret, nil
}

// signs makes a round of ours with a private key.
func (c *connection) signs(round *ike.LocalRound, l *swanctl.Round) error {
	var own []credential.Own
	for _, load := range []struct {
		setting string
		files   []string
		of      func(string) (credential.Own, error)
	}{{"certs", l.Certs, c.store().Of}, {"pubkeys", l.PubKeys, c.store().OfKey}} {
		for _, f := range load.files {
			o, err := load.of(f)
			if err != nil {
				return l.Pos.Errorf("local.%s of connection %q: %w", load.setting, c.conn.Name, err)
			}
			own = append(own, o)
		}
	}
	var id ike.Identity
	if l.ID != "" {
		var err error
		if id, err = c.localIdentity(l); err != nil {
			return err
		}
	}
	if len(own) == 0 {
		for _, o := range c.store().All() {
			if l.ID == "" || identity.Held(o.Cert, id) > identity.None {
				own = append(own, o)
			}
		}
	}
	if len(own) == 0 {
		return l.Pos.Errorf("connection %q: %w", c.conn.Name, c.store().NoKey(fmt.Sprintf("local.certs names none, and no certificate with a private key of ours holds '%s'", l.ID)))
	}
	// As strongSwan: an identity that the certificate does not hold would not be
	// believed, its subject is.
	if cert := own[0].Cert; cert != nil && (l.ID == "" || identity.Held(cert, id) == identity.None) {
		id = ike.Identity{IDType: message.IDDERDN, Data: cert.RawSubject}
		if l.ID != "" {
			c.group(log.CFG).Info(fmt.Sprintf("id '%s' not confirmed by certificate, defaulting to '%s'", l.ID, id))
		}
	}
	round.ID = id
	for _, o := range own {
		cred := ike.Credential{Key: o.Key}
		if o.Cert != nil {
			cred.Certs = append(cred.Certs, o.Cert.Raw)
			for _, ca := range o.Chain {
				cred.Certs = append(cred.Certs, ca.Raw)
			}
			cred.Authorities = c.authorities(o)
			if c.conn.OCSP == "reply" || c.conn.OCSP == "both" {
				var err error
				if cred.OCSP, err = c.ownStatus(o); err != nil {
					return err
				}
			}
		}
		round.Credentials = append(round.Credentials, cred)
	}
	round.Signature.PSS = c.strongswan.View("charon").Bool("rsa_pss", false)
	if l.Auth.Constraints != "" {
		k, err := signature.ParseConstraints(l.Auth.Constraints)
		if err != nil {
			return l.Pos.Errorf("local.auth of connection %q: %w", c.conn.Name, err)
		}
		round.Signature.Schemes = k.IKE
	}
	return nil
}

// authorities names the CAs above a certificate of ours as CERTREQ does.
func (c *connection) authorities(o credential.Own) (keys [][]byte) {
	top := o.Cert
	if n := len(o.Chain); n > 0 {
		top = o.Chain[n-1]
	}
	for _, ca := range append(o.Chain, c.roots.Certs...) {
		if string(ca.RawSubject) == string(o.Cert.RawIssuer) || string(ca.RawSubject) == string(top.RawIssuer) {
			keys = append(keys, trust.KeyHash(ca))
		}
	}
	return keys
}

// remoteRounds fills in how the gateway authenticates. Without a section it is
// anybody with a certificate, or who authenticates as we do.
func (c *connection) remoteRounds(cfg *ike.Config) error {
	remote := c.conn.Remote
	if len(remote) == 0 {
		remote = []*swanctl.Round{{Name: "remote", Pos: c.conn.Pos, Auth: swanctl.Auth{Class: c.conn.Local[0].Auth.Class}}}
	}
	for _, r := range remote {
		name, loose := looseID(r.ID)
		id, err := ike.ParseIdentity(name)
		if err != nil {
			return r.Pos.Errorf("remote.id of connection %q: %w", c.conn.Name, err)
		}
		if len(r.Groups) > 0 {
			return r.Pos.Errorf("connection %q: remote.groups cannot be checked of a gateway: take it out", c.conn.Name)
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
				return c.psk(r, c.conn.Local[0].ID, them)
			}
		default:
			round.Method = ike.RemotePubkey
			if r.Auth.Constraints != "" {
				if round.Constraints, err = signature.ParseConstraints(r.Auth.Constraints); err != nil {
					return r.Pos.Errorf("remote.auth of connection %q: %w", c.conn.Name, err)
				}
			}
			if round.Verifier, err = c.verifier(r, round); err != nil {
				return err
			}
			cfg.SendCertReq = c.conn.SendCertReq
			cfg.RequestOCSP = c.conn.OCSP == "request" || c.conn.OCSP == "both"
		}
		cfg.RemoteRounds = append(cfg.RemoteRounds, round)
	}
	if cfg.SendCertReq {
		asked := c.roots.Named
		if len(asked) == 0 {
			asked = c.roots.Certs
		}
		for _, ca := range asked {
			cfg.CertReqKeys = append(cfg.CertReqKeys, trust.KeyHash(ca))
		}
	}
	return nil
}

// looseID takes the "%" off an identity that the certificate has to hold
// whatever the gateway calls itself.
func looseID(id string) (string, bool) {
	if rest, ok := strings.CutPrefix(id, "%"); ok && rest != "any" && rest != "any6" {
		return rest, true
	}
	return id, false
}

// ppk fills in the post-quantum preshared key.
func (c *connection) ppk(cfg *ike.Config) error {
	id := c.conn.PPKID
	if id == "" {
		return nil
	}
	s, ok := c.swanctl.Secret("ppk", id)
	if !ok {
		if !c.conn.PPKRequired {
			c.group(log.CFG).Warn(fmt.Sprintf("no PPK for '%s' found, ignored because PPK is not required", id))
			return nil
		}
		return c.conn.Pos.Errorf("connection %q: %s has no PPK for ppk_id = %s: %s", c.conn.Name, c.swanctl.File, id, c.addSecret("ppk", "PPK", id))
	}
	ident, err := ike.ParseIdentity(id)
	if err != nil {
		return c.conn.Pos.Errorf("ppk_id of connection %q: %w", c.conn.Name, err)
	}
	cfg.PPK = &ike.PPK{ID: ident.Data, Key: s.Secret, Required: c.conn.PPKRequired}
	return nil
}
