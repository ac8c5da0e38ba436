package ike

import (
	"bytes"

	"github.com/gotnc/gotnc/ike/message"
)

// maxCertRequests caps the CAs that are remembered of the gateway's CERTREQs.
const maxCertRequests = 1024

// noteCertRequests remembers which CAs the gateway asks certificates of.
func (m *Machine) noteCertRequests(msg *message.Message) {
	for _, r := range message.All[*message.CertRequest](msg.Payloads) {
		if r.Encoding == message.CertOCSP {
			m.ocspAsked = true
		}
		if r.Encoding != message.CertX509Signature {
			continue
		}
		m.certAsked = true
		if hs, err := r.Authorities(); err == nil && len(m.certAuthorities)+len(hs) <= maxCertRequests {
			m.certAuthorities = append(m.certAuthorities, hs...)
		}
	}
}

// credential is the first key with a certificate under a CA that the gateway
// asks for, else the first.
func (m *Machine) credential(all []Credential) *Credential {
	for i := range all {
		for _, have := range all[i].Authorities {
			for _, want := range m.certAuthorities {
				if bytes.Equal(have, want) {
					return &all[i]
				}
			}
		}
	}
	return &all[0]
}

// ownCerts are the CERT payloads of a key, its own certificate first.
func (m *Machine) ownCerts(c *Credential) (ps []message.Payload) {
	if m.cfg.SendCert == SendCertNever || m.cfg.SendCert == SendCertIfAsked && !m.certAsked {
		return nil
	}
	for _, der := range c.Certs {
		ps = append(ps, &message.Cert{Encoding: message.CertX509Signature, Data: der})
	}
	if m.ocspAsked && c.OCSP != nil && len(ps) > 0 {
		for _, der := range c.OCSP() {
			ps = append(ps, &message.Cert{Encoding: message.CertOCSP, Data: der})
		}
	}
	return ps[:min(len(ps), message.MaxCerts)]
}
