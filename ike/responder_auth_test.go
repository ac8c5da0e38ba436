package ike

import (
	"bytes"
	gocrypto "crypto"
	"crypto/rand"
	"encoding/binary"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
)

// gwRound is one authentication of the responder: psk or key.
type gwRound struct {
	id    string // "" = responder.idr
	psk   []byte
	key   gocrypto.Signer
	certs [][]byte
	pss   bool
}

// clientRound is what the responder wants in one round: EAP, psk, or a
// signature by pub.
type clientRound struct {
	psk []byte
	pub gocrypto.PublicKey
}

func (c clientRound) isEAP() bool { return c.psk == nil && c.pub == nil }

// abilities are the notifies of IKE_SA_INIT about authentication.
func (r *responder) abilities(msg *message.Message) (ps []message.Payload) {
	if !r.noHashes {
		hs := r.hashes
		if hs == nil {
			hs = signature.Announced
		}
		ps = append(ps, notify(message.SignatureHashAlgorithms, signature.AppendHashes(nil, hs)))
	}
	if r.multi {
		ps = append(ps, notify(message.MultipleAuthSupported, nil))
	}
	if (r.ppk != nil || r.ppkDeaf) && msg.Notify(message.UsePPK) != nil {
		ps = append(ps, notify(message.UsePPK, nil))
	}
	if r.certReq != nil {
		ps = append(ps, &message.CertRequest{Encoding: message.CertX509Signature, Data: bytes.Join(r.certReq, nil)})
	}
	if r.ocspReq {
		ps = append(ps, &message.CertRequest{Encoding: message.CertOCSP})
	}
	return ps
}

func (r *responder) clientRound() clientRound {
	if r.clientDone < len(r.client) {
		return r.client[r.clientDone]
	}
	return clientRound{}
}

func (r *responder) editedAuth(msg *message.Message) []message.Payload {
	ps := r.auth(msg)
	if r.editAuth != nil {
		ps = r.editAuth(ps)
	}
	return ps
}

func (r *responder) auth(msg *message.Message) (ps []message.Payload) {
	if idi, ok := message.First[*message.IDi](msg.Payloads); ok {
		r.idiBody, r.round = idi.Body(), 0
	}
	if sa, ok := message.First[*message.SA](msg.Payloads); ok {
		r.sa = sa
		r.spiIn = binary.BigEndian.Uint32(r.sa.Proposals[0].SPI)
		tsi, _ := message.First[*message.TSi](msg.Payloads)
		tsr, _ := message.First[*message.TSr](msg.Payloads)
		r.tsi, r.tsr = tsi.Selectors, tsr.Selectors
		r.cp, _ = message.First[*message.CP](msg.Payloads)
		if len(r.own) == 0 {
			ps = append(ps, &message.IDr{Identity: r.idr})
		}
	}
	for _, c := range message.All[*message.Cert](msg.Payloads) {
		if c.Encoding == message.CertOCSP {
			r.clientOCSP = append(r.clientOCSP, c.Data)
			continue
		}
		r.clientCerts = append(r.clientCerts, c.Data)
	}
	auth, proved := message.First[*message.Auth](msg.Payloads)
	if proved {
		if n := msg.Notify(message.PPKIdentity); n != nil && r.ppk != nil {
			require.Equal(r.t, "\x02ppk-id", string(n.Data))
			keys, err := r.keys.PPK(r.prf, r.ppk)
			require.NoError(r.t, err)
			r.keys, r.ppkUsed = keys, true
			ps = append(ps, notify(message.PPKIdentity, nil))
		} else if n := msg.Notify(message.NoPPKAuth); n != nil {
			auth.Data = n.Data
		}
		if r.authOK = r.verifyClient(auth); !r.authOK || r.lastAuthErr != 0 {
			return []message.Payload{notify(message.AuthenticationFailed, nil)}
		}
	}
	if r.ownDone < len(r.own) {
		ps = append(ps, r.proveOwn()...)
	}
	cur := r.clientRound()
	switch {
	case proved && cur.isEAP():
		data := crypto.AuthShared(r.prf, r.eapKey(r.keys.Pr), r.ownOctets())
		if r.badAuth {
			data[0] ^= 1
		}
		ps = append(ps, &message.Auth{Method: message.AuthSharedKey, Data: data})
		r.clientDone++
	case proved:
		r.clientDone++
	case cur.isEAP() && (r.clientDone < len(r.client) || len(r.client) == 0 && r.clientDone == 0):
		return append(ps, r.eap())
	}
	if r.clientDone >= max(1, len(r.client)) && r.ownDone >= len(r.own) {
		ps = append(ps, r.child()...)
	}
	return ps
}

func (r *responder) ownOctets() []byte {
	return crypto.SignedOctets(r.prf, r.keys.Pr, r.initResp, r.ni, r.idr.Body(), r.intOctets())
}

// proveOwn makes IDr, CERT and AUTH of the next round of the responder.
func (r *responder) proveOwn() (ps []message.Payload) {
	g := r.own[r.ownDone]
	r.ownDone++
	if g.id != "" {
		var err error
		r.idr, err = ParseIdentity(g.id)
		require.NoError(r.t, err)
	}
	ps = append(ps, &message.IDr{Identity: r.idr})
	octets := r.ownOctets()
	if r.badSig {
		octets[3] ^= 1
	}
	if g.psk != nil {
		ps = append(ps, &message.Auth{Method: message.AuthSharedKey, Data: crypto.AuthShared(r.prf, g.psk, octets)})
	} else {
		for _, c := range g.certs {
			ps = append(ps, &message.Cert{Encoding: message.CertX509Signature, Data: c})
		}
		ps = append(ps, &message.Cert{Encoding: message.CertCRL, Data: []byte("crl")}, &message.Cert{Encoding: message.CertOCSP, Data: []byte("ocsp")})
		o := signature.Options{PeerHashes: signature.Announced, PSS: g.pss, SHA1: true}
		if r.noHashes {
			o.PeerHashes = nil
		}
		auth, _, err := signature.Sign(rand.Reader, g.key, octets, o)
		require.NoError(r.t, err)
		ps = append(ps, auth)
	}
	if r.ownDone < len(r.own) {
		ps = append(ps, notify(message.AnotherAuthFollows, nil))
	}
	return ps
}

func (r *responder) eapKey(skp []byte) []byte {
	if len(r.msk) == 0 {
		return skp
	}
	return r.msk
}

func (r *responder) verifyClient(auth *message.Auth) bool {
	octets := crypto.SignedOctets(r.prf, r.keys.Pi, r.initReq, r.nr, r.idiBody, r.intOctets())
	c := r.clientRound()
	if c.pub != nil {
		var err error
		r.clientScheme, err = signature.Verify(c.pub, auth, octets)
		return err == nil
	}
	key := c.psk
	if key == nil {
		key = r.eapKey(r.keys.Pi)
	}
	return auth.Method == message.AuthSharedKey && crypto.VerifyShared(r.prf, key, octets, auth.Data)
}
