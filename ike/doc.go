// Package ike is the initiator's side of IKEv2 (RFC 7296) as a machine:
// IKE_SA_INIT, IKE_AUTH with EAP (RFC 7296 §2.16, RFC 5998), the CHILD_SA that
// comes with it, INFORMATIONAL exchanges, fragmentation (RFC 7383), NAT
// traversal and strongSwan's retransmission. Datagrams, time and randomness
// are handed in; ike/udp drives it on sockets.
package ike
