package report

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/tpmkey"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/xfrm"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/internal/base/trust"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
	"github.com/gotnc/gotnc/tpm/advice"
)

// remedies is what a user can do about errors of the libraries: the clause that
// follows the error, for the first line that fits. A line finds an error by
// errors.Is or errors.As, never by its text.
var remedies = []struct {
	fits   func(error) bool
	remedy func(error) string
}{
	{is(tnccs.ErrPeerUnmeasured), say(": let it take part (charon.plugins.tnccs-20.mutual = yes there), or do without (tnc.mutual.required here)")},
	{func(err error) bool { return tpmkey.Remedy(err) != "" }, func(err error) string { return "; " + tpmkey.Remedy(err) }},
	{func(err error) bool { return eapRemedy(err) != "" }, func(err error) string { return "; " + eapRemedy(err) }},
	{func(err error) bool { return advice.ForTPM(err) != "" }, func(err error) string { return "; " + advice.ForTPM(err) }},
	{as[*trust.UnknownCAError](), say(": put that CA's certificate into x509ca")},
	{is(trust.ErrNoCertificate), say(": let the gateway send it (send_cert = always), or set send_certreq")},
	{is(trust.ErrNoSource), say(": name one in authorities, or put the CRL into x509crl")},
	{as[*client.AttemptsError](), attemptsRemedy},
	{as[*client.KeyError](), func(err error) string {
		return ikeRemedy(err) + "; where it is a strongSwan before 5.9.10 that speaks TLS 1.3, set libtls.version_max = 1.2 in strongswan.conf here"
	}},
	{func(err error) bool { return ikeRemedy(err) != "" }, ikeRemedy},
	{as[*client.LookupError](), lookupRemedy},
	{as[*client.RouteError](), say(": check the network of this machine, and the address")},
	{as[*client.FamilyError](), say(": add one, or leave local_addrs out")},
	{is(client.ErrNoTrap), say(": use --dataplane tun or xfrm")},
	{is(dlimc.ErrNotFound), say(": install the library or correct its path")},
	{is(dlimc.ErrUnsafe), say("; give it to root (chown root:root) and to nobody else (chmod go-w), or set charon.plugins.tnc-imc.allow_writable = yes")},
	{is(dlimc.ErrLevel), say(": set tnc.imc.sandbox to strict, readonly or off")},
	{is(dlimc.ErrSandbox), say(": set tnc.imc.sandbox = off in strongswan.conf where the IMC can be trusted")},
	{as[*dlimc.MemoryError](), say(": raise tnc.imc.memory in strongswan.conf, or use another IMC")},
	{as[*client.RunDirError](), say(": run as root, or set " + client.RunDirVariable)},
	{as[*client.UpError](), func(err error) string {
		var up *client.UpError
		errors.As(err, &up)
		return ": see tnc status, end it with tnc down " + up.Connection
	}},
	{as[*client.DeniedError](), say(": run as root")},
	{as[*client.PlaneError](), chosenPlaneRemedy},
	{is(dataplane.ErrUDP), say(": " + planeRemedy(dataplane.ErrUDP))},
	{is(xfrm.ErrNoESP), say(": " + planeRemedy(xfrm.ErrNoESP))},
	{is(dataplane.ErrNoRight), say(": " + planeRemedy(dataplane.ErrNoRight))},
}

func is(target error) func(error) bool {
	return func(err error) bool { return errors.Is(err, target) }
}

func as[T error]() func(error) bool {
	return func(err error) bool {
		var target T
		return errors.As(err, &target)
	}
}

func say(remedy string) func(error) string { return func(error) string { return remedy } }

// Remedy returns what a user can do about err: a clause that follows it, with its
// punctuation. It is empty where nothing is known, or err is a *Sentence, which
// says it.
func Remedy(err error) string {
	if as[*Sentence]()(err) {
		return ""
	}
	for _, r := range remedies {
		if r.fits(err) {
			return r.remedy(err)
		}
	}
	return ""
}

// Sentence is an error with its remedy.
type Sentence struct {
	Err    error
	Remedy string
}

func (s *Sentence) Error() string { return s.Err.Error() + s.Remedy }
func (s *Sentence) Unwrap() error { return s.Err }

// WithRemedy returns err as a *Sentence, where something can be done about it.
func WithRemedy(err error) error {
	if r := Remedy(err); r != "" {
		return &Sentence{err, r}
	}
	return err
}

// Explain makes one sentence of the reason why a connection failed: what
// happened, and what its user can do.
func Explain(r client.Result, err error) error {
	var verify *eap.VerifyError
	var timeout *client.TimeoutError
	var attempts *client.AttemptsError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &timeout):
		return timeout
	case errors.As(err, &attempts):
		return WithRemedy(attempts)
	case errors.Is(err, context.Canceled):
		err = errInterrupted
	case errors.As(err, &verify):
		err = &certificateError{fmt.Errorf("the gateway's certificate was not accepted, and no password was sent: %w", WithRemedy(verify.Err))}
	case errors.Is(err, ike.ErrProposal):
		err = &Sentence{err, fmt.Sprintf(": compare proposals of connection %q with the gateway's", r.Connection)}
	case errors.Is(err, client.ErrChildClosed):
		err = &Sentence{err, ": connect again with tnc up " + r.Connection}
	case errors.Is(err, eap.ErrFailure) && r.Recommendation() == client.Denied:
		err = errDenied
	}
	err = WithRemedy(err)
	// Why attestation ended, where the gateway only said that it failed.
	if cause := r.Outcome.Err; cause != nil && !errors.Is(err, cause) && errors.Is(err, eap.ErrFailure) {
		err = fmt.Errorf("%w (TNC session: %s)", err, text.Printable(cause.Error()))
		if as[*tnccs.BindingError]()(cause) {
			err = &Sentence{err, ": set the same protocol on both (charon.plugins.eap-tnc.protocol)"}
		}
	}
	return withIMCErrors(err, r.Outcome.IMCErrors)
}

// withIMCErrors appends which IMCs were lost.
func withIMCErrors(err error, lost []error) error {
	if len(lost) == 0 {
		return err
	}
	var texts []string
	for _, e := range lost {
		texts = append(texts, WithRemedy(e).Error())
	}
	return fmt.Errorf("%w (%s)", err, strings.Join(texts, "; "))
}
