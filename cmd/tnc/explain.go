package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/internal/base/text"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/tnccs"
)

// explain makes one sentence of the reason why a connection failed: what
// happened, and what its user can do.
func (c *connection) explain(err error) error {
	var verify *eap.VerifyError
	var imcs []string
	if c.session != nil {
		for _, e := range c.session.Outcome().IMCErrors {
			imcs = append(imcs, e.Error())
		}
	}
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted before the connection stood")
	case errors.As(err, &verify):
		err = fmt.Errorf("the gateway's certificate was not accepted, and no password was sent: %w", verify.Err)
	case errors.Is(err, ike.ErrProposal):
		err = fmt.Errorf("%w: compare proposals of connection %q with the gateway's", err, c.Connection.Name)
	case errors.Is(err, ike.ErrAuthFailed) && c.keyed && c.Charon.TLS.VersionMax != "1.2":
		// EAP succeeded on both sides, so the two disagree about its key.
		err = fmt.Errorf("%w; where it is a strongSwan before 5.9.10 that speaks TLS 1.3, set libtls.version_max = 1.2 in strongswan.conf here", err)
	case errors.Is(err, eap.ErrFailure) && c.out.Recommendation == recDenied:
		err = errors.New("the verifier denied access")
	}
	if s := eapRemedy(err); s != "" {
		err = fmt.Errorf("%w; %s", err, s)
	}
	if c.session != nil && errors.Is(err, eap.ErrEarly) {
		if v := c.session.PeerVerdict(); v != nil {
			err = v // the gateway declared success ahead of its own measurement
		}
	}
	if errors.Is(err, tnccs.ErrPeerUnmeasured) {
		err = fmt.Errorf("%w: let it take part (charon.plugins.tnccs-20.mutual = yes there), or do without (tnc.mutual.required here)", err)
	}
	if c.session != nil {
		// Why attestation ended, where the gateway only said that it failed.
		if cause := c.session.Outcome().Err; cause != nil && !errors.Is(err, cause) && errors.Is(err, eap.ErrFailure) {
			err = fmt.Errorf("%w (TNC session: %s)", err, text.Printable(cause.Error()))
			var binding *tnccs.BindingError
			if errors.As(cause, &binding) {
				err = fmt.Errorf("%w: set the same protocol on both (charon.plugins.eap-tnc.protocol)", err)
			}
		}
	}
	if len(imcs) > 0 {
		err = fmt.Errorf("%w (%s)", err, strings.Join(imcs, "; "))
	}
	return err
}
