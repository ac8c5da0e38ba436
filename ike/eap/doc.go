// Package eap holds EAP packets (RFC 3748), the interface of the peer's methods,
// and Peer, the client's state machine. The methods are in the folders below:
// eaptls, ttls and peap on TLS; md5, gtc and mschapv2 with a password; tnc for
// a TNC session. Their server's halves are in the folder server.
//
// # Usage
//
// A Peer gets the identity and the methods that it accepts, the preferred one
// first; each folder has an Offer function that makes an Offer of its
// configuration:
//
//	peer := eap.NewPeer(eap.Config{
//		Identity: "carol",
//		Methods:  []eap.Offer{md5.Offer([]byte(password))},
//	})
//	defer peer.Close()
//
// The lower layer carries the packets and repeats lost ones: IKEv2 (an
// ike.LocalRound takes a Peer), or the TLS tunnel of EAP-TTLS and PEAP. Who
// writes one calls Handle for each packet of the server:
//
//	for {
//		response, status, err := peer.Handle(receive())
//		if status != eap.StatusContinue {
//			return err // nil with StatusSuccess; peer.MSK is the key
//		}
//		send(response)
//	}
//
// MD5, GTC and MSCHAPv2 do not belong outside of a tunnel, unless the server
// has proven otherwise who it is: Type.Mutual draws the line.
//
// Package and methods have no socket, clock or goroutine, but for TLS: crypto/tls
// blocks and runs in a goroutine of its own, which Close ends.
//
// # Errors
//
// An error about the server's EAP-Failure wraps ErrFailure and, where the peer
// can tell, its cause: ErrCredentials, ErrPolicy and the others beside them. A
// server that was not accepted is a *VerifyError.
package eap
