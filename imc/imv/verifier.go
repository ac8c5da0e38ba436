package imv

import (
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

// PA subtypes that the verifier subscribes to.
const (
	subtypeOS  = 1 // IETF/Operating System
	subtypePTS = 1 // TCG/PTS
)

const (
	// defaultMaxMessage is what a PB-TNC batch of four TLS records carries beside
	// the headers of EAP-TNC, batch, message and PB-PA (14 + 8 + 12 + 12).
	defaultMaxMessage = 4*16384 - 46
	defaultMaxRounds  = 4096
	maxReason         = 512     // octets of the sentence for the client
	maxRecorded       = 1 << 16 // entries kept of each list in a report
)

// Config describes a Verifier.
type Config struct {
	Policy     Policy
	ID         uint16       // Validator ID; 0 means 1
	MaxMessage int          // longest PA-TNC message; 0 means what an EAP batch holds
	Rand       io.Reader    // message IDs; nil means crypto/rand
	Logger     *slog.Logger // nil discards
}

// phase is how far an assessment is.
type phase int

const (
	phaseStart     phase = iota // nothing asked yet
	phaseNegotiate              // capabilities and algorithm asked for
	phaseMeasure                // measurements asked for
	phaseDecided
)

// request is a measurement that was asked for and has not come.
type request struct {
	path      string
	directory bool
	digests   string            // of a file
	names     map[string]string // of a directory
}

// Verifier is the IMV of one connection. A TNC server calls Begin when an
// assessment starts, Receive for each message of a batch, BatchEnding for what to
// send, and Result for the decision. It belongs to one goroutine.
type Verifier struct {
	cfg     Config
	offered pts.HashAlgorithms
	imv     *slog.Logger
	tnc     *slog.Logger
	pts     *slog.Logger

	report Report
	phase  phase
	target uint16 // Collector ID of the Attestation IMC, AnyID while unknown
	open   bool   // ask again without addressing anybody: nobody answered

	answered  bool // a TCG/PTS message came since the last batch
	idle      int  // batches in a row that brought nothing
	capable   bool // capabilities received
	algorithm pts.HashAlgorithms

	nextID   uint16
	files    map[uint16]request
	metadata []request // answered in this order
	segments segments

	replies  map[pa][]patnc.Attribute
	order    []pa
	findings []string
	silent   bool
}

// pa is the address of a PA-TNC message.
type pa struct {
	vendor, subtype uint32
	imc             uint16
	exclusive       bool
}

// New returns a Verifier; the policy must be valid.
func New(cfg Config) (*Verifier, error) {
	if err := cfg.Policy.Validate(); err != nil {
		return nil, err
	}
	if cfg.ID == 0 {
		cfg.ID = 1
	}
	if cfg.MaxMessage == 0 {
		cfg.MaxMessage = defaultMaxMessage
	}
	if cfg.Policy.MaxRounds == 0 {
		cfg.Policy.MaxRounds = defaultMaxRounds
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	v := &Verifier{cfg: cfg, imv: log.Group(cfg.Logger, log.IMV), tnc: log.Group(cfg.Logger, log.TNC), pts: log.Group(cfg.Logger, log.PTS)}
	v.offered, _ = hashes(cfg.Policy.Hash)
	if cfg.Policy.OnlyHash {
		v.offered = v.offered.Strongest()
	}
	v.Begin()
	return v, nil
}

func hashes(name string) (pts.HashAlgorithms, error) {
	if name == "" {
		name = "sha256"
	}
	set, ok := pts.HashAlgorithmsUpTo(name)
	if !ok {
		return 0, fmt.Errorf("policy: measurement algorithm %q is none of sha1, sha256, sha384, sha512", name)
	}
	return set, nil
}

// hashName is the word of Policy.Hash for an algorithm.
func hashName(a pts.HashAlgorithms) string {
	switch a {
	case pts.SHA1:
		return "sha1"
	case pts.SHA256:
		return "sha256"
	case pts.SHA384:
		return "sha384"
	case pts.SHA512:
		return "sha512"
	}
	return ""
}

// Begin starts an assessment and drops the results of an earlier one.
func (v *Verifier) Begin() {
	v.report = Report{Settings: make(map[string]string)}
	v.phase, v.target, v.open = phaseStart, AnyID, false
	v.answered, v.idle, v.capable, v.algorithm = false, 0, false, 0
	v.files, v.metadata, v.segments = make(map[uint16]request), nil, segments{}
	v.replies, v.order = nil, nil
	v.findings, v.silent = nil, false
}

// Report returns a copy of the findings so far.
func (v *Verifier) Report() Report {
	r := v.report.clone()
	r.Findings = append([]string(nil), v.findings...)
	return r
}

// BatchEnding advances the assessment after the messages of a batch and returns
// what to send.
func (v *Verifier) BatchEnding() []Message {
	v.report.Rounds++
	answered := v.answered
	v.answered = false
	switch v.phase {
	case phaseStart:
		v.askPlatform()
		v.negotiate()
		v.phase = phaseNegotiate
	case phaseNegotiate:
		switch {
		case v.algorithm != 0 && v.capable:
			v.phase = phaseMeasure
			v.askMeasurements()
			if v.outstanding() == 0 {
				v.decide()
			}
		case answered:
			v.finding("the client did not agree on PTS capabilities and a measurement algorithm")
			v.decide()
		case !v.open && v.target != AnyID:
			// Who announced itself is no Attestation IMC: ask whoever listens.
			v.open = true
			v.negotiate()
		default:
			v.silent = true
			v.finding("no Attestation IMC of the client answers")
			v.decide()
		}
	case phaseMeasure:
		v.idle++
		if answered {
			v.idle = 0
		}
		switch {
		case v.outstanding() == 0:
			v.decide()
		case v.idle > 1 || v.report.Rounds > v.cfg.Policy.MaxRounds:
			v.giveUp()
			v.decide()
		}
	}
	return v.flush()
}
