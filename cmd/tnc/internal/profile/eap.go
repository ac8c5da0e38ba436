package profile

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/eap/eaptls"
	"github.com/gotnc/gotnc/ike/eap/gtc"
	"github.com/gotnc/gotnc/ike/eap/md5"
	"github.com/gotnc/gotnc/ike/eap/mschapv2"
	"github.com/gotnc/gotnc/ike/eap/peap"
	"github.com/gotnc/gotnc/ike/eap/tnc"
	"github.com/gotnc/gotnc/ike/eap/ttls"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/config/settings"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
)

// eapPeer makes the EAP side of the local section l: the method that its auth
// names, or all where it names none, and inside of EAP-TTLS and PEAP every
// method that there are secrets or a certificate for, and the TNC session.
func (b *Builder) eapPeer(ctx context.Context, cfg *ike.Config, l *swanctl.Round, local netip.Addr) (*eap.Peer, error) {
	m := eapMethods{Builder: b, name: l.EAPIdentity()}
	if m.name == "" { // as strongSwan: the octets of the identity in IKE
		id, err := b.localIdentity(l, local)
		if err != nil {
			return nil, err
		}
		m.name = string(id.Data)
	}
	gw := &gatewayIdentity{shown: cfg.RemoteRounds[0].ID}
	cfg.Authentication.GatewayIdentified = gw.identified(cfg.Authentication.GatewayIdentified)
	var err error
	if gw.hasAAA = l.AAAID != ""; gw.hasAAA {
		if gw.aaa, err = ike.ParseIdentity(l.AAAID); err != nil {
			return nil, l.Pos.Errorf("local.aaa_id of connection %q: %w", b.Connection.Name, err)
		}
	}
	if err := b.refuseOpen(cfg, l, gw, m.name); err != nil {
		return nil, err
	}
	switch l.Auth.Method {
	case "md5", "gtc", "mschapv2": // there is no TLS in them
	default:
		if b.Roots.Missing != nil {
			return nil, b.Roots.Missing
		}
	}
	if m.tls, err = b.tlsPeer(ctx, l, gw); err != nil {
		return nil, err
	}
	offers, err := m.outer(l.Auth.Method, cfg.RemoteRounds[0].Method != ike.RemoteEAP)
	if err != nil {
		return nil, l.Pos.Errorf("connection %q: %w", b.Connection.Name, err)
	}
	return eap.NewPeer(eap.Config{Identity: m.name, Logger: b.logger, Methods: offers}), nil
}

// refuseOpen returns an error where remote.id is open and there is a password for the
// EAP identity: whoever has a certificate of a trusted CA could ask for it.
func (b *Builder) refuseOpen(cfg *ike.Config, l *swanctl.Round, gw *gatewayIdentity, name string) error {
	r := cfg.RemoteRounds[0]
	tunneled := l.Auth.Method == "ttls" || l.Auth.Method == "peap"
	switch {
	case r.ID.IDType != message.IDAny && string(r.ID.Data) != "*", r.Method == ike.RemotePSK, tunneled && gw.hasAAA,
		l.Auth.Method == "tls", r.Method == ike.RemotePubkey && len(b.Connection.Remote) > 0 && len(b.Connection.Remote[0].Certs)+len(b.Connection.Remote[0].PubKeys) > 0,
		settings.AnyGateway.In(b.Strongswan):
		return nil
	}
	if _, ok := b.Swanctl.Secret("eap", name); !ok {
		return nil
	}
	return l.Pos.Errorf("connection %q: remote.id is open, and whoever has a certificate of a trusted CA could ask for the password of %q: set remote.id, or tnc.auth.any_gateway = yes in strongswan.conf", b.Connection.Name, name)
}

// tlsPeer configures TLS inside EAP: who the server has to be, our certificates
// where it asks for one, versions.
func (b *Builder) tlsPeer(ctx context.Context, l *swanctl.Round, gw *gatewayIdentity) (cfg eap.TLSConfig, err error) {
	verify, err := b.tlsVerifier(l, gw)
	if err != nil {
		return cfg, err
	}
	cfg.Verify = func(certs []*x509.Certificate, ocsp []byte) error { return verify(ctx, certs, ocsp) }
	if cfg.MinVersion, cfg.MaxVersion, err = b.TLSVersions(); err != nil {
		return cfg, err
	}
	cfg.Certificates, err = b.tlsCertificates(ctx, l)
	return cfg, err
}

// TLSVersions returns libtls.version_min and version_max as package tls numbers
// them; 0 where they are not set.
func (p *Profile) TLSVersions() (least, most uint16, err error) {
	if least, err = tlsVersion(p.Charon.TLS.VersionMin); err != nil {
		return 0, 0, p.tlsError(settings.TLSVersionMin, "version_min", err)
	}
	if most, err = tlsVersion(p.Charon.TLS.VersionMax); err != nil {
		return 0, 0, p.tlsError(settings.TLSVersionMax, "version_max", err)
	}
	return least, most, nil
}

// tlsError says where a TLS version is set that cannot be.
func (p *Profile) tlsError(s settings.Text, name string, err error) error {
	if v, ok := s.Lookup(p.Strongswan); ok {
		return v.Errorf("%s: %w", name, err)
	}
	return fmt.Errorf("libtls.%s: %w", name, err)
}

