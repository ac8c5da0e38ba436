package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"syscall"

	"github.com/gotnc/gotnc/tnccs/pttls"
)

// advise makes one sentence of a failure: what happened, and what to do.
func (o *ptTLS) advise(err error) error {
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var dns *net.DNSError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted before the assessment was over")
	case errors.As(err, &authority):
		return fmt.Errorf("the server's certificate was not accepted, and no password was sent: %w: name its CA with --ca", authority)
	case errors.As(err, &name):
		return fmt.Errorf("the server's certificate was not accepted, and no password was sent: %w: where the server goes by another name, give that with --server-name", name)
	case errors.Is(err, pttls.ErrTLS):
		return fmt.Errorf("no TLS connection, and no password was sent: %w", err)
	case errors.Is(err, pttls.ErrNoCredentials):
		return fmt.Errorf("%w: give --cert and --key, or --client and --secret-file", err)
	case errors.Is(err, pttls.ErrAuthentication):
		return fmt.Errorf("%w: check the credentials that were given, and that the server knows them", err)
	case errors.As(err, &dns):
		return fmt.Errorf("%w: check the name of the server and the name service", err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nothing listens there; check the server and --port", err)
	}
	return err
}
