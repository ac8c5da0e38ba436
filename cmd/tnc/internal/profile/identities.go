package profile

import (
	"crypto/sha1"
	"crypto/x509"
	"net/netip"
	"strings"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/identity"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/config"
	"github.com/gotnc/gotnc/internal/base/config/swanctl"
	"github.com/gotnc/gotnc/internal/base/credential"
	"github.com/gotnc/gotnc/internal/base/log"
)

// namedIdentity returns the id of a section; named is false where it says
// nothing, or any.
func namedIdentity(r *swanctl.Round) (id ike.Identity, named bool, err error) {
	if r.ID == "" {
		return id, false, nil
	}
	id, err = ike.ParseIdentity(r.ID)
	return id, err == nil && id.IDType != message.IDAny, err
}

func (b *Builder) badIdentity(r *swanctl.Round, err error) error {
	end := "local"
	if strings.HasPrefix(strings.ToLower(r.Name), "remote") {
		end = "remote"
	}
	return r.Pos.Errorf("%s.id of connection %q: %w", end, b.Connection.Name, err)
}

// localIdentity returns who this end is in a round, as strongSwan says it: id,
// else the subject of the first certificate that the section names, else the
// address of this end. local may be invalid before there is a path.
func (b *Builder) localIdentity(l *swanctl.Round, local netip.Addr) (ike.Identity, error) {
	id, named, err := namedIdentity(l)
	if err != nil {
		return ike.Identity{}, b.badIdentity(l, err)
	}
	certs, err := b.namedCertificates("local", l)
	if err != nil {
		return ike.Identity{}, err
	}
	switch {
	case named && l.ConfirmID:
		return b.confirmed(id, l, certs), nil
	case named:
		return id, nil
	case len(certs) > 0:
		return subjectOf(certs[0]), nil
	case len(l.PubKeys) > 0:
		return b.keyIdentity("local", l)
	}
	if host, ok := b.Connection.LocalHost(); ok && !local.IsValid() {
		local, _ = netip.ParseAddr(host)
	}
	if !local.IsValid() {
		local = netip.IPv4Unspecified()
	}
	return ike.ParseIdentity(local.String())
}

// localName returns localIdentity as secrets name it; "" where it cannot be told.
func (b *Builder) localName(l *swanctl.Round, local netip.Addr) string {
	if l.ID != "" && !l.ConfirmID {
		return l.ID
	}
	id, err := b.localIdentity(l, local)
	if err != nil {
		return ""
	}
	return id.String()
}

// namedCertificates loads the first certificate of each file that certs of a
// section names; end is "local" or "remote", for the error.
func (b *Builder) namedCertificates(end string, r *swanctl.Round) (certs []*x509.Certificate, err error) {
	for _, f := range r.Certs {
		cs, err := b.store().LoadCertificates(f)
		if err != nil {
			return nil, r.CertsPos.Errorf("%s.certs of connection %q: %w", end, b.Connection.Name, err)
		}
		certs = append(certs, cs[0])
	}
	return certs, nil
}

func subjectOf(c *x509.Certificate) ike.Identity {
	return ike.Identity{IDType: message.IDDERDN, Data: c.RawSubject}
}

// keyIdentity returns who holds the first raw key of a section that names nobody:
// the SHA-1 hash of its SubjectPublicKeyInfo, as strongSwan says it.
func (b *Builder) keyIdentity(end string, r *swanctl.Round) (ike.Identity, error) {
	key, err := credential.LoadPublicKey(r.PubKeys[0])
	if err != nil {
		return ike.Identity{}, r.Pos.Errorf("%s.pubkeys of connection %q: %w", end, b.Connection.Name, err)
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return ike.Identity{}, r.Pos.Errorf("%s.pubkeys of connection %q: %w", end, b.Connection.Name, err)
	}
	sum := sha1.Sum(der)
	return ike.Identity{IDType: message.IDKeyID, Data: sum[:]}, nil
}

func certificatesOf(own []credential.KeyPair) (certs []*x509.Certificate) {
	for _, o := range own {
		if o.Cert != nil {
			certs = append(certs, o.Cert)
		}
	}
	return certs
}

// confirmed returns id where one of the certificates holds it, else the subject
// of the first one: an identity that no certificate holds would not be believed.
func (b *Builder) confirmed(id ike.Identity, r *swanctl.Round, certs []*x509.Certificate) ike.Identity {
	for _, c := range certs {
		if identity.Held(c, id) > identity.None {
			return id
		}
	}
	if len(certs) == 0 {
		return id
	}
	subject := subjectOf(certs[0])
	log.Infof(b.group(log.CFG), "id '%s' not confirmed by certificate, defaulting to '%s'", r.ID, subject)
	return subject
}

// remoteIdentity returns who the gateway has to be. loose: its certificate has to
// hold the identity whatever the gateway calls itself ("%name").
func (b *Builder) remoteIdentity(r *swanctl.Round) (id ike.Identity, loose bool, err error) {
	name := r.ID
	if rest, ok := strings.CutPrefix(name, "%"); ok && rest != "any" && rest != "any6" {
		name, loose = rest, true
	}
	if id, err = ike.ParseIdentity(name); err != nil {
		return id, false, b.badIdentity(r, err)
	}
	if r.ID == "" && len(r.Certs) == 0 && len(r.PubKeys) > 0 {
		id, err = b.keyIdentity("remote", r)
		return id, false, err
	}
	if len(r.Certs) == 0 {
		return id, loose, nil
	}
	certs, err := b.namedCertificates("remote", r)
	if err != nil {
		return id, false, err
	}
	switch {
	case r.ID == "":
		return subjectOf(certs[0]), false, nil
	case r.ConfirmID && id.IDType != message.IDAny:
		return b.confirmed(id, r, certs), loose, nil
	}
	return id, loose, nil
}

// knownCA reports whether a CA constraint counts: of ipsec.conf only where such a
// CA certificate is there.
func (b *Builder) knownCA(r *swanctl.Round, ca ike.Identity) bool {
	if !r.OptionalCA {
		return true
	}
	for _, c := range append(append([]*x509.Certificate(nil), b.Roots.Certs...), b.store().CAs()...) {
		if identity.Held(c, ca) > identity.None {
			return true
		}
	}
	return false
}

// matchOwner reports how well an owner of a secret fits an identity: both are
// compared as what they are, not as text ("dns:gw" is "gw").
func matchOwner(owner, id string) swanctl.OwnerMatch {
	o, err1 := ike.ParseIdentity(owner)
	i, err2 := ike.ParseIdentity(id)
	if err1 != nil || err2 != nil {
		if owner == id {
			return swanctl.OwnerIs
		}
		return swanctl.OwnerOther
	}
	switch m := identity.Matches(o, i); {
	case m == identity.Perfect:
		return swanctl.OwnerIs
	case m == identity.Any:
		return swanctl.OwnerAny
	case m > identity.None:
		return swanctl.OwnerWild
	}
	return swanctl.OwnerOther
}

// noCA describes a CA constraint that is dropped.
func noCA(r *swanctl.Round) *config.Error {
	return r.CAPos.Errorf("CA certificate %q not found, discarding CA constraint: put it into ipsec.d/cacerts, or correct its name", r.CAID)
}
