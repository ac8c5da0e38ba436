package report

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/ike/transport"
)

// configRemedies are the settings that fill a field of ike.Config in.
var configRemedies = map[string]string{
	"Remote":                ": set remote_addrs",
	"LocalRounds":           ": add a section local",
	"LocalRounds.ID":        ": set local.id",
	"RemoteRounds":          ": add a section remote",
	"RemoteRounds.Loose":    ": take the % of remote.id away",
	"RemoteRounds.Method":   ": set remote.auth",
	"RemoteRounds.Verifier": ": set remote.cacerts",
	"RemoteRounds.PSK":      ": add a section ike to secrets",
	"Authentication.PPK":    ": set ppk_id and add a section ppk to secrets",
	"Retransmission":        ": see charon.retransmit_* in strongswan.conf",
}

// ikeRemedy returns what the user can do about an error of ike and ike/transport, ""
// where there is nothing to say.
func ikeRemedy(err error) string {
	var (
		bad     *ike.ConfigError
		refused *ike.AuthRefusedError
		silent  *ike.NoAnswerError
		child   *ike.ChildError
		other   *ike.IdentityError
		rounds  *ike.RoundsError
		bind    *transport.BindError
		both    *client.FallbackError
		dial    *transport.DialError
	)
	switch {
	case errors.As(err, &both):
		return ikeRemedy(both.Err) + tcpRemedy(both.TCP)
	case errors.As(err, &dial):
		return ": tnc.encap_tcp = yes uses TCP alone; check that the gateway listens there (libreswan: listen-tcp=yes) and tnc.tcp_port"
	case errors.As(err, &bad):
		return configRemedies[bad.Field]
	case errors.As(err, &refused):
		return fmt.Sprintf(": check local.id, remote.id, %s, and the gateway's log", secretOf(refused.Method))
	case errors.As(err, &silent):
		return silenceRemedy(silent)
	case errors.As(err, &child):
		return childRemedies[child.Notify]
	case errors.As(err, &other):
		return ": compare remote.id"
	case errors.As(err, &rounds):
		return ": compare the remote sections with its local ones"
	case errors.As(err, &bind):
		return bindRemedy(bind)
	}
	for _, r := range ikeRemedies {
		if errors.Is(err, r.cause) {
			return r.remedy
		}
	}
	return ""
}

// ikeRemedies are remedies of errors without further facts.
var ikeRemedies = []struct {
	cause  error
	remedy string
}{
	{ike.ErrNoSignature, ": set remote.auth = eap-ttls if it authenticates by EAP only"},
	{ike.ErrNoEAPRequest, ": check that the gateway's connection uses EAP for us"},
	{ike.ErrUnproved, ": let it authenticate with a certificate (remote.auth = pubkey), or use eap-ttls"},
	{ike.ErrPPK, ": see ppk_required"},
	{ike.ErrNoVirtualIP, ": check its address pool"},
	{crypto.ErrTooLarge, ": raise charon.max_packet"},
	{signature.ErrSHA1, ": let the gateway announce hash algorithms (RFC 7427; signature_authentication = yes in a charon), give it a key that is not RSA, or set tnc.auth.sha1_signatures = yes in strongswan.conf"},
	{signature.ErrNoCommonScheme, ": compare auth of both ends"},
}

// childRemedies are remedies of CHILD_SAs that the gateway refuses.
var childRemedies = map[message.NotifyType]string{
	message.TSUnacceptable:         ": compare local_ts and remote_ts with its configuration",
	message.NoProposalChosen:       ": compare esp_proposals with its configuration",
	message.InternalAddressFailure: ": check its address pool",
	message.FailedCPRequired:       ": set vips = 0.0.0.0",
}

func secretOf(m ike.LocalMethod) string {
	switch m {
	case ike.LocalEAP:
		return "the EAP identity and secret"
	case ike.LocalPSK:
		return "the preshared key"
	}
	return "our certificate and key"
}

func silenceRemedy(e *ike.NoAnswerError) string {
	port := e.Gateway.Port()
	switch {
	case e.Dropped != "":
		return ""
	case e.Exchange == message.IKESAInit:
		return fmt.Sprintf("; check the address, and that UDP port %d is open on the way", port)
	case e.Exchange == message.IKEAuth:
		return fmt.Sprintf("; IKE_SA_INIT was answered, IKE_AUTH was not: check that UDP port %d and large packets pass", port)
	}
	return ""
}

// tcpRemedy says what came of TCP where UDP got no answer.
func tcpRemedy(err error) string {
	var silent *ike.NoAnswerError
	if errors.As(err, &silent) {
		return fmt.Sprintf("; TCP port %d takes connections, but no IKE (tnc.encap_tcp)", silent.Gateway.Port())
	}
	return fmt.Sprintf("; nor does it work over TCP (tnc.encap_tcp, tnc.tcp_port): %v", err)
}

func bindRemedy(e *transport.BindError) string {
	switch {
	case errors.Is(e, syscall.EADDRINUSE):
		return ", perhaps by another IKE daemon; stop it or set charon.port and charon.port_nat_t to 0"
	case errors.Is(e, syscall.EACCES):
		return fmt.Sprintf("; port %d needs root; or set charon.port and charon.port_nat_t to 0", e.Local.Port())
	}
	return ""
}
