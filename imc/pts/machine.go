package pts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
)

// Config is what a Machine runs with.
type Config struct {
	Logger      *slog.Logger // nil discards
	Measurer    Measurer     // nil: every file request is answered with File Not Found
	HashUpTo    string       // strongest algorithm: sha1, sha256, sha384, sha512; "" = sha384; another word disables all
	NonceLength int          // own D-H nonce; 0 = DefaultNonce
	Groups      DHGroups     // D-H groups; 0 = SupportedGroups
	Rand        io.Reader    // nil: crypto/rand
	TPM         Quoter       // nil: no TPM
	Collector   Collector    // nil: no evidence of functional components; belongs to the Machine

	Wait WaitFunc // nil: returns at once

	// Now is time.Now in a program; the Machine has no clock. Nil: D-H exchanges and
	// quotes are bounded by message alone, not by minute.
	Now func() time.Time
}

// Causes of a Handle that ends the turn without an answer.
var (
	ErrNonce     = errors.New("D-H nonce exchange failed")
	ErrComponent = errors.New("sub-component measurements are not supported")
)

// Machine answers the requests of one verifier on one connection. Attributes go
// in in the order of their message, and answers come out in that order. It is
// for one goroutine.
type Machine struct {
	cfg    Config
	log    *slog.Logger // PTS
	imc    *slog.Logger // IMC
	hashes HashAlgorithms

	own, caps Capabilities
	alg       HashAlgorithms

	tpm      Quoter // nil: none was found
	tpmAsked bool
	locality uint8 // from which the TPM was started

	key    exchange // nil: none under way
	nonce  []byte
	secret []byte

	exchanges, quotes rate
}

// algorithms are those that the setting enables.
func (c Config) algorithms() HashAlgorithms {
	name := c.HashUpTo
	if name == "" {
		name = "sha384"
	}
	set, _ := HashAlgorithmsUpTo(name)
	return set
}

// WaitFunc returns after d, or earlier with the context's error.
type WaitFunc func(ctx context.Context, d time.Duration) error

// wait is Wait, at once where there is none.
func (c Config) wait(ctx context.Context, d time.Duration) error {
	if c.Wait == nil {
		return ctx.Err()
	}
	return c.Wait(ctx, d)
}

// NewMachine returns a Machine in its initial state.
func NewMachine(cfg Config) *Machine {
	if cfg.NonceLength == 0 {
		cfg.NonceLength = DefaultNonce
	}
	if cfg.Groups == 0 {
		cfg.Groups = SupportedGroups
	}
	cfg.Groups &= SupportedGroups
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if c, ok := cfg.Measurer.(ConnectionMeasurer); ok {
		cfg.Measurer = c.ForConnection()
	}
	m := &Machine{cfg: cfg, log: log.Group(cfg.Logger, log.PTS), imc: log.Group(cfg.Logger, log.IMC), own: CapVerify}
	m.exchanges = rate{aMessage: maxExchangesAMessage, aMinute: maxExchangesAMinute}
	m.quotes = rate{aMessage: maxQuotesAMessage, aMinute: maxQuotesAMinute}
	m.hashes = cfg.algorithms()
	m.Reset()
	return m
}

// Reset returns the Machine to its initial state, for a new handshake.
func (m *Machine) Reset() {
	m.Close()
	m.forgetTPM()
	m.caps, m.alg = m.own, SHA384
}

// Close zeroes the secrets. The Machine can go on as after Reset.
func (m *Machine) Close() {
	if m.key != nil {
		m.key.zero()
	}
	clear(m.secret)
	clear(m.nonce)
	m.key, m.nonce, m.secret = nil, nil, nil
}

// Algorithm returns the measurement algorithm in force.
func (m *Machine) Algorithm() HashAlgorithms { return m.alg }

