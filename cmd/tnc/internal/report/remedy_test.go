package report

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/pttls"
	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/dataplane"
	"github.com/gotnc/gotnc/ike/dataplane/tun"
	"github.com/gotnc/gotnc/ike/dataplane/xfrm"
	"github.com/gotnc/gotnc/ike/eap"
	"github.com/gotnc/gotnc/internal/base/trust"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/advice"
)

// The sentence of a failure: what happened, what to do, once.
func TestExplain(t *testing.T) {
	denied := client.Result{Connection: "home", Outcome: tnccs.Outcome{Recommendation: tnccs.RecommendDeny}}
	lost := client.Result{Connection: "home", Outcome: tnccs.Outcome{Err: errors.New("bad\x1b batch"), IMCErrors: []error{errors.New("IMC lost")}}}
	for _, c := range []struct {
		result client.Result
		err    error
		says   string
	}{
		{client.Result{}, context.Canceled, "interrupted before the connection was up"},
		{client.Result{Connection: "home"}, fmt.Errorf("sa: %w", ike.ErrProposal), `sa: no proposal chosen: compare proposals of connection "home" with the gateway's`},
		{client.Result{Connection: "home"}, client.ErrChildClosed, "the gateway closed the CHILD_SA: connect again with tnc up home"},
		{client.Result{}, &eap.VerifyError{Err: errors.New("it is another's")}, "the gateway's certificate was not accepted, and no password was sent: it is another's"},
		{denied, eap.ErrFailure, "the verifier denied access"},
		{lost, eap.ErrFailure, eap.ErrFailure.Error() + " (TNC session: bad  batch) (IMC lost)"},
		{client.Result{}, &client.KeyError{Err: ike.ErrAuthFailed}, ike.ErrAuthFailed.Error() + "; where it is a strongSwan before 5.9.10 that speaks TLS 1.3, set libtls.version_max = 1.2 in strongswan.conf here"},
		{client.Result{}, tnccs.ErrPeerUnmeasured, tnccs.ErrPeerUnmeasured.Error() + ": let it take part (charon.plugins.tnccs-20.mutual = yes there), or do without (tnc.mutual.required here)"},
	} {
		got := Explain(c.result, c.err)
		require.EqualError(t, got, c.says)
		require.Equal(t, got, WithRemedy(got), "said once")
	}
	require.NoError(t, Explain(denied, nil))
}

func TestRemedies(t *testing.T) {
	require.EqualError(t, WithRemedy(&client.UpError{Connection: "home"}), `connection "home" is up already: see tnc status, end it with tnc down home`)
	require.EqualError(t, WithRemedy(client.ErrNoTrap), "start_action = trap needs a data plane that catches packets: use --dataplane tun or xfrm")
	require.EqualError(t, WithRemedy(&dlimc.LoadError{Entry: dlimc.Entry{Name: "A", Path: "/a.so"}, Err: dlimc.ErrNotFound}),
		`load IMC "A" from /a.so: file not found: install the library or correct its path`)
	require.EqualError(t, WithRemedy(&dlimc.LoadError{Entry: dlimc.Entry{Name: "A", Path: "/a.so"}, Err: dlimc.ErrLevel, Detail: `"tight"`}),
		`load IMC "A" from /a.so: there is no such level of Sandbox: "tight": set tnc.imc.sandbox to strict, readonly or off`)
	require.ErrorContains(t, WithRemedy(&dlimc.LoadError{Err: dlimc.ErrSandbox}), "set tnc.imc.sandbox = off in strongswan.conf")
	eater := &dlimc.MemoryError{Err: dlimc.ErrCrashed, Used: 900 << 20, Limit: 1 << 30}
	require.EqualError(t, Explain(client.Result{Outcome: tnccs.Outcome{IMCErrors: []error{eater}}}, eap.ErrFailure), eap.ErrFailure.Error()+
		" (the IMC crashed with 900 MiB of memory, of which it may have 1024: raise tnc.imc.memory in strongswan.conf, or use another IMC)")
	require.EqualError(t, WithRemedy(&trust.UnknownCAError{Certificate: &x509.Certificate{}}), `its certificate "" leads to no trusted CA (issuer ""): put that CA's certificate into x509ca`)
	require.ErrorContains(t, WithRemedy(trust.ErrNoCertificate), "send_cert = always")
	require.ErrorContains(t, WithRemedy(trust.ErrNoSource), "x509crl")
	require.EqualError(t, WithRemedy(tpm.ErrInUse), "another program holds the TPM; stop it (tcsd, tabrmd), or use /dev/tpmrm0")
	advised := advice.TPM(tpm.ErrInUse)
	require.Equal(t, advised, WithRemedy(advised), "said once")
	require.NoError(t, WithRemedy(nil))
	other := errors.New("other")
	require.Equal(t, other, WithRemedy(other))
}

// Over PT-TLS the remedies are flags: there is no swanctl.conf.
func TestPTTLSRemedies(t *testing.T) {
	err := ExplainPTTLS(pttls.Result{}, fmt.Errorf("pt-tls: %w", &trust.UnknownCAError{Certificate: &x509.Certificate{}}))
	require.ErrorContains(t, err, "no password was sent")
	require.ErrorContains(t, err, ": name that CA with --ca")
	require.NotContains(t, err.Error(), "x509ca")
	require.ErrorContains(t, ExplainPTTLS(pttls.Result{}, trust.ErrNoSource), "--crl")
}

// What cannot carry packets comes with the way out, for each data plane that was
// tried.
func TestPlaneRemedies(t *testing.T) {
	suffix := ""
	if os.Geteuid() != 0 {
		suffix = "; --dataplane none carries no packets and needs no rights"
	}
	noESP := fmt.Errorf("add a state: protocol not supported: %w", xfrm.ErrNoESP)
	require.EqualError(t, WithRemedy(&client.PlaneError{Err: fmt.Errorf("use data plane xfrm: %w", noESP)}),
		"use data plane xfrm: add a state: protocol not supported: the kernel has no ESP: load the modules esp4, esp6 and xfrm_user, or use data plane tun"+suffix)
	require.EqualError(t, WithRemedy(&client.PlaneError{Err: &dataplane.NoneWorksError{Kinds: []dataplane.Kind{dataplane.TUN, dataplane.XFRM}, Errs: []error{tun.ErrNoDevice, noESP}}}),
		"no data plane works here; tun: /dev/net/tun does not exist; xfrm: add a state: protocol not supported: the kernel has no ESP: "+
			"for tun load the kernel module tun (modprobe tun), or pass the device into the container; for xfrm load the modules esp4, esp6 and xfrm_user, or use data plane tun"+suffix)
	require.EqualError(t, WithRemedy(fmt.Errorf("%w, which the data plane tun needs", dataplane.ErrUDP)),
		"the gateway does not take ESP in UDP, which the data plane tun needs: allow NAT traversal on the gateway")
	require.EqualError(t, WithPlaneRemedy(dataplane.ErrNoRight), "the right CAP_NET_ADMIN is missing: run as root, or setcap cap_net_admin+ep")
	require.NoError(t, WithPlaneRemedy(nil))
}
