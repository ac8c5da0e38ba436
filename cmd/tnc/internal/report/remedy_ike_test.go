package report

import (
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/ike/transport"
)

// The sentences of IKE: the library says what happened, the remedy follows.
func TestIKERemedies(t *testing.T) {
	moon, err := ike.ParseIdentity("moon.strongswan.org")
	require.NoError(t, err)
	sun, err := ike.ParseIdentity("sun.strongswan.org")
	require.NoError(t, err)
	gw := netip.MustParseAddrPort("192.0.2.1:500")
	child := func(n message.NotifyType) error {
		return fmt.Errorf("%w: %w", ike.ErrChild, &ike.ChildError{Notify: n, Local: []ike.TrafficSelector{ike.DynamicSelector}, Remote: []ike.TrafficSelector{ike.DynamicSelector}, Proposals: crypto.DefaultESP()[:1]})
	}
	gateway := func(err error) error { return fmt.Errorf("%w: %w", ike.ErrGatewayAuth, err) }
	const refused = "the gateway refused our authentication (AUTHENTICATION_FAILED): check local.id, remote.id, "
	for _, c := range []struct {
		err  error
		says string
	}{
		{&ike.ConfigError{Field: "Remote", Problem: "no gateway address"}, "ike: no gateway address: set remote_addrs"},
		{&ike.ConfigError{Field: "Local", Problem: "no local address"}, "ike: no local address"},
		{&ike.ConfigError{Field: "Retransmission", Problem: "retransmission schedule out of range"}, "ike: retransmission schedule out of range: see charon.retransmit_* in strongswan.conf"},
		{&ike.AuthRefusedError{Method: ike.LocalEAP}, refused + "the EAP identity and secret, and the gateway's log"},
		{&ike.AuthRefusedError{Method: ike.LocalPSK}, refused + "the preshared key, and the gateway's log"},
		{&ike.AuthRefusedError{}, refused + "our certificate and key, and the gateway's log"},
		{&client.KeyError{Err: &ike.AuthRefusedError{Method: ike.LocalEAP}}, refused + "the EAP identity and secret, and the gateway's log; where it is a strongSwan before 5.9.10 that speaks TLS 1.3, set libtls.version_max = 1.2 in strongswan.conf here"},
		{&ike.NoAnswerError{Gateway: gw, Exchange: message.IKESAInit, Retransmissions: 5}, "no answer from the gateway 192.0.2.1[500] after 5 retransmissions; check the address, and that UDP port 500 is open on the way"},
		{&ike.NoAnswerError{Gateway: gw, Exchange: message.IKEAuth, Retransmissions: 1}, "no answer from the gateway 192.0.2.1[500] after 1 retransmission; IKE_SA_INIT was answered, IKE_AUTH was not: check that UDP port 500 and large packets pass"},
		{&ike.NoAnswerError{Gateway: gw, Exchange: message.IKEAuth, Retransmissions: 2, Dropped: "bad"}, "no answer from the gateway 192.0.2.1[500] after 2 retransmissions; its last packet was not usable: bad"},
		{child(message.TSUnacceptable), "no CHILD_SA: the gateway refused the traffic selectors dynamic === dynamic (TS_UNACCEPTABLE): compare local_ts and remote_ts with its configuration"},
		{child(message.NoProposalChosen), "no CHILD_SA: the gateway accepts none of " + crypto.ProposalString(crypto.DefaultESP()[:1]...) + " (NO_PROPOSAL_CHOSEN): compare esp_proposals with its configuration"},
		{child(message.InternalAddressFailure), "no CHILD_SA: the gateway has no virtual IP for us (INTERNAL_ADDRESS_FAILURE): check its address pool"},
		{child(message.FailedCPRequired), "no CHILD_SA: the gateway requires a virtual IP (FAILED_CP_REQUIRED): set vips = 0.0.0.0"},
		{&ike.IdentityError{Shown: sun, Want: moon}, "the gateway could not be authenticated: it says it is 'sun.strongswan.org', expected 'moon.strongswan.org': compare remote.id"},
		{&ike.RoundsError{Done: 1, Want: 2}, "the gateway could not be authenticated: it authenticated in 1 of 2 rounds: compare the remote sections with its local ones"},
		{gateway(ike.ErrNoSignature), "the gateway could not be authenticated: it sent no signature: set remote.auth = eap-ttls if it authenticates by EAP only"},
		{fmt.Errorf("%w: %w", ike.ErrRefused, ike.ErrNoEAPRequest), "the gateway refused the exchange: it asks for no EAP authentication: check that the gateway's connection uses EAP for us"},
		{gateway(ike.ErrUnproved), "the gateway could not be authenticated: it has not proved who it is: let it authenticate with a certificate (remote.auth = pubkey), or use eap-ttls"},
		{gateway(ike.ErrPPK), "the gateway could not be authenticated: it does not use the PPK, which is required: see ppk_required"},
		{crypto.ErrTooLarge, crypto.ErrTooLarge.Error() + ": raise charon.max_packet"},
		{signature.ErrNoCommonScheme, "sign AUTH: no common signature scheme: compare auth of both ends"},
		{&transport.BindError{Local: gw, Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}, "bind IKE socket: port 500 is in use, perhaps by another IKE daemon; stop it or set charon.port and charon.port_nat_t to 0"},
		{&transport.BindError{Local: gw, Err: syscall.EACCES}, "bind IKE socket: permission denied; port 500 needs root; or set charon.port and charon.port_nat_t to 0"},
	} {
		require.EqualError(t, fmt.Errorf("%w%s", c.err, Remedy(c.err)), c.says)
	}
}