// Handle answers one attribute of vendor TCG, or ITA-HSR's Get Symlinks. An
// attribute that is not a request gives no answer. An error ends the turn:
// nothing of it is sent.
func (m *Machine) Handle(ctx context.Context, v patnc.Value) ([]patnc.Attribute, error) {
	switch v := v.(type) {
	case RequestProtocolCapabilities:
		m.findTPM(ctx)
		m.caps = m.own & v.Capabilities
		log.Detailf(m.log, "supported PTS protocol capabilities: %v", m.caps)
		return one(patnc.Skip(ProtocolCapabilities{m.caps})), nil
	case MeasurementAlgorithm:
		m.findTPM(ctx)
		return one(m.selectAlgorithm(v)), nil
	case DHNonceParametersRequest:
		return m.startNonce(v)
	case DHNonceFinish:
		return nil, m.finishNonce(v)
	case GetTPMVersionInformation:
		return m.tpmVersion(ctx, v), nil
	case GetAIK:
		return m.aik(ctx), nil
	case RequestFileMeasurement:
		return m.measure(ctx, v)
	case RequestFileMetadata:
		return m.metadata(ctx, v)
	case RequestFunctionalComponentEvidence:
		return m.components(ctx, v)
	case GenerateAttestationEvidence:
		return m.generate(ctx)
	case patnc.GetSymlinks:
		return m.symlinks(ctx, v)
	case patnc.Raw:
		if code, known := unsupported[v.T]; known {
			log.Infof(m.imc, "received unsupported attribute '%s'", v.T.Name())
			return one(refuse(code, v)), nil
		}
	}
	return nil, nil
}

func one(a patnc.Attribute) []patnc.Attribute { return []patnc.Attribute{a} }

// selectAlgorithm answers with the strongest common measurement algorithm.
func (m *Machine) selectAlgorithm(v MeasurementAlgorithm) patnc.Attribute {
	alg := (m.hashes & v.Algorithms).Strongest()
	if m.cfg.algorithms() == 0 {
		log.Infof(m.log, "unknown hash algorithm %s configured", quote(m.cfg.HashUpTo))
	}
	if alg == 0 {
		log.Infof(m.log, "no common PTS measurement algorithm: offered %v, supported %v", v.Algorithms, m.hashes)
		return patnc.Skip(ErrorInfo{Code: ErrorHashAlgorithm, Hashes: m.hashes}.PATNC())
	}
	m.alg = alg
	log.Detailf(m.log, "selected PTS measurement algorithm is %v", alg)
	return patnc.Skip(MeasurementAlgorithmSelection{alg})
}

func (m *Machine) startNonce(v DHNonceParametersRequest) ([]patnc.Attribute, error) {
	n := m.cfg.NonceLength
	if n < MinNonce || n > maxNonce || v.MinNonce > 0 && n < int(v.MinNonce) {
		return one(patnc.Skip(ErrorInfo{Code: ErrorDHNonce, MinNonce: uint16(min(max(n, 0), 0xFFFF)), MaxNonce: 0xFFFF}.PATNC())), nil
	}
	group := (m.cfg.Groups & v.Groups).Strongest()
	if group == 0 {
		return one(patnc.Skip(ErrorInfo{Code: ErrorDHGroup, Groups: m.cfg.Groups &^ ECP521}.PATNC())), nil
	}
	if !m.exchanges.allow(m.now()) {
		return nil, ErrTooMany
	}
	m.Close()
	key, err := newExchange(group, m.cfg.Rand)
	if err != nil {
		return nil, fmt.Errorf("generate D-H key: %w", err)
	}
	nonce := make([]byte, n)
	if _, err := io.ReadFull(m.cfg.Rand, nonce); err != nil {
		return nil, fmt.Errorf("generate D-H nonce: %w", err)
	}
	m.key, m.nonce = key, nonce
	log.Detailf(m.log, "selected PTS DH group is %v", group)
	log.Detailf(m.log, "nonce length is %d", n)
	return one(patnc.Skip(DHNonceParametersResponse{Group: group, Hashes: m.alg, Nonce: clone(nonce), Public: key.public()})), nil
}

// finishNonce computes the secret that a quote will carry (TCG PTS Protocol
// Binding section 3.8).
func (m *Machine) finishNonce(v DHNonceFinish) error {
	if m.key == nil {
		return fmt.Errorf("%w: no parameters were negotiated", ErrNonce)
	}
	if v.Hash&m.hashes == 0 || v.Hash != v.Hash.Strongest() {
		return fmt.Errorf("%w: hash algorithm %v is not supported", ErrNonce, v.Hash)
	}
	if len(v.Nonce) != m.cfg.NonceLength {
		return fmt.Errorf("%w: initiator and responder nonces have differing lengths", ErrNonce)
	}
	log.Detailf(m.log, "selected DH hash algorithm is %v", v.Hash)
	z, err := m.key.shared(v.Public)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNonce, err)
	}
	clear(m.secret)
	m.secret = nonceSecret(v.Hash, v.Nonce, m.nonce, z)
	clear(z)
	m.key.zero()
	m.key = nil
	return nil
}

