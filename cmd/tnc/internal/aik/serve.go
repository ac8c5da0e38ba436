package aik

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/tpm/privacyca"
)

// Serve is a privacy CA that answers over HTTPS.
type Serve struct {
	Issue
	Address  string // to listen at
	TLSCert  string // file with the server's certificate
	TLSKey   string // file with its key
	Approved string // file with the endorsement keys that are approved; "" = none
	Pending  string // folder for requests that wait for a person; "" = none

	Listening func(net.Addr) // called once it listens; nil = not
}

// enrolPath is where requests are sent to.
const enrolPath = "/v1/enrol"

// Bounds of the server.
const (
	maxConnections = 256
	maxAtOnce      = 16   // requests
	maxPending     = 1000 // requests that wait for a person
	maxList        = 1 << 20
	requestTime    = 20 * time.Second
	retryAfter     = "60" // seconds
)

// Run serves until ctx ends.
func (o *Serve) Run(ctx context.Context) error {
	s, err := o.server()
	if err != nil {
		return err
	}
	cert, err := tls.LoadX509KeyPair(o.TLSCert, o.TLSKey)
	if err != nil {
		return fmt.Errorf("--tls-cert %s, --tls-key %s: %w", o.TLSCert, o.TLSKey, err)
	}
	l, err := net.Listen("tcp", o.Address)
	if err != nil {
		return fmt.Errorf("--serve %s: %w", o.Address, err)
	}
	if o.Listening != nil {
		o.Listening(l.Addr())
	}
	h := &http.Server{
		Handler: s, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12},
		ReadHeaderTimeout: requestTime / 2, ReadTimeout: requestTime, WriteTimeout: requestTime, IdleTimeout: requestTime, MaxHeaderBytes: 8 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	end := context.AfterFunc(ctx, func() { h.Close() })
	defer end()
	err = h.ServeTLS(&limited{Listener: l, free: make(chan struct{}, maxConnections)}, "", "")
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// server reads the certificates and checks the flags.
func (o *Serve) server() (*server, error) {
	if o.TLSCert == "" || o.TLSKey == "" {
		return nil, usage.Errorf("--serve needs the server's certificate: --tls-cert and --tls-key")
	}
	i, err := o.issuer()
	if err != nil {
		return nil, err
	}
	if len(o.EKCAs)+len(o.EKKeys) == 0 && o.Approved == "" {
		return nil, errNoTrust
	}
	s := &server{issuer: i, approved: o.Approved, pending: o.Pending, logger: o.Logger, now: time.Now, busy: make(chan struct{}, maxAtOnce)}
	if o.Approved != "" {
		if _, err := s.list(); err != nil {
			return nil, err
		}
	}
	if o.Pending != "" {
		if err := writable(o.Pending); err != nil {
			return nil, fmt.Errorf("--pending %s: %w", o.Pending, err)
		}
	}
	return s, nil
}

// limited is a listener with a bound of open connections.
type limited struct {
	net.Listener
	free chan struct{}
}

func (l *limited) Accept() (net.Conn, error) {
	l.free <- struct{}{}
	c, err := l.Listener.Accept()
	if err != nil {
		<-l.free
		return nil, err
	}
	return &limitedConn{Conn: c, done: sync.OnceFunc(func() { <-l.free })}, nil
}

type limitedConn struct {
	net.Conn
	done func()
}

func (c *limitedConn) Close() error {
	defer c.done()
	return c.Conn.Close()
}

// server answers requests.
type server struct {
	issuer            *privacyca.Issuer
	approved, pending string
	logger            *slog.Logger
	now               func() time.Time
	busy              chan struct{}
	mu                sync.Mutex // of the folder
}

// refusal is an answer other than a certificate.
type refusal struct {
	status int
	why    string
}

func (r *refusal) Error() string { return r.why }

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case s.busy <- struct{}{}:
		defer func() { <-s.busy }()
	default:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	}
	answer, about, err := s.answer(w, r)
	if err == nil {
		log.Infof(s.logger, "%s: certified %s", r.RemoteAddr, about)
		w.Header().Set("Content-Type", "application/x-pem-file")
		_, _ = w.Write(answer)
		return
	}
	why := &refusal{http.StatusForbidden, ""}
	if !errors.As(err, &why) {
		why.why = err.Error()
	}
	why.why = text.Printable(why.why)
	log.Warnf(s.logger, "%s: %d for %s: %s", r.RemoteAddr, why.status, about, why.why)
	if why.status == http.StatusAccepted {
		w.Header().Set("Retry-After", retryAfter)
	}
	http.Error(w, why.why, why.status)
}

