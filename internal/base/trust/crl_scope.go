package trust

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
)

// Extensions of CRLs, of their entries, and of certificates (RFC 5280 sections 4.2.1
// and 5).
var (
	oidCRLNumber         = asn1.ObjectIdentifier{2, 5, 29, 20}
	oidReasonCode        = asn1.ObjectIdentifier{2, 5, 29, 21}
	oidInvalidityDate    = asn1.ObjectIdentifier{2, 5, 29, 24}
	oidDeltaCRL          = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidIssuingPoint      = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidCertificateIssuer = asn1.ObjectIdentifier{2, 5, 29, 29}
	oidCRLPoints         = asn1.ObjectIdentifier{2, 5, 29, 31}
	oidAuthorityKey      = asn1.ObjectIdentifier{2, 5, 29, 35}
)

// scope says what a CRL covers.
type scope int

const (
	foreign    scope = iota // not of the issuer, or also of other issuers
	incomplete              // of the issuer, but a certificate that it does not list may be revoked
	complete                // every revoked certificate like the one in question is listed
)

// scopeOf returns what the CRL covers of the certificates of the issuer that are
// like c. own are the names of the distribution points that list c. A CRL with a
// critical extension that is not understood, of its own or of an entry, is not
// complete (RFC 5280 sections 5.2 and 5.3), nor is a delta CRL.
func scopeOf(l *x509.RevocationList, c, issuer *x509.Certificate, own [][]byte) scope {
	if !bytes.Equal(l.RawIssuer, issuer.RawSubject) {
		return foreign
	}
	covers := complete
	for _, e := range l.Extensions {
		switch {
		case e.Id.Equal(oidIssuingPoint):
			covers = min(covers, pointScope(e.Value, own))
		case e.Id.Equal(oidDeltaCRL):
			covers = min(covers, incomplete)
		case e.Critical && !e.Id.Equal(oidCRLNumber) && !e.Id.Equal(oidAuthorityKey):
			covers = min(covers, incomplete)
		}
	}
	for i := range l.RevokedCertificateEntries {
		covers = min(covers, entryScope(l.RevokedCertificateEntries[i].Extensions))
	}
	if covers == foreign || l.CheckSignatureFrom(issuer) != nil {
		return foreign
	}
	return covers
}

// entryScope returns what an entry with the extensions makes of its CRL.
func entryScope(extensions []pkix.Extension) scope {
	covers := complete
	for _, e := range extensions {
		switch {
		case e.Id.Equal(oidCertificateIssuer):
			return foreign // this entry and those that follow are of another issuer
		case e.Critical && !e.Id.Equal(oidReasonCode) && !e.Id.Equal(oidInvalidityDate):
			covers = incomplete
		}
	}
	return covers
}

// pointScope returns what an IssuingDistributionPoint makes of its CRL: it may limit
// the CRL to some certificates or reasons, or make it one of several issuers (RFC
// 5280 section 5.2.5). A CA that splits its list gives each part a name, which the
// certificates of that part contain (RFC 5280 section 6.3.3 (b) (2) (i)).
func pointScope(der []byte, own [][]byte) scope {
	var p struct {
		Point      asn1.RawValue  `asn1:"optional,tag:0"`
		OnlyUser   bool           `asn1:"optional,tag:1"`
		OnlyCA     bool           `asn1:"optional,tag:2"`
		Reasons    asn1.BitString `asn1:"optional,tag:3"`
		Indirect   bool           `asn1:"optional,tag:4"`
		OnlyOfAttr bool           `asn1:"optional,tag:5"`
	}
	rest, err := asn1.Unmarshal(der, &p)
	switch {
	case err != nil || len(rest) > 0 || p.Indirect:
		return foreign
	case p.OnlyUser || p.OnlyCA || p.OnlyOfAttr || p.Reasons.BitLength > 0:
		return incomplete
	case len(p.Point.FullBytes) == 0:
		return complete
	}
	for _, name := range fullName(p.Point.Bytes) {
		if slices.ContainsFunc(own, func(o []byte) bool { return bytes.Equal(o, name) }) {
			return complete
		}
	}
	return incomplete
}

// fullName returns the names of a DistributionPointName, each a GeneralName in DER.
// A name relative to the issuer has none: it matches nothing here.
func fullName(der []byte) (out [][]byte) {
	var names asn1.RawValue
	if rest, err := asn1.UnmarshalWithParams(der, &names, "tag:0"); err != nil || len(rest) > 0 {
		return nil
	}
	for rest := names.Bytes; len(rest) > 0; {
		var name asn1.RawValue
		var err error
		if rest, err = asn1.Unmarshal(rest, &name); err != nil {
			return nil
		}
		out = append(out, name.FullBytes)
	}
	return out
}

// Tags of GeneralName (RFC 5280 section 4.2.1.6).
const (
	tagDirectoryName = 4
	tagURI           = 6
)

// crlNames returns the names of the distribution points whose CRL lists c, each a
// GeneralName in DER: those of its own extension, or without one its issuer (RFC
// 5280 section 6.3.3), and the URIs that the configuration names for the issuer.
func (s *Store) crlNames(c, issuer *x509.Certificate) (out [][]byte) {
	general := func(tag int, compound bool, content []byte) {
		if der, err := asn1.Marshal(asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: tag, IsCompound: compound, Bytes: content}); err == nil {
			out = append(out, der)
		}
	}
	for _, a := range s.cfg.Authorities {
		if a.CA.Equal(issuer) {
			for _, uri := range a.CRLURIs {
				general(tagURI, false, []byte(uri))
			}
		}
	}
	points := false
	for _, e := range c.Extensions {
		if e.Id.Equal(oidCRLPoints) {
			points = true
			out = append(out, pointNames(e.Value)...)
		}
	}
	if !points {
		general(tagDirectoryName, true, c.RawIssuer)
	}
	return out
}

// pointNames returns the names in a CRLDistributionPoints extension. Points that
// cover some reasons only, or another issuer's CRL, are left out.
func pointNames(der []byte) (out [][]byte) {
	var points []struct {
		Point   asn1.RawValue  `asn1:"optional,tag:0"`
		Reasons asn1.BitString `asn1:"optional,tag:1"`
		Issuer  asn1.RawValue  `asn1:"optional,tag:2"`
	}
	if rest, err := asn1.Unmarshal(der, &points); err != nil || len(rest) > 0 {
		return nil
	}
	for _, p := range points {
		if p.Reasons.BitLength == 0 && len(p.Issuer.FullBytes) == 0 {
			out = append(out, fullName(p.Point.Bytes)...)
		}
	}
	return out
}
