package report

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/pttls"
	"github.com/gotnc/gotnc/internal/base/trust"
	transport "github.com/gotnc/gotnc/tnccs/pttls"
)

// ExplainPTTLS makes one sentence of the reason why an assessment over PT-TLS
// failed: what happened, and what to do.
func ExplainPTTLS(r pttls.Result, err error) error {
	if err == nil {
		return nil
	}
	return withIMCErrors(WithRemedy(ptTLSError(err)), r.Outcome.IMCErrors)
}

func ptTLSError(err error) error {
	const refused = "the server's certificate was not accepted, and no password was sent: %w"
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var dns *net.DNSError
	var timeout *client.TimeoutError
	switch {
	case errors.As(err, &timeout):
		return timeout
	case errors.Is(err, context.Canceled):
		return errPTInterrupted
	case errors.As(err, &authority):
		return &Sentence{fmt.Errorf(refused, authority), ": name its CA with --ca"}
	case as[*trust.UnknownCAError]()(err):
		return &Sentence{fmt.Errorf(refused, err), ": name that CA with --ca"}
	case errors.Is(err, trust.ErrNoSource):
		return &Sentence{err, ": give the CRL with --crl"}
	case errors.As(err, &name):
		return &Sentence{fmt.Errorf(refused, name), ": where the server goes by another name, give that with --server-name"}
	case errors.Is(err, transport.ErrTLS):
		return fmt.Errorf("no TLS connection, and no password was sent: %w", err)
	case errors.Is(err, transport.ErrNoCredentials):
		return &Sentence{err, ": give --cert and --key, or --client and --secret-file"}
	case errors.Is(err, transport.ErrAuthentication):
		return &Sentence{err, ": check the credentials that were given, and that the server knows them"}
	case errors.As(err, &dns):
		return &Sentence{err, ": check the name of the server and the name service"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return &Sentence{err, ": nothing listens there; check the server and --port"}
	}
	return err
}
