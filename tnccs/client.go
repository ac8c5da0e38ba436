package tnccs

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// Limits on what IMCs may ask for.
const (
	MaxIMCs           = 64      // IMCs of a client
	MaxIDs            = 1024    // primary and additional IDs of a client
	MaxSubscriptions  = 1024    // message types that one IMC may report
	MaxQueuedMessages = 8192    // messages of a session that wait for a batch
	MaxQueuedBytes    = 4 << 20 // octets of PA-TNC messages that wait for a batch
)

// ErrClosed is returned by calls for a client that has been closed.
var ErrClosed = errors.New("TNC client is closed")

// Client holds IMCs and makes sessions with them. It implements TNCC, which the
// IMCs call. Its methods may be called concurrently.
type Client struct {
	cfg      Config
	tnc, imc *slog.Logger

	mu       sync.Mutex
	imcs     []*collector // in load order
	ids      map[uint32]*collector
	nextIMC  uint32
	nextConn uint32
	sessions map[uint32]*Session
	closed   bool

	restarting sync.Mutex // held while lost IMCs are restarted
}

// NewClient returns a client without IMCs.
func NewClient(cfg Config) (*Client, error) {
	if cfg.PreferredLanguage == "" {
		cfg.PreferredLanguage = "en"
	}
	if _, err := (pb.LanguagePreference{Languages: cfg.PreferredLanguage}).AppendBinary(nil); err != nil {
		return nil, fmt.Errorf("configure TNC client: %w", err)
	}
	if !cfg.Protocol.valid() {
		return nil, fmt.Errorf("configure TNC client: protocol %q is none of %s, %s and %s", cfg.Protocol, ProtocolPB, ProtocolXML, ProtocolDynamic)
	}
	if cfg.MutualRequired && cfg.Mutual == nil {
		return nil, errors.New("configure TNC client: mutual measurement is required and has no server")
	}
	if cfg.MaxBatchSize < 0 || cfg.MaxMessageSize < 0 || cfg.MaxMessageSizeXML < 0 {
		return nil, errors.New("configure TNC client: sizes must not be negative")
	}
	return &Client{
		cfg:      cfg,
		tnc:      log.Group(cfg.Logger, log.TNC),
		imc:      log.Group(cfg.Logger, log.IMC),
		ids:      map[uint32]*collector{},
		nextIMC:  1,
		nextConn: 1,
		sessions: map[uint32]*Session{},
	}, nil
}

// Close closes the open sessions, then terminates all IMCs, the last added first.
// It returns the errors of their Terminate.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	open := make([]*Session, 0, len(c.sessions))
	for _, s := range c.sessions {
		open = append(open, s)
	}
	c.mu.Unlock()
	slices.SortFunc(open, func(a, b *Session) int { return int(int64(a.id) - int64(b.id)) })
	for _, s := range open {
		_ = s.Close() // always nil
	}
	var errs []error
	c.restarting.Lock() // an IMC that is being restarted is terminated too
	defer c.restarting.Unlock()
	c.mu.Lock()
	imcs := slices.Clone(c.imcs)
	c.mu.Unlock()
	for _, col := range slices.Backward(imcs) {
		if col.imc == nil {
			continue
		}
		if err := col.imc.Terminate(); err != nil {
			log.Warnf(c.imc, "IMC %q not terminated successfully: %v", col.name, err)
			errs = append(errs, fmt.Errorf("terminate IMC %q: %w", col.name, err))
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.imcs = nil
	clear(c.ids)
	return errors.Join(errs...)
}

// NewSession returns a session with the next connection ID: 1, 2, 3 … for the
// life of the client.
func (c *Client) NewSession() *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &Session{c: c, id: c.nextConn}
	if c.nextConn++; c.nextConn == AnyConnection {
		c.nextConn = 1
	}
	if c.closed {
		s.failed = ErrClosed
		return s
	}
	c.sessions[s.id] = s
	log.Infof(c.tnc, "assigned TNCCS Connection ID %d", s.id)
	return s
}

// session returns the open session with a connection ID, nil if there is none.
func (c *Client) session(id uint32) *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions[id]
}
