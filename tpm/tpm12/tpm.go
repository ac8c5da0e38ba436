// Package tpm12 speaks to TPMs that follow the TPM Main Specification 1.2. It
// encodes the commands itself: strongSwan's verifier wants quotes over exactly
// the octets that TPM Main Part 3 describes.
//
// Package tpm has the interface that both generations share; here are besides
// what a privacy CA and a TPM's owner need: identity keys (MakeIdentity), the
// endorsement key, credentials (ActivateIdentity) and taking ownership; and keys that
// sign for IKE and TLS (SigningKey).
package tpm12

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
)

// Config says how a TPM 1.2 is spoken to.
type Config struct {
	Retry command.Retry // how a busy TPM is asked again
	Rand  io.Reader     // source of the nonces of sessions; nil means crypto/rand
}

// TPM is a TPM 1.2. Its zero value is not usable: see New.
type TPM struct {
	c    *command.Conn
	rand io.Reader
}

// New returns the TPM 1.2 behind the transport, which it owns, without sending
// a command.
func New(t command.Transport, cfg Config) *TPM {
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	return &TPM{c: command.NewConn(t, cfg.Retry, command.Dialect{Explain: explain, Unblock: unblock}), rand: cfg.Rand}
}

// unblock makes a TPM that wants to be tested first test itself; it answers
// TPM_DOING_SELFTEST meanwhile (TPM Main Part 1 section 9.2).
func unblock(ctx context.Context, t command.Transport, code uint32) error {
	if code != rcNeedsSelftest {
		return nil
	}
	if _, err := t.Exchange(ctx, encode(ordContinueSelfTest, nil)); err != nil {
		return fmt.Errorf("TPM_ContinueSelfTest: %w", err)
	}
	return nil
}

// Start starts a TPM that was not started, with clear state (TPM Main Part 3
// section 3.2).
func (t *TPM) Start(ctx context.Context) error {
	_, err := t.VersionInfo(ctx)
	var re *command.ResponseError
	if !errors.As(err, &re) || re.Code != rcInvalidPostInit {
		return err
	}
	defer t.c.Acquire()()
	_, err = t.c.Send(ctx, "TPM_Startup", encode(ordStartup, wire.AppendU16(nil, 1)))
	return err
}

// Generation returns attest.TPM12.
func (t *TPM) Generation() attest.Generation { return attest.TPM12 }

// Close closes the transport. Closing again does nothing.
func (t *TPM) Close() error { return t.c.Close() }

// Info describes the TPM.
func (t *TPM) Info(ctx context.Context) (attest.Info, error) {
	b, err := t.VersionInfo(ctx)
	if err != nil {
		return attest.Info{}, err
	}
	v, err := ParseCapVersionInfo(b)
	if err != nil {
		return attest.Info{}, err
	}
	return attest.Info{
		Generation:   attest.TPM12,
		Manufacturer: text.ASCII(bytes.ReplaceAll(v.VendorID[:], []byte{0}, nil)),
		Revision:     fmt.Sprintf("%d.%d level %d errata %d", v.Major, v.Minor, v.SpecLevel, v.ErrataRev),
		Firmware:     fmt.Sprintf("%d.%d", v.RevMajor, v.RevMinor),
	}, nil
}

// VersionInfo returns TPM_CAP_VERSION_INFO.
func (t *TPM) VersionInfo(ctx context.Context) (info []byte, err error) {
	err = t.do(ctx, "read TPM version information", func(s *session) error {
		info, err = s.versionInfo()
		return err
	})
	return info, err
}

// Identity returns the certificate of the AIK, else the public key of the blob
// or of the AIK.
func (t *TPM) Identity(_ context.Context, aik attest.AIK) (attest.Identity, error) {
	if len(aik.Blob) == 0 {
		return aik.Identity(nil)
	}
	k, err := ParseKeyBlob(aik.Blob)
	if err != nil {
		return attest.Identity{}, fmt.Errorf("AIK blob: %w", err)
	}
	var key crypto.PublicKey
	if key, err = k.PublicKey(); err != nil {
		return attest.Identity{}, fmt.Errorf("AIK blob: %w", err)
	}
	return aik.Identity(key)
}
