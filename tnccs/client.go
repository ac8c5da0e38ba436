// Package tnccs is the TNC client (TNCC): it runs IMCs, and for each connection
// a session of PB-TNC (IF-TNCCS 2.0, RFC 5793) or TNCCS-XML (IF-TNCCS 1.1) whose
// messages it routes to the IMCs by what they subscribed to.
package tnccs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gotnc/gotnc/internal/log"
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

// Config configures a Client. The zero value is usable.
type Config struct {
	// Logger takes the client's log; nil discards.
	Logger *slog.Logger
	// MaxBatchSize lowers the largest batch, in octets; 0 means the transport's.
	MaxBatchSize int
	// MaxMessageSize lowers the largest PA-TNC message, in octets; 0 means what
	// fits a batch.
	MaxMessageSize int
	// MaxMessageSizeXML lowers the largest message over IF-TNCCS 1.1, in octets;
	// 0 means DefaultMaxMessageXML.
	MaxMessageSizeXML int
	// PreferredLanguage is an Accept-Language value (RFC 3282); "" means "en".
	PreferredLanguage string
	// Protocol is what is spoken over EAP-TNC; PT-EAP and PT-TLS carry PB-TNC only.
	Protocol Protocol
	// Mutual makes the TNC server that measures the peer of a connection, where
	// the peer agrees to that (strongSwan's tnccs-20.mutual); nil never proposes it.
	Mutual func(connection uint32) (Server, error)
	// Trace is told every PA-TNC message; nil is not. It must not call the client.
	Trace func(Exchange)
	// Tests makes the client break the protocol, for tests of servers.
	Tests Tests
}

// Tests are strongSwan's settings tnccs-20.tests.
type Tests struct {
	NoSkip  bool  // the first batch holds an unknown message that must not be skipped
	Version uint8 // of every batch but CLOSE; 0 means 2
}

// Exchange is one PA-TNC message on its way.
type Exchange struct {
	Connection      uint32
	Sent            bool     // by an IMC; else received
	IMCs            []string // who sent it, or those it was delivered to
	IMC             uint32   // ID of the sender, or who it is addressed to; IMCAny for all
	IMV             uint32   // who it is addressed to, or the sender's ID; IMVAny where not known
	Exclusive       bool
	Vendor, Subtype uint32
	Body            []byte // the receiver's to keep
}

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

// collector is one IMC with what it has told the client. One that is lost stays
// lost: a new collector takes its place.
type collector struct {
	id   uint32
	name string
	imc  IMC                 // nil where a restart failed
	load func() (IMC, error) // nil: not started again

	subscribed atomic.Pointer[[]subscription]
	lost       atomic.Bool
}

type subscription struct{ vendor, subtype uint32 }