// nonceSecret is H( "1" ‖ initiator nonce ‖ responder nonce ‖ Z ).
func nonceSecret(alg HashAlgorithms, initiator, responder, z []byte) []byte {
	h, ok := alg.New()
	if !ok {
		return nil
	}
	h.Write([]byte{'1'})
	h.Write(initiator)
	h.Write(responder)
	h.Write(z)
	return h.Sum(nil)
}

func validDelimiter(d uint32) bool { return d == DelimiterSlash || d == DelimiterBackslash }

// pathError answers what a Measurer could not read, where the protocol has an
// error for it.
func (m *Machine) pathError(path string, request patnc.Value, err error) ([]patnc.Attribute, error) {
	switch {
	case errors.Is(err, ErrNotFound):
		log.Infof(m.log, "file/directory does not exist %s", quote(path))
		return one(refuse(ErrorFileNotFound, request)), nil
	case errors.Is(err, ErrInvalidPath):
		log.Infof(m.log, "%v", err)
		return one(refuse(ErrorInvalidPath, request)), nil
	}
	return nil, err
}

// quote makes a text of the verifier fit for a line of log.
func quote(s string) string { return text.Quote(s, 256) }

// colons writes a digest as strongSwan's log has it: "1d:0f:28".
func colons(b []byte) string { return strings.ReplaceAll(fmt.Sprintf("% x", b), " ", ":") }

func kind(directory bool) string {
	if directory {
		return "directory"
	}
	return "file"
}

func (m *Machine) measure(ctx context.Context, v RequestFileMeasurement) ([]patnc.Attribute, error) {
	if !validDelimiter(v.Delimiter) {
		return one(refuse(ErrorDelimiter, v)), nil
	}
	log.Detailf(m.imc, "measurement request %d for %s %s", v.RequestID, kind(v.Directory), quote(v.Path))
	if m.cfg.Measurer == nil {
		return m.pathError(v.Path, v, ErrNotFound)
	}
	files, err := m.cfg.Measurer.Measure(ctx, v.Path, v.Directory, m.alg)
	if err != nil {
		return m.pathError(v.Path, v, err)
	}
	if m.log.Enabled(ctx, log.LevelDetail) {
		for _, f := range files {
			log.Detailf(m.log, "  %s for %s", colons(f.Measurement), quote(f.Name))
		}
	}
	return one(patnc.NoSkip(FileMeasurement{RequestID: v.RequestID, Files: files})), nil
}

func (m *Machine) metadata(ctx context.Context, v RequestFileMetadata) ([]patnc.Attribute, error) {
	if !validDelimiter(uint32(v.Delimiter)) {
		return one(refuse(ErrorDelimiter, v)), nil
	}
	log.Detailf(m.imc, "metadata request for %s %s", kind(v.Directory), quote(v.Path))
	if m.cfg.Measurer == nil {
		return m.pathError(v.Path, v, ErrNotFound)
	}
	files, err := m.cfg.Measurer.Metadata(ctx, v.Path, v.Directory)
	if err != nil {
		return m.pathError(v.Path, v, err)
	}
	return one(patnc.NoSkip(UnixFileMetadata{Files: files})), nil
}

func (m *Machine) symlinks(ctx context.Context, v patnc.GetSymlinks) ([]patnc.Attribute, error) {
	if m.cfg.Measurer == nil {
		return nil, nil
	}
	links, err := m.cfg.Measurer.Symlinks(ctx, v.Directory)
	if err != nil {
		log.Infof(m.log, "symlinks of %s: %v", quote(v.Directory), err)
		return nil, nil
	}
	log.Detailf(m.log, "adding directory symlinks:")
	for _, l := range links {
		log.Detailf(m.log, "  %s -> %s", quote(l.Path), quote(l.Target))
	}
	return one(patnc.Skip(patnc.Symlinks{Links: links})), nil
}
