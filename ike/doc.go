// Package ike is the initiator's side of IKEv2 (RFC 7296) as a machine:
// IKE_SA_INIT and IKE_INTERMEDIATE, IKE_AUTH with EAP (RFC 5998), signatures,
// preshared keys and several rounds of them (RFC 4739), CHILD_SAs and their
// rekeying, fragmentation (RFC 7383), NAT traversal, MOBIKE (RFC 4555), redirects
// (RFC 5685) and strongSwan's retransmission. Datagrams, time and randomness
// are handed in; ike/transport drives it on sockets.
//
// # Usage
//
// A Config says where the gateway is, how both ends authenticate and what the
// tunnel is for. With ike/transport the rest is one call, which lasts as long as the
// connection:
//
//	gateway := transport.Config{Remote: netip.MustParseAddrPort("192.0.2.1:500")}
//	return transport.Connect(ctx, gateway, ike.Config{
//		LocalRounds:  []ike.LocalRound{{ID: ike.MustParseIdentity("carol@example.org"), EAP: peer}},
//		RemoteRounds: []ike.RemoteRound{{ID: ike.MustParseIdentity("gw.example.org")}},
//	}, func(sock *transport.Conn, e ike.Event) {
//		switch e := e.(type) {
//		case ike.Established:
//			log.Print("connected to ", e.RemoteID)
//		case ike.ChildEstablished:
//			install(e.Child, sock) // keys and selectors, for ike/esp or the kernel
//		}
//	})
//
// The peer is an eap.Peer of ike/eap. A gateway that signs has
// RemoteRound.Method RemotePubkey and a Verifier.
//
// Who has sockets of his own drives a Machine. Each call returns Outputs:
// Packets to send, Events to act on and Work to do. What a call returns is
// carried out in this order: ChildRekeyed events, packets, the other events;
// the Result of a Work, which may take time and may be done in a goroutine, goes
// to Resume. Tick is called at NextDeadline:
//
//	var carry func(ike.Outputs)
//	carry = func(out ike.Outputs) {
//		for _, p := range out.Packets {
//			send(p)
//		}
//		for _, e := range out.Events {
//			handle(e)
//		}
//		for _, w := range out.Work {
//			carry(m.Resume(time.Now(), w.Do(ctx)))
//		}
//	}
//	carry(m.Start(time.Now()))
//	for !m.Done() {
//		if d, ok := receive(m.NextDeadline()); ok {
//			carry(m.Handle(time.Now(), d))
//		} else {
//			carry(m.Tick(time.Now()))
//		}
//	}
//
// A Machine is not safe for concurrent use: one goroutine makes all calls.
//
// # Parts
//
// The Machine dispatches to types that own their state: initExchange
// (IKE_SA_INIT, IKE_INTERMEDIATE), authentication (IKE_AUTH), saSet and its ikeSAs
// (keys, message IDs, the request that is out, rekeying), childSet (CHILD_SAs),
// followUps (additional key exchanges), lifetimes, mobility and redirection.
//
// # Errors
//
// Failed.Err wraps one of the reasons in this package (ErrNoAnswer,
// ErrGatewayAuth, …), often with a type that has the facts: *NoAnswerError,
// *AuthRefusedError, *IdentityError, *ChildError, *RedirectError. New returns a
// *ConfigError with the field that does not fit.
package ike