// wants reports whether the collector subscribed to the type. strongSwan's
// rule: a wildcard vendor counts only with a wildcard subtype.
func (c *collector) wants(vendor, subtype uint32) bool {
	subs := c.subscribed.Load()
	if subs == nil {
		return false
	}
	for _, s := range *subs {
		if s.vendor == VendorAny && s.subtype == SubtypeAny ||
			s.vendor == vendor && (s.subtype == SubtypeAny || s.subtype == subtype) {
			return true
		}
	}
	return false
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

// Add initializes imc under the next free ID and registers it. The client owns
// imc from now on: it terminates it in Close, or before Add returns an error.
func (c *Client) Add(name string, imc IMC) error {
	return c.add(&collector{name: name, imc: imc})
}

// AddLoader is Add for an IMC that load makes. Where it is lost, load makes it
// anew for the next connection, under the same ID.
func (c *Client) AddLoader(name string, load func() (IMC, error)) error {
	imc, err := load()
	if err != nil {
		return err
	}
	return c.add(&collector{name: name, imc: imc, load: load})
}

func (c *Client) add(col *collector) error {
	name, imc := col.name, col.imc
	c.mu.Lock()
	err := ErrClosed
	switch {
	case c.closed:
	case len(c.imcs) >= MaxIMCs || len(c.ids) >= MaxIDs:
		err = fmt.Errorf("more than %d IMCs", MaxIMCs)
	default:
		err = nil
		col.id = c.nextIMC
		c.nextIMC++
		c.ids[col.id] = col
	}
	c.mu.Unlock()
	if err == nil {
		err = imc.Initialize(col.id, c)
	}
	c.mu.Lock()
	if err == nil && c.closed {
		err = ErrClosed
	}
	if err == nil {
		c.imcs = append(c.imcs, col)
	} else {
		c.forget(col)
	}
	c.mu.Unlock()
	if err != nil {
		c.imc.Warn(fmt.Sprintf("IMC %q failed to initialize: %v", name, err))
		_ = imc.Terminate() // the reason stands in err
		return fmt.Errorf("initialize IMC %q: %w", name, err)
	}
	from := ""
	if s, ok := imc.(Sourced); ok {
		from = fmt.Sprintf(" from '%s'", s.Source())
	}
	c.tnc.Info(fmt.Sprintf("IMC %d %q loaded%s", col.id, name, from))
	return nil
}

// revive starts the lost IMCs again that can be, and returns all in use, in
// load order, with what went wrong.
func (c *Client) revive() (use []*collector, errs []error) {
	c.reviving.Lock()
	defer c.reviving.Unlock()
	c.mu.Lock()
	all := slices.Clone(c.imcs)
	c.mu.Unlock()
	for i, col := range all {
		if !col.lost.Load() {
			use = append(use, col)
			continue
		}
		if col.load == nil {
			continue
		}
		fresh := &collector{id: col.id, name: col.name, load: col.load}
		if col.imc != nil {
			_ = col.imc.Terminate() // it is lost: that frees what is left of it
		}
		c.mu.Lock()
		if c.closed {
			c.mu.Unlock()
			return nil, []error{ErrClosed}
		}
		c.forget(col)
		c.ids[fresh.id] = fresh
		c.imcs[i] = fresh
		c.mu.Unlock()
		imc, err := col.load()
		if err == nil {
			if err = imc.Initialize(fresh.id, c); err != nil {
				_ = imc.Terminate() // the reason stands in err
			}
		}
		if err != nil {
			fresh.lost.Store(true)
			err = fmt.Errorf("start IMC %d %q again: %w", fresh.id, fresh.name, err)
			c.imc.Error(err.Error())
			errs = append(errs, err)
			continue
		}
		c.mu.Lock()
		fresh.imc = imc
		c.mu.Unlock()
		c.imc.Info(fmt.Sprintf("IMC %d %q started again", fresh.id, fresh.name))
		use = append(use, fresh)
	}
	return use, errs
}

// forget removes all IDs of col. The mutex is held.
func (c *Client) forget(col *collector) {
	for id, o := range c.ids {
		if o == col {
			delete(c.ids, id)
		}
	}
}

// IMCs returns the names of the collectors in load order, without those lost.
func (c *Client) IMCs() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	for _, col := range c.imcs {
		if !col.lost.Load() {
			names = append(names, col.name)
		}
	}
	return names
}

// Collector describes one IMC of the client.
type Collector struct {
	ID     uint32
	Name   string
	Source string // path of the library, where it is one
	Types  []MessageType
	Lost   bool // it crashed or hung and has not been started again
}

// MessageType is a kind of PA-TNC messages that an IMC receives. VendorAny and
// SubtypeAny stand for all.
type MessageType struct{ Vendor, Subtype uint32 }

// String returns "'TCG/PTS' 0x005597/0x00000001".
func (t MessageType) String() string { return pb.PAName(t.Vendor, t.Subtype) }

