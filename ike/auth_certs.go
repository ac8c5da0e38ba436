package ike

import (
	"bytes"
	"fmt"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/internal/base/log"
)

// maxCertRequests caps the CAs that are remembered of the gateway's CERTREQs.
const maxCertRequests = 1024

// readAbilities reads what the IKE_SA_INIT response says about authentication.
func (a *authentication) readAbilities(msg *message.Message) error {
	a.peer.multiAuth = msg.Notify(message.MultipleAuthSupported) != nil
	a.peer.looksUp = msg.Notify(message.HTTPCertLookupSupported) != nil
	if n := msg.Notify(message.SignatureHashAlgorithms); n != nil && !a.cfg.Authentication.ClassicSignatures {
		whole := n.Data[:len(n.Data)&^1]
		if len(whole) < len(n.Data) {
			log.Infof(a.ike, "ignoring the last octet of SIGNATURE_HASH_ALGORITHMS, which has %d", len(n.Data))
		}
		var err error
		if a.peer.hashes, err = signature.ParseHashes(whole); err != nil {
			return fmt.Errorf("%w: %w", ErrProtocol, err)
		}
	}
	a.readCertRequests(msg)
	return a.agreePPK(msg)
}

// readCertRequests remembers which CAs the gateway asks certificates of.
func (a *authentication) readCertRequests(msg *message.Message) {
	for _, r := range message.All[*message.CertRequest](msg.Payloads) {
		if r.Encoding == message.CertOCSP {
			a.peer.ocspAsked = true
		}
		if r.Encoding != message.CertX509Signature {
			continue
		}
		a.peer.certAsked = true
		if hs, err := r.Authorities(); err == nil && len(a.peer.authorities)+len(hs) <= maxCertRequests {
			a.peer.authorities = append(a.peer.authorities, hs...)
		}
	}
}

// credential returns the first key with a certificate under a CA that the
// gateway asks for, else the first.
func (a *authentication) credential(all []Credential) *Credential {
	for i := range all {
		for _, have := range all[i].Authorities {
			for _, want := range a.peer.authorities {
				if bytes.Equal(have, want) {
					return &all[i]
				}
			}
		}
	}
	return &all[0]
}

// sendsCertificates reports whether our certificates are sent.
func (a *authentication) sendsCertificates() bool {
	return a.cfg.Authentication.SendCert == SendCertAlways || a.cfg.Authentication.SendCert == SendCertIfAsked && a.peer.certAsked
}

// wantsStatus reports whether OCSP responses about the certificate are sent.
func (a *authentication) wantsStatus(c *Credential) bool {
	return a.sendsCertificates() && a.peer.ocspAsked && c.OCSP != nil && len(c.Certs) > 0
}

// certificates returns the CERT payloads of a key, its own certificate first.
func (a *authentication) certificates(c *Credential, ocsp [][]byte) (ps []message.Payload) {
	if !a.sendsCertificates() {
		return nil
	}
	for i, der := range c.Certs {
		if a.peer.looksUp && i < len(c.URLs) && c.URLs[i] != "" {
			if p, ok := hashAndURL(der, c.URLs[i]); ok {
				ps = append(ps, p)
				continue
			}
		}
		ps = append(ps, &message.Cert{Encoding: message.CertX509Signature, Data: der})
	}
	for _, der := range ocsp {
		ps = append(ps, &message.Cert{Encoding: message.CertOCSP, Data: der})
	}
	return ps[:min(len(ps), message.MaxCerts)]
}