// answer reads a request and answers it; about says whose it is.
func (s *server) answer(w http.ResponseWriter, r *http.Request) (answer []byte, about string, err error) {
	about = "a stranger"
	switch {
	case r.URL.Path != enrolPath:
		return nil, about, &refusal{http.StatusNotFound, "requests go to " + enrolPath}
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		return nil, about, &refusal{http.StatusMethodNotAllowed, "requests are sent by POST"}
	}
	b, err := io.ReadAll(http.MaxBytesReader(w, r.Body, privacyca.MaxFile))
	if err != nil {
		return nil, about, &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("the request cannot be read, or has more than %d octets", privacyca.MaxFile)}
	}
	req, err := privacyca.ParseRequest(b)
	if err != nil {
		return nil, about, &refusal{http.StatusBadRequest, err.Error()}
	}
	ek := sha256.Sum256(req.EK)
	about = fmt.Sprintf("the TPM with endorsement key %x", ek)
	names, err := s.list()
	if err != nil {
		return nil, about, &refusal{http.StatusInternalServerError, "the list of approved keys cannot be read"}
	}
	i := *s.issuer
	if name, ok := names[ek]; ok {
		i.Trust.Keys = append(slices.Clip(i.Trust.Keys), ek)
		if name != "" {
			i.Name = name
		}
	} else if s.approved != "" || s.pending != "" {
		answer, err = s.wait(&i, req)
		return answer, about, err
	}
	a, cert, err := i.Issue(s.now(), req)
	if err != nil {
		return nil, about, err
	}
	return a.Encode(), fmt.Sprintf("%q of %s until %s", cert.Subject, about, cert.NotAfter.Format(time.DateOnly)), nil
}

// list reads the approved endorsement keys: a SHA-256 in hex a line, with the name
// that its machine gets. It is read at each request, so that a line that a person
// adds counts at once.
func (s *server) list() (map[[sha256.Size]byte]string, error) {
	if s.approved == "" {
		return nil, nil
	}
	f, err := os.Open(s.approved)
	if err != nil {
		return nil, usage.FileError(s.approved, "--approved", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxList+1))
	if err == nil && len(b) > maxList {
		err = fmt.Errorf("more than %d octets", maxList)
	}
	if err != nil {
		return nil, usage.FileError(s.approved, "--approved", err)
	}
	out, err := parseList(b)
	if err != nil {
		return nil, usage.FileError(s.approved, "--approved", err)
	}
	return out, nil
}

func parseList(b []byte) (map[[sha256.Size]byte]string, error) {
	out := map[[sha256.Size]byte]string{}
	for n, line := range strings.Split(string(b), "\n") {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		sum, name, _ := strings.Cut(line, " ")
		h, err := hex.DecodeString(strings.ReplaceAll(sum, ":", ""))
		if err != nil || len(h) != sha256.Size {
			return nil, fmt.Errorf("line %d: not the SHA-256 of an endorsement key in hex, with a name behind it", n+1)
		}
		if name = strings.TrimSpace(name); len(name) > 64 {
			return nil, fmt.Errorf("line %d: a name of more than 64 octets", n+1)
		}
		out[[sha256.Size]byte(h)] = name
	}
	return out, nil
}

// wait keeps a request for a person, who answers it with `tnc aik issue`, and returns
// the answer once it is there.
func (s *server) wait(i *privacyca.Issuer, req *privacyca.Request) ([]byte, error) {
	if s.pending == "" {
		return nil, &refusal{http.StatusForbidden, "this TPM is not on the list of those that are approved"}
	}
	if err := i.Check(s.now(), req); err != nil { // what no TPM made fills no disk
		return nil, err
	}
	b, err := req.Encode()
	if err != nil {
		return nil, err
	}
	id := fmt.Sprintf("%x", sha256.Sum256(b))[:32]
	s.mu.Lock()
	defer s.mu.Unlock()
	answer, err := usage.ReadFile(filepath.Join(s.pending, id+".answer"))
	if err == nil {
		return answer, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, &refusal{http.StatusInternalServerError, "the answer cannot be read"}
	}
	file := filepath.Join(s.pending, id+".request")
	if old, err := os.ReadFile(file); err != nil || !bytes.Equal(old, b) {
		waiting, err := filepath.Glob(filepath.Join(s.pending, "*.request"))
		if err == nil && len(waiting) >= maxPending {
			return nil, &refusal{http.StatusServiceUnavailable, "too many requests wait"}
		}
		if err := WriteNew(file, b, 0o600, true); err != nil {
			return nil, &refusal{http.StatusInternalServerError, "the request cannot be kept"}
		}
	}
	return nil, &refusal{http.StatusAccepted, "the request waits for a person, under the number " + id}
}