// Collectors describes the IMCs in load order.
func (c *Client) Collectors() []Collector {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Collector, 0, len(c.imcs))
	for _, col := range c.imcs {
		d := Collector{ID: col.id, Name: col.name, Lost: col.lost.Load()}
		if s, ok := col.imc.(Sourced); ok {
			d.Source = s.Source()
		}
		if subs := col.subscribed.Load(); subs != nil {
			for _, s := range *subs {
				d.Types = append(d.Types, MessageType{s.vendor, s.subtype})
			}
		}
		out = append(out, d)
	}
	return out
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
			c.imc.Warn(fmt.Sprintf("IMC %q not terminated successfully: %v", col.name, err))
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
	if c.nextConn++; c.nextConn == ConnectionAny {
		c.nextConn = 1
	}
	if c.closed {
		s.failed = ErrClosed
		return s
	}
	c.sessions[s.id] = s
	c.tnc.Info(fmt.Sprintf("assigned TNCCS Connection ID %d", s.id))
	return s
}

// session returns the open session of a connection ID, nil if there is none.
func (c *Client) session(id uint32) *Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sessions[id]
}

// owner returns the collector that owns a primary or additional ID.
func (c *Client) owner(id uint32) *collector {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ids[id]
}

func (c *Client) registered(id uint32, call string) bool {
	if c.owner(id) == nil {
		c.tnc.Warn(fmt.Sprintf("ignoring %s() from unregistered IMC %d", call, id))
		return false
	}
	return true
}

// ReportMessageTypes replaces what the collector subscribed to (IF-IMC §3.8.6.1).
func (c *Client) ReportMessageTypes(imc uint32, types []uint32) Result {
	subs := make([]subscription, 0, min(len(types), MaxSubscriptions))
	for _, t := range types[:min(len(types), MaxSubscriptions+1)] {
		subs = append(subs, subscription{t >> 8, t & 0xff})
	}
	return c.report("ReportMessageTypes", imc, subs, 2)
}

// ReportMessageTypesLong is ReportMessageTypes for long types.
func (c *Client) ReportMessageTypesLong(imc uint32, vendors, subtypes []uint32) Result {
	if len(vendors) != len(subtypes) {
		return ResultInvalidParameter
	}
	subs := make([]subscription, 0, min(len(vendors), MaxSubscriptions))
	for i := range vendors[:min(len(vendors), MaxSubscriptions+1)] {
		subs = append(subs, subscription{vendors[i], subtypes[i]})
	}
	return c.report("ReportMessageTypesLong", imc, subs, 8)
}

func (c *Client) report(call string, imc uint32, subs []subscription, digits int) Result {
	col := c.owner(imc)
	if col == nil || col.id != imc { // only the primary ID may report
		c.tnc.Warn(fmt.Sprintf("ignoring %s() from unregistered IMC %d", call, imc))
		return ResultInvalidParameter
	}
	if len(subs) > MaxSubscriptions {
		return ResultInvalidParameter
	}
	for _, s := range subs {
		if s.vendor > VendorAny {
			return ResultInvalidParameter
		}
	}
	col.subscribed.Store(&subs)
	var b strings.Builder
	for _, s := range subs {
		name := pb.PAName(s.vendor, s.subtype)
		if digits == 2 {
			name = strings.Replace(name, fmt.Sprintf("/0x%08x", s.subtype), fmt.Sprintf("/0x%02x", s.subtype), 1)
		}
		b.WriteString(" " + name)
	}
	plural := "s"
	if len(subs) == 1 {
		plural = ""
	}
	logAt(c.tnc, log.LevelDetail, fmt.Sprintf("IMC %d supports %d message type%s:%s", imc, len(subs), plural, b.String()))
	return ResultSuccess
}

// RequestHandshakeRetry asks for a new handshake. The session looks at it when
// it builds its next batch, and acts on it only in state Decided.
func (c *Client) RequestHandshakeRetry(imc, connection, reason uint32) Result {
	if !c.registered(imc, "RequestHandshakeRetry") {
		return ResultInvalidParameter
	}
	if connection != ConnectionAny {
		c.tnc.Info(fmt.Sprintf("IMC %d requests handshake retry for Connection ID %d (reason: %d)", imc, connection, reason))
		s := c.session(connection)
		if s == nil {
			return ResultInvalidParameter
		}
		s.requestRetry()
		return ResultSuccess
	}
	c.tnc.Info(fmt.Sprintf("IMC %d requests handshake retry for all connections (reason: %d)", imc, reason))
	c.mu.Lock()
	all := make([]*Session, 0, len(c.sessions))
	for _, s := range c.sessions {
		all = append(all, s)
	}
	c.mu.Unlock()
	for _, s := range all {
		s.requestRetry()
	}
	return ResultSuccess
}

