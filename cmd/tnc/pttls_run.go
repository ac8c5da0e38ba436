package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/explain"
	"github.com/gotnc/gotnc/cmd/tnc/internal/profile"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs"
	"github.com/gotnc/gotnc/tnccs/dlimc"
	"github.com/gotnc/gotnc/tnccs/pttls"
)

// ptTLSRun is one connection of pt-tls and what it prints.
type ptTLSRun struct {
	*ptTLS
	profile    *profile.Profile
	cfg        pttls.Config
	progress   *report.Progress
	out        *report.PTTLSOutcome
	transcript *explain.Transcript // of --explain, else nil
	begun      time.Time
	stdout     io.Writer
	printed    bool // the last decision is
}

// attest loads the IMCs, connects and runs one session.
func (r *ptTLSRun) attest(ctx context.Context) error {
	client, err := r.client()
	if err != nil {
		return err
	}
	defer func() {
		if err := client.Close(); err != nil {
			log.Group(r.cfg.Logger, log.TNC).Warn(err.Error())
		}
	}()
	s := r.profile
	err = s.LoadIMCs(client, s.IMCOptions(ctx, r.cfg.Logger), func(e dlimc.Entry) {
		r.progress.Note("loading IMC %q", e.Name)
		r.out.IMCs = append(r.out.IMCs, e.Name)
	})
	if err != nil {
		return err
	}
	r.progress.Note("connecting to %s", r.out.Server)
	conn, err := pttls.Dial(ctx, r.out.Server, r.cfg)
	if err != nil {
		return r.advise(err)
	}
	defer conn.Close()
	info := conn.Info()
	r.out.Server, r.out.ServerID, r.out.TLS, r.out.Authentication = info.Remote, info.ServerSubject, info.TLS, info.Authentication
	r.progress.Note("attestation")
	session := &ptTLSSession{Session: client.NewSession(), decided: r.decided}
	defer session.Close()
	if r.stay {
		session.KeepOpen()
	}
	err = conn.Run(ctx, session)
	r.out.Update(session.Session)
	got := session.Outcome()
	if err == nil {
		err = got.Err
	}
	var lost []string
	for _, e := range got.IMCErrors {
		lost = append(lost, e.Error())
	}
	if err != nil && len(lost) > 0 {
		return fmt.Errorf("%w (%s)", r.advise(err), strings.Join(lost, "; "))
	}
	return r.advise(err)
}

// client makes the TNC client.
func (r *ptTLSRun) client() (*tnccs.Client, error) {
	tc, err := r.profile.TNC(r.cfg.Logger, r.mutual)
	if err != nil {
		return nil, err
	}
	if r.explain {
		r.transcript = &explain.Transcript{}
		tc.Trace = r.transcript.Add
	}
	return tnccs.NewClient(tc)
}

// ptTLSSession tells each decision after which the session stays.
type ptTLSSession struct {
	*tnccs.Session
	decided func(*tnccs.Session)
}

// Receive is the session's, then tells.
func (s *ptTLSSession) Receive(batch []byte) ([]byte, error) {
	reply, err := s.Session.Receive(batch)
	if err == nil && s.Resting() {
		s.decided(s.Session)
	}
	return reply, err
}

// decided prints a decision of a connection that stays.
func (r *ptTLSRun) decided(s *tnccs.Session) {
	r.progress.End()
	r.out.Update(s)
	r.out.SetExit(nil)
	r.print(nil)
	if !r.json {
		fmt.Fprintf(r.stdout, "stays connected; Ctrl-C disconnects\n")
	}
	r.printed = true
}

// print prints the outcome; err is what the connection failed with, if it did.
func (r *ptTLSRun) print(err error) {
	r.out.Seconds = time.Since(r.begun).Seconds()
	if r.transcript != nil {
		r.out.Explained = r.transcript.Drain()
	}
	if r.json {
		_ = report.WriteJSON(r.stdout, r.out)
		return
	}
	if err != nil && r.out.Recommendation == client.None {
		return
	}
	r.out.WriteTable(r.stdout)
	if r.transcript != nil {
		fmt.Fprintln(r.stdout)
		explain.WriteTable(r.stdout, r.out.Explained)
	}
}