func tlsVersion(s string) (uint16, error) {
	switch s {
	case "":
		return 0, nil
	case "1.0", "1.1": // strongSwan knows them; nothing below 1.2 is spoken here
		return tls.VersionTLS12, nil
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("%q is not a TLS version: use 1.2 or 1.3", s)
}

// eapMethods makes the EAP methods of one local section.
type eapMethods struct {
	*Builder
	name string // EAP identity
	tls  eap.TLSConfig
}

var errNotMutual = errors.New("does not prove who the gateway is: set remote.auth = pubkey, so that the gateway signs first")

// outer returns what is offered to the gateway: the method of a name, for ""
// and "dynamic" all of them. Methods that do not authenticate the gateway are
// for gateways that sign (RFC 5998 section 4).
func (m eapMethods) outer(method string, signed bool) ([]eap.Offer, error) {
	if method == "tls" && len(m.tls.Certificates) == 0 {
		return nil, errors.New("auth = eap-tls needs a certificate of ours with its private key: set local.certs")
	}
	mutual := map[string]eap.Offer{"tls": m.eapTLS(false), "ttls": m.ttls(), "peap": m.peap()}
	byPassword := map[string]eap.Offer{"mschapv2": m.mschapv2(), "md5": m.md5(), "gtc": m.gtc()}
	if o, ok := mutual[method]; ok {
		return []eap.Offer{o}, nil
	}
	if o, ok := byPassword[method]; ok {
		if !signed {
			return nil, fmt.Errorf("auth = eap-%s %w", method, errNotMutual)
		}
		return []eap.Offer{o}, nil
	}
	if method != "" && method != "dynamic" {
		return nil, fmt.Errorf("auth = eap-%s is not supported: use eap-ttls, eap-peap, eap-tls, eap-mschapv2, eap-md5, eap-gtc, or eap for what the gateway asks for", method)
	}
	offers := []eap.Offer{m.ttls(), m.peap()}
	if len(m.tls.Certificates) > 0 {
		offers = append(offers, m.eapTLS(false))
	}
	if signed {
		offers = append(offers, m.mschapv2(), m.md5(), m.gtc())
	}
	return offers, nil
}

// inner is the authentication inside a tunnel, whose other end is verified.
func (m eapMethods) inner() eap.Config {
	methods := []eap.Offer{m.md5(), m.mschapv2(), m.gtc()}
	if len(m.tls.Certificates) > 0 {
		methods = append(methods, m.eapTLS(true))
	}
	methods = append(methods, tnc.OfferPT(m.tncMethod()), tnc.OfferTNC(m.tncMethod()))
	return eap.Config{Identity: m.name, Methods: methods, Logger: m.logger}
}

// framing holds the settings of one of charon's plugins for a method on TLS.
type framing struct {
	fragmentSize int  // 0 = the method's default
	maxMessages  int  // 0 = no limit
	length       bool // in packets that are not fragmented
}

func (m eapMethods) framing(size, count settings.Number, length settings.YesNo) framing {
	return framing{size.In(m.Strongswan), count.In(m.Strongswan), length.In(m.Strongswan)}
}

func (m eapMethods) eapTLS(tunneled bool) eap.Offer {
	f := m.framing(settings.TLSFragmentSize, settings.TLSMaxMessages, settings.TLSIncludeLength)
	return eaptls.Offer(eaptls.Config{
		TLS: m.tls, Tunneled: tunneled, Logger: m.logger,
		FragmentSize: f.fragmentSize, MaxMessages: f.maxMessages, OmitLength: !f.length,
	})
}

func (m eapMethods) ttls() eap.Offer {
	f := m.framing(settings.TTLSFragmentSize, settings.TTLSMaxMessages, settings.TTLSIncludeLength)
	return ttls.Offer(ttls.Config{
		TLS: m.tls, Inner: m.inner(), Logger: m.logger,
		FragmentSize: f.fragmentSize, MaxMessages: f.maxMessages, OmitLength: !f.length,
	})
}

func (m eapMethods) peap() eap.Offer {
	f := m.framing(settings.PEAPFragmentSize, settings.PEAPMaxMessages, settings.PEAPIncludeLength)
	return peap.Offer(peap.Config{
		TLS: m.tls, Inner: m.inner(), Logger: m.logger,
		FragmentSize: f.fragmentSize, MaxMessages: f.maxMessages, IncludeLength: f.length,
		RequireBinding: settings.PEAPBinding.In(m.Strongswan),
	})
}

func (m eapMethods) md5() eap.Offer {
	return m.withSecret(eap.TypeMD5, func(s []byte) (eap.Method, error) { return md5.New(s), nil })
}

func (m eapMethods) mschapv2() eap.Offer {
	return m.withSecret(eap.TypeMSCHAPv2, func(s []byte) (eap.Method, error) {
		return mschapv2.New(mschapv2.Config{User: m.name, Password: s})
	})
}

func (m eapMethods) gtc() eap.Offer {
	return m.withSecret(eap.TypeGTC, func(s []byte) (eap.Method, error) { return gtc.New(s), nil })
}

// withSecret offers a method that needs the password of the EAP identity.
func (m eapMethods) withSecret(t eap.Type, method func(secret []byte) (eap.Method, error)) eap.Offer {
	return eap.Offer{Type: t, New: func() (eap.Method, error) {
		secret, ok := m.Swanctl.Secret("eap", m.name)
		if !ok {
			return nil, fmt.Errorf("the gateway asks for a password, but %s has none for %q: %s", m.Swanctl.File, m.name, m.missingSecret("eap", "EAP", m.name))
		}
		return method(secret.Secret)
	}}
}