// SendMessage queues a message of a short type for the next batch.
func (c *Client) SendMessage(imc, connection uint32, message []byte, messageType uint32) Result {
	return c.send(imc, connection, 0, message, messageType>>8, messageType&0xff, IMVAny)
}

// SendMessageLong queues a message for the next batch.
func (c *Client) SendMessageLong(imc, connection, flags uint32, message []byte, vendor, subtype, imv uint32) Result {
	return c.send(imc, connection, flags, message, vendor, subtype, imv)
}

func (c *Client) send(imc, connection, flags uint32, message []byte, vendor, subtype, imv uint32) Result {
	if !c.registered(imc, "SendMessage") {
		return ResultInvalidParameter
	}
	if vendor >= VendorAny || subtype == SubtypeAny || subtype == pb.TypeReserved {
		c.tnc.Warn(fmt.Sprintf("not sending message of invalid type 0x%02x/0x%08x", vendor, subtype))
		return ResultInvalidParameter
	}
	if imc > IMCAny || imv > IMVAny {
		return ResultInvalidParameter
	}
	s := c.session(connection)
	if s == nil {
		return ResultInvalidParameter
	}
	return s.enqueue(c.owner(imc), pb.PA{
		Exclusive: flags&FlagsExclusive != 0,
		Vendor:    vendor,
		Subtype:   subtype,
		Collector: uint16(imc),
		Validator: uint16(imv),
		Body:      message,
	})
}

// GetAttribute answers as strongSwan does; what it does not know is INVALID_PARAMETER.
func (c *Client) GetAttribute(imc, connection, attribute uint32) ([]byte, Result) {
	if !c.registered(imc, "GetAttribute") {
		return nil, ResultInvalidParameter
	}
	s := c.session(connection)
	if s == nil {
		return nil, ResultInvalidParameter
	}
	switch attribute {
	case AttrPrimaryIMCID:
		// strongSwan lets it through and then knows no answer; the value is plain.
		col := c.owner(imc)
		if col == nil {
			return nil, ResultInvalidParameter
		}
		return u32(col.id), ResultSuccess
	default:
		return s.attribute(attribute)
	}
}

// SetAttribute knows no attribute that an IMC may set.
func (c *Client) SetAttribute(imc, _, _ uint32, _ []byte) Result {
	c.registered(imc, "SetAttribute")
	return ResultInvalidParameter
}

// ReserveAdditionalIMCID gives the collector one more ID, for as long as it is loaded.
func (c *Client) ReserveAdditionalIMCID(imc uint32) (uint32, Result) {
	if !c.registered(imc, "ReserveAdditionalIMCID") {
		return 0, ResultInvalidParameter
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	col := c.ids[imc]
	if col == nil || len(c.ids) >= MaxIDs || c.nextIMC >= IMCAny {
		return 0, ResultOther
	}
	id := c.nextIMC
	c.nextIMC++
	c.ids[id] = col
	c.tnc.Info(fmt.Sprintf("additional ID %d reserved for IMC with primary ID %d", id, col.id))
	return id, ResultSuccess
}

// LogMessage takes a log line of a collector (severity as TNC_9048_LogMessage:
// 0 error, 1 warning, 2 notice, 3 info, 4 debug).
func (c *Client) LogMessage(imc, severity uint32, text string) Result {
	level := slog.LevelDebug
	switch severity {
	case 0:
		level = slog.LevelError
	case 1:
		level = slog.LevelWarn
	case 2, 3:
		level = slog.LevelInfo
	}
	logAt(c.imc, level, oneLine(text))
	return ResultSuccess
}

func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

// logAt logs at a level of its own; the client's calls have no context.
func logAt(l *slog.Logger, level slog.Level, text string) {
	l.Log(context.Background(), level, text)
}
