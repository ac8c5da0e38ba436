package report

import (
	"context"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"os"
	"syscall"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/ike/signature"
	"github.com/gotnc/gotnc/ike/transport"
	"github.com/gotnc/gotnc/internal/base/credential"
	"github.com/gotnc/gotnc/internal/base/trust"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
	"github.com/gotnc/gotnc/tnccs/pttls"
	"github.com/gotnc/gotnc/tpm/advice"
)

// ErrorCode names a kind of failure for scripts; docs/json.md lists all.
type ErrorCode struct {
	Code string
	What string // the sentence of docs/json.md

	fits func(error) bool
}

// Failures that are this program's own.
var (
	errInterrupted   = errors.New("interrupted before the connection was up")
	errPTInterrupted = errors.New("interrupted before the assessment was over")
	errDenied        = errors.New("the verifier denied access")
)

// certificateError is the sentence of an *eap.VerifyError.
type certificateError struct{ error }

func (e *certificateError) Unwrap() error { return errors.Unwrap(e.error) }

// ConfigurationError is a failure to read what is configured: nothing was sent.
type ConfigurationError struct{ Err error }

func (e *ConfigurationError) Error() string { return e.Err.Error() }
func (e *ConfigurationError) Unwrap() error { return e.Err }

// Configured returns err, where it is one, as a *ConfigurationError.
func Configured(err error) error {
	if err == nil || as[*usage.Error]()(err) {
		return err
	}
	return &ConfigurationError{err}
}

// ErrorCodes are the kinds of failures; the first one that fits counts.
var ErrorCodes = []ErrorCode{
	{"usage", "the command line is wrong", as[*usage.Error]()},
	{"timeout", "no outcome within the time of `--timeout`", as[*client.TimeoutError]()},
	{"interrupted", "a signal ended it before there was an outcome", oneOf(is(errInterrupted), is(errPTInterrupted), is(context.Canceled))},
	{"denied", "the gateway's or the server's verifier denied access", oneOf(is(errDenied), is(eap.ErrPolicy))},
	{"not_up", "the connection is not up", is(client.ErrNotUp)},
	{"already_up", "the connection is up already", as[*client.UpError]()},
	{"no_history", "the connection was not up since the machine was started", as[*client.NoHistoryError]()},
	{"imc", "an IMC cannot be loaded, or was lost", oneOf(as[*dlimc.LoadError](), as[*dlimc.ConfigError](), is(dlimc.ErrCrashed), is(dlimc.ErrHung), is(dlimc.ErrSandbox))},
	{"credentials", "a key or password of this machine is missing or cannot be used", oneOf(is(credential.ErrPassphrase), as[*credential.NoKeyError](), as[*credential.FileError](), is(pttls.ErrNoCredentials), is(signature.ErrNoCommonScheme))},
	{"configuration", "what is configured is wrong, or a file of it cannot be read; nothing was sent", oneOf(as[*ConfigurationError](), as[*ike.ConfigError](), is(client.ErrNoTrap), as[*client.FamilyError]())},
	{"name_not_found", "the name of the gateway or server was not found", oneOf(as[*client.LookupError](), isDNS)},
	{"gateway_certificate", "the certificate of the gateway or server was not accepted", oneOf(as[*eap.VerifyError](), as[*certificateError](), isCertificate)},
	{"gateway_authentication", "the gateway did not prove who it is", oneOf(is(ike.ErrGatewayAuth), as[*ike.IdentityError]())},
	{"authentication", "the gateway or server refused who this machine says it is", oneOf(is(ike.ErrAuthFailed), is(eap.ErrCredentials), is(eap.ErrCertificate), is(eap.ErrIdentityRefused), is(pttls.ErrAuthentication))},
	{"attestation", "the attestation failed, or the gateway was not measured as it has to be", oneOf(is(tnccs.ErrPeerRefused), is(tnccs.ErrPeerUnmeasured), as[*tnccs.BindingError](), is(errNoRecommendation))},
	{"eap", "EAP failed for another reason", oneOf(is(ike.ErrEAP), is(eap.ErrFailure), is(eap.ErrEarly), as[*eap.MessageCountError]())},
	{"proposal", "the gateway takes none of the algorithms that are offered", oneOf(is(ike.ErrProposal), is(crypto.ErrNoProposal))},
	{"child", "the IKE_SA is up, but no tunnel came of it, or the gateway closed it", oneOf(is(ike.ErrChild), as[*ike.ChildError](), is(client.ErrChildClosed), is(ike.ErrNoVirtualIP))},
	{"no_route", "there is no route to the gateway", oneOf(as[*client.RouteError](), isUnreachable)},
	{"no_answer", "the gateway or server does not answer", oneOf(is(ike.ErrNoAnswer), is(ike.ErrTimeout), as[*transport.DialError](), as[*client.FallbackError](), isRefused)},
	{"closed", "the gateway closed the connection", oneOf(is(ike.ErrPeerDeleted), is(ike.ErrExpired))},
	{"port", "the ports of IKE cannot be used", as[*transport.BindError]()},
	{"protocol", "the gateway or server broke the protocol, or refused an exchange", oneOf(is(ike.ErrProtocol), is(ike.ErrRefused), as[*pttls.ProtocolError](), as[*pttls.PeerError](), is(pttls.ErrTLS))},
	{"data_plane", "nothing here can carry the packets", oneOf(as[*client.PlaneError](), as[*dataplane.NoneWorksError](), is(dataplane.ErrUDP), is(dataplane.ErrNoRight))},
	{"tpm", "the TPM cannot be used", func(err error) bool { return advice.ForTPM(err) != "" }},
	{"permission", "the rights of the user do not suffice", oneOf(as[*client.DeniedError](), as[*client.RunDirError](), is(os.ErrPermission))},
	{"not_found", "a file that is named does not exist", is(fs.ErrNotExist)},
	{"failure", "anything else", func(error) bool { return true }},
}

func isDNS(err error) bool { return as[*net.DNSError]()(err) }

func isCertificate(err error) bool {
	return oneOf(as[*trust.UnknownCAError](), as[*trust.RevokedError](), as[*trust.WeakKeyError](), is(trust.ErrNoCertificate), is(trust.ErrNoSource),
		as[x509.UnknownAuthorityError](), as[x509.HostnameError](), as[x509.CertificateInvalidError]())(err)
}

func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

func isUnreachable(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EHOSTUNREACH)
}

// oneOf fits where one of fits does.
func oneOf(fits ...func(error) bool) func(error) bool {
	return func(err error) bool {
		for _, f := range fits {
			if f(err) {
				return true
			}
		}
		return false
	}
}

// CodeOf returns the kind of a failure; "" for nil.
func CodeOf(err error) string {
	if err == nil {
		return ""
	}
	for _, c := range ErrorCodes {
		if c.fits(err) {
			return c.Code
		}
	}
	return ""
}
