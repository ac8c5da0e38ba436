package crypto

import (
	"crypto/hmac"
	"crypto/sha1"
	"net/netip"
	"slices"

	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// keyPad is the constant of RFC 7296 section 2.15, without a NUL.
const keyPad = "Key Pad for IKEv2"

// SignedOctets returns what an AUTH payload covers (RFC 7296 section 2.15):
// RealMessage | NonceOfPeer | prf(SK_p, IDx') [| IntAuth] (RFC 9242 section 3.3.2). For the initiator these are its
// IKE_SA_INIT request as last sent (no non-ESP marker), Nr, SK_pi and the body
// of IDi; for the responder its response, Ni, SK_pr and the body of IDr.
// IntAuth is what IntermediateAuth.Octets returned, the same for both sides.
func SignedOctets(prf PRF, skp, realMessage, peerNonce, idBody, intAuth []byte) []byte {
	return slices.Concat(realMessage, peerNonce, prf.Sum(skp, idBody), intAuth)
}

// AuthShared returns the data of an AUTH payload of method AuthSharedKey:
// prf(prf(secret, "Key Pad for IKEv2"), octets). Secret is the PSK, the MSK of
// the EAP method, or SK_pi or SK_pr where that has no MSK (RFC 7296 section 2.16).
func AuthShared(prf PRF, secret, octets []byte) []byte {
	k := prf.Sum(secret, []byte(keyPad))
	defer zero(k)
	return prf.Sum(k, octets)
}

// VerifyShared reports, in constant time, whether auth is AuthShared's result.
func VerifyShared(prf PRF, secret, octets, auth []byte) bool {
	return hmac.Equal(AuthShared(prf, secret, octets), auth)
}

// NATDetection returns the data of a NAT_DETECTION_*_IP notify: SHA1(SPIi |
// SPIr | address | port) (RFC 7296 section 2.23).
func NATDetection(spii, spir message.SPI, a netip.AddrPort) []byte {
	b := wire.AppendU64(wire.AppendU64(nil, uint64(spii)), uint64(spir))
	b = append(b, a.Addr().Unmap().AsSlice()...)
	h := sha1.Sum(wire.AppendU16(b, a.Port()))
	return h[:]
}
