// Package ttls is the peer's side of EAP-TTLSv0 (RFC 5281, with TLS 1.3
// RFC 9427): a TLS tunnel in which the client authenticates itself with other
// EAP methods, once it has verified the server.
//
// # Usage
//
// A Method is not called directly: Offer puts it among the methods of an
// eap.Peer. Config.TLS says who the server has to be, Config.Inner what is
// offered inside the tunnel. With a password and a TNC session:
//
//	peer := eap.NewPeer(eap.Config{Identity: "anonymous", Methods: []eap.Offer{ttls.Offer(ttls.Config{
//		TLS: eap.TLSConfig{Roots: roots, ServerName: "moon.strongswan.org"},
//		Inner: eap.Config{Identity: "carol", Methods: []eap.Offer{
//			md5.Offer([]byte(password)),
//			tnc.OfferPT(tnc.Config{Session: session}),
//			tnc.OfferTNC(tnc.Config{Session: session}),
//		}},
//	})}})
//	defer peer.Close()
//
// The lower layer hands each packet of the server to peer.Handle and sends the
// response. After eap.StatusSuccess peer.MSK returns the key of the tunnel.
//
// Nothing of the inner authentication is sent before the server is verified; an
// error about it is an *eap.VerifyError.
package ttls
