// Package tnccs is the TNC client (TNCC): it runs IMCs, and for each connection
// a session of PB-TNC (IF-TNCCS 2.0, RFC 5793) or TNCCS-XML (IF-TNCCS 1.1) whose
// messages it routes to the IMCs by what they subscribed to.
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
	MaxIMCs           = 64      // collectors of a client
	MaxIDs            = 1024    // primary and additional IDs
	MaxSubscriptions  = 1024    // message types that one collector may report
	MaxQueuedMessages = 8192    // PA-TNC messages that wait for a batch
	MaxQueuedBytes    = 4 << 20 // octets of them
)

// Errors of the client.
var (
	ErrClosed = errors.New("TNC client is closed")
)

// Client holds the IMCs and makes sessions with them. It is the TNCC that they
// call. Its methods may be called concurrently.
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

	reviving sync.Mutex // held while lost IMCs are started again
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

// Close terminates all IMCs, the last added first, after it has closed the
// sessions that are still open.
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
		_ = s.Close() // its only errors are the IMCs' own, which are logged
	}
	var errs []error
	c.reviving.Lock() // an IMC that is being started again is terminated too
	defer c.reviving.Unlock()
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

// NewSession returns a session with a connection ID of its own: 1, 2, 3 … for
// the life of the client.
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

// session returns the open session of a connection ID, nil if there is none.
func (c *Client) session(id uint32) *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions[id]
}
