package verifier

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/gateway/pbserver"
	"github.com/gotnc/gotnc/internal/log"
	"github.com/gotnc/gotnc/internal/wire"
	"github.com/gotnc/gotnc/tnccs/pb"
)

// PA subtypes that the verifier subscribes to.
const (
	subtypeOS  = 1 // IETF/Operating System
	subtypePTS = 1 // TCG/PTS
)

const (
	defaultMaxMessage = pb.DefaultMaxBatchEAP - pb.HeaderSize - pb.MessageOverhead - pb.PAOverhead
	defaultMaxRounds  = 4096
	maxReason         = 512     // octets of the sentence for the client
	maxRecorded       = 1 << 16 // entries kept of each list in a report
)

// Config describes a Verifier.
type Config struct {
	Policy     Policy
	ID         uint16 // Validator ID; 0 means 1
	MaxMessage int    // longest PA-TNC message; 0 means what an EAP batch holds
	// Rewrite replaces the nth PA-TNC message sent, from 0; nil leaves all.
	Rewrite func(n int, message []byte) []byte
	// Random returns message IDs; nil means crypto/rand.
	Random func() uint32
	Logger *slog.Logger
}

// phase is where an assessment stands.
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

// Verifier is the IMV of one connection; it is a pbserver.IMV. It belongs to
// one goroutine.
type Verifier struct {
	cfg     Config
	offered pts.HashAlgorithms
	imv     *slog.Logger
	tnc     *slog.Logger
	pts     *slog.Logger

	report Report
	phase  phase
	target uint16 // Collector ID of the Attestation IMC, pb.AnyID while unknown
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
	sent     int
	findings []string
	silent   bool
}

// pa is the address of a PA-TNC message.
type pa struct {
	vendor, subtype uint32
	imc             uint16
	exclusive       bool
}

var _ pbserver.IMV = (*Verifier)(nil)

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
	if cfg.Random == nil {
		cfg.Random = func() uint32 {
			var b [4]byte
			_, _ = rand.Read(b[:]) // never fails: crypto/rand
			return binary.BigEndian.Uint32(b[:])
		}
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

// Begin starts an assessment: what was measured before is forgotten.
func (v *Verifier) Begin() {
	v.report = Report{Settings: make(map[string]string)}
	v.phase, v.target, v.open = phaseStart, pb.AnyID, false
	v.answered, v.idle, v.capable, v.algorithm = false, 0, false, 0
	v.files, v.metadata, v.segments = make(map[uint16]request), nil, segments{}
	v.replies, v.order = nil, nil
	v.findings, v.silent = nil, false
}

// Report returns what was found so far.
func (v *Verifier) Report() Report {
	r := v.report.clone()
	r.Findings = append([]string(nil), v.findings...)
	return r
}

// Receive takes one PA-TNC message of the client.
func (v *Verifier) Receive(m pb.PA) {
	isOS := m.Vendor == patnc.VendorIETF && m.Subtype == subtypeOS
	isPTS := m.Vendor == patnc.VendorTCG && m.Subtype == subtypePTS
	if !isOS && !isPTS {
		return
	}
	if !slices.Contains(v.report.IMCs, m.Collector) && len(v.report.IMCs) < 64 {
		v.report.IMCs = append(v.report.IMCs, m.Collector)
	}
	if isPTS {
		v.target, v.answered = m.Collector, true
	} else if v.target == pb.AnyID {
		v.target = m.Collector
	}
	v.imv.Info(fmt.Sprintf("IMV %d received message from IMC %d", v.cfg.ID, m.Collector))
	msg, err := patnc.Parse(m.Body, pts.Attributes)
	v.tnc.Info(fmt.Sprintf("processing PA-TNC message with ID 0x%08x", msg.ID))
	from := pa{m.Vendor, m.Subtype, m.Collector, true}
	for _, a := range msg.Attributes {
		v.attribute(from, a)
	}
	if err != nil {
		v.tnc.Info(err.Error())
		v.finding("the client sent a PA-TNC message that cannot be decoded")
		var pe *patnc.ParseError
		if errors.As(err, &pe) && pe.Answer != nil {
			v.reply(from, patnc.Skip(*pe.Answer))
		}
	}
}

// attribute handles one attribute of an IMC.
func (v *Verifier) attribute(from pa, a patnc.Attribute) {
	t := a.Value.Type()
	v.tnc.Info("processing PA-TNC attribute type " + t.String())
	r := &v.report
	if len(r.Attributes) < maxRecorded {
		r.Attributes = append(r.Attributes, nameOf(t))
	}
	switch x := a.Value.(type) {
	case patnc.ProductInformation:
		r.Product, r.Vendor = printable(x.Name), x.Vendor
	case patnc.StringVersion:
		r.Version = printable(x.Version)
	case patnc.DeviceID:
		r.DeviceID = printable(x.ID)
	case patnc.NumericVersion:
		r.Settings[nameOf(t)] = fmt.Sprintf("%d.%d", x.Major, x.Minor)
	case patnc.OperationalStatus:
		r.Settings[nameOf(t)] = fmt.Sprintf("%d/%d %s", x.Status, x.Result, x.LastUse.UTC().Format("2006-01-02T15:04:05Z"))
	case patnc.ForwardingStatus:
		r.Settings[nameOf(t)] = x.Status.String()
	case patnc.FactoryDefaultPassword:
		r.Settings[nameOf(t)] = fmt.Sprint(x.Enabled)
	case patnc.Error:
		v.failed(x)
	case patnc.ContractResponse:
		r.SegmentSize = x.MaxSegment
		v.segments.granted = true
	case patnc.ContractRequest:
		v.reply(from, patnc.Skip(patnc.ContractResponse(x)))
	case patnc.SegmentEnvelope:
		v.segment(from, x)
	case pts.ProtocolCapabilities:
		r.Capabilities, v.capable = uint32(x.Capabilities), true
		v.pts.Info("supported PTS protocol capabilities: " + x.Capabilities.String())
	case pts.MeasurementAlgorithmSelection:
		if x.Algorithm&v.offered != x.Algorithm || x.Algorithm.Size() == 0 {
			v.finding(fmt.Sprintf("the client selected measurement algorithm %s, which was not offered", x.Algorithm))
			return
		}
		v.algorithm = x.Algorithm
		r.Hash = hashName(x.Algorithm)
		v.pts.Info("selected PTS measurement algorithm is " + x.Algorithm.String())
	case pts.FileMeasurement:
		v.measured(x)
	case pts.UnixFileMetadata:
		v.described(x)
	}
}

func nameOf(t patnc.Type) string {
	if n := t.Name(); n != "" {
		return n
	}
	return t.String()
}

// failed handles a PA-TNC error: where it names a request, that one is missing.
func (v *Verifier) failed(e patnc.Error) {
	text := e.String()
	if e.Vendor == patnc.VendorTCG {
		text = "PTS error '" + pts.ErrorCode(e.Code).String() + "'"
	}
	if len(v.report.Errors) < maxRecorded {
		v.report.Errors = append(v.report.Errors, text)
	}
	v.tnc.Info("received " + text)
	if e.Vendor == patnc.VendorTCG && len(e.Info) >= 8 {
		// The information repeats the request: of a measurement with its ID, of
		// metadata with the path from octet 4.
		id := binary.BigEndian.Uint16(e.Info[2:])
		if req, ok := v.files[id]; ok && string(e.Info[8:]) == req.path {
			delete(v.files, id)
			v.missing(req, pts.ErrorCode(e.Code).String())
			return
		}
		for i, req := range v.metadata {
			if string(e.Info[4:]) == req.path {
				v.metadata = slices.Delete(v.metadata, i, i+1)
				v.finding(fmt.Sprintf("%s: %s", req.path, pts.ErrorCode(e.Code)))
				return
			}
		}
	}
	v.finding("the client answered " + text)
}

// measured compares the digests of one File Measurement.
func (v *Verifier) measured(m pts.FileMeasurement) {
	req, ok := v.files[m.RequestID]
	if !ok {
		v.pts.Info(fmt.Sprintf("no entry found for file measurement request %d", m.RequestID))
		return
	}
	delete(v.files, m.RequestID)
	size := v.algorithm.Size()
	for _, f := range m.Files {
		if len(f.Measurement) != size {
			v.finding(fmt.Sprintf("%s: measurement of %d octets, the algorithm has %d", req.path, len(f.Measurement), size))
			v.record(Measurement{Path: req.path, Result: Mismatch})
			return
		}
	}
	if !req.directory {
		if len(m.Files) != 1 {
			v.missing(req, "not measured")
			return
		}
		v.compare(req.path, m.Files[0].Measurement, req.digests)
		return
	}
	seen := make(map[string]bool, len(m.Files))
	for _, f := range m.Files {
		full := inside(req.path, f.Name)
		seen[f.Name] = true
		digests, known := req.names[f.Name]
		if !known && req.names != nil {
			if v.cfg.Policy.Strict {
				v.finding(full + ": file is not known to the policy")
			}
			v.record(Measurement{Path: full, Digest: f.Measurement, Result: Unknown})
			continue
		}
		v.compare(full, f.Measurement, digests)
	}
	for _, name := range sortedKeys(req.names) {
		if !seen[name] {
			v.missing(request{path: inside(req.path, name)}, "not reported")
		}
	}
}

// inside is the path of a file that the client reports in a directory: never
// outside of it, and fit for a log.
func inside(directory, name string) string {
	return path.Join(directory, path.Clean("/"+printable(name)))
}

// printable makes text of the client fit for a log.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return '?'
		}
		return r
	}, s)
}

// compare records a digest and what comparing it came to.
func (v *Verifier) compare(file string, digest []byte, digests string) {
	m := Measurement{Path: file, Digest: digest}
	if want, ok := reference(digests, len(digest)); ok {
		m.Result = Match
		if !slices.Equal(want, digest) {
			m.Result = Mismatch
			v.finding(file + ": content differs from the reference")
		}
	} else if strings.TrimSpace(digests) != "" {
		v.finding(fmt.Sprintf("%s: the policy has no %s digest to compare with", file, v.report.Hash))
	}
	v.pts.Info(fmt.Sprintf("%x for '%s' is %s", digest, file, m.Result))
	v.record(m)
}

func (v *Verifier) missing(req request, why string) {
	v.finding(req.path + ": " + why)
	v.record(Measurement{Path: req.path, Result: Missing})
}

func (v *Verifier) record(m Measurement) {
	if len(v.report.Files) < maxRecorded {
		v.report.Files = append(v.report.Files, m)
	}
}

// described records the metadata that answer the oldest request.
func (v *Verifier) described(m pts.UnixFileMetadata) {
	if len(v.metadata) == 0 {
		v.pts.Info("no entry found for file metadata")
		return
	}
	req := v.metadata[0]
	v.metadata = v.metadata[1:]
	if len(m.Files) == 0 && !req.directory {
		v.finding(req.path + ": no metadata reported")
	}
	for _, f := range m.Files {
		p := req.path
		if req.directory {
			p = inside(req.path, f.Name)
		}
		if len(v.report.Metadata) < maxRecorded {
			v.report.Metadata = append(v.report.Metadata, Metadata{
				Path: p, Type: uint8(f.Type), Size: f.Size, Owner: f.Owner, Group: f.Group,
				Changed: f.Created, Modified: f.Modified, Accessed: f.Accessed,
			})
		}
	}
}

// BatchEnding moves the assessment on and returns what to send.
func (v *Verifier) BatchEnding() []pb.PA {
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
		case !v.open && v.target != pb.AnyID:
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

// outstanding counts what was asked for and has not come.
func (v *Verifier) outstanding() int {
	return len(v.files) + len(v.metadata) + len(v.segments.open)
}

func (v *Verifier) giveUp() {
	ids := make([]int, 0, len(v.files))
	for id := range v.files {
		ids = append(ids, int(id))
	}
	slices.Sort(ids)
	for _, id := range ids {
		v.missing(v.files[uint16(id)], "the client did not answer")
	}
	for _, req := range v.metadata {
		v.finding(req.path + ": the client did not answer")
	}
	if len(v.segments.open) > 0 {
		v.finding("the client did not finish a segmented attribute")
	}
	v.files, v.metadata, v.segments.open = nil, nil, nil
}

// askPlatform asks for the attributes that an OS IMC sends unasked, as far as
// they have not come.
func (v *Verifier) askPlatform() {
	var want []patnc.Type
	for _, t := range []patnc.Type{patnc.TypeProductInformation, patnc.TypeStringVersion, patnc.TypeITADeviceID} {
		if !slices.Contains(v.report.Attributes, nameOf(t)) {
			want = append(want, t)
		}
	}
	if len(want) > 0 {
		v.reply(pa{patnc.VendorIETF, subtypeOS, pb.AnyID, false}, patnc.Skip(patnc.AttributeRequest{Types: want}))
	}
}

// ptsAddress is where PTS requests go: exclusively to the IMC that announced
// itself, to all that listen where none did.
func (v *Verifier) ptsAddress() pa {
	if v.open || v.target == pb.AnyID {
		return pa{patnc.VendorTCG, subtypePTS, pb.AnyID, false}
	}
	return pa{patnc.VendorTCG, subtypePTS, v.target, true}
}

// negotiate opens the PTS exchange (TCG PTS Protocol Binding §3.6).
func (v *Verifier) negotiate() {
	to := v.ptsAddress()
	if !v.cfg.Policy.NoSegmentation {
		size := v.cfg.Policy.SegmentSize
		if size == 0 {
			size = uint32(v.cfg.MaxMessage - patnc.SegmentOverhead)
		}
		v.segments.asked = true
		v.reply(to, patnc.NoSkip(patnc.ContractRequest{Contract: patnc.Contract{MaxMessage: patnc.NoLimit, MaxSegment: size}}))
	}
	v.reply(to, patnc.NoSkip(pts.RequestProtocolCapabilities{Capabilities: pts.CapVerify | pts.CapDHNonce | pts.CapTPM}))
	v.reply(to, patnc.NoSkip(pts.MeasurementAlgorithm{Algorithms: v.offered}))
}

func (v *Verifier) askMeasurements() {
	v.open = false
	to := v.ptsAddress()
	p := &v.cfg.Policy
	ask := func(req request) {
		v.nextID++
		if v.nextID == 0 {
			v.nextID = 1
		}
		v.files[v.nextID] = req
		v.pts.Info(fmt.Sprintf("measurement request %d for %s '%s'", v.nextID, kind(req.directory), req.path))
		v.reply(to, patnc.NoSkip(pts.RequestFileMeasurement{Directory: req.directory, RequestID: v.nextID, Path: req.path}))
	}
	for _, file := range sortedKeys(p.Files) {
		ask(request{path: file, digests: p.Files[file]})
	}
	for _, dir := range sortedKeys(p.Directories) {
		ask(request{path: dir, directory: true, names: p.Directories[dir]})
	}
	for _, file := range p.Metadata {
		req := request{path: file, directory: strings.HasSuffix(file, "/")}
		v.metadata = append(v.metadata, req)
		v.pts.Info(fmt.Sprintf("metadata request for %s '%s'", kind(req.directory), req.path))
		v.reply(to, patnc.NoSkip(pts.RequestFileMetadata{Directory: req.directory, Path: req.path}))
	}
}

func kind(directory bool) string {
	if directory {
		return "directory"
	}
	return "file"
}

func (v *Verifier) finding(text string) {
	if v.phase != phaseDecided && len(v.findings) < maxRecorded {
		v.findings = append(v.findings, text)
	}
}

// decide settles the recommendation and sends the IMC its assessment result.
func (v *Verifier) decide() {
	p := &v.cfg.Policy
	if p.Product != "" && !strings.HasPrefix(v.report.Product, p.Product) {
		v.finding(fmt.Sprintf("product is %q, the policy wants %q", v.report.Product, p.Product))
	}
	if len(p.Devices) > 0 && !slices.Contains(p.Devices, v.report.DeviceID) {
		v.finding(fmt.Sprintf("device %q is not known to the policy", v.report.DeviceID))
	}
	r := &v.report
	switch {
	case p.Force != None:
		r.Recommendation = p.Force
	case v.silent:
		r.Recommendation = orElse(p.OnSilence, Deny)
	case len(v.findings) > 0:
		r.Recommendation = orElse(p.OnMismatch, Isolate)
	default:
		r.Recommendation = Allow
	}
	r.Decided = true
	if r.Recommendation != Allow {
		r.Reason = v.reason()
	}
	v.phase = phaseDecided
	v.imv.Info(fmt.Sprintf("IMV %d provides recommendation '%s' and evaluation '%s'", v.cfg.ID, r.Recommendation, v.assessment()))
	if !v.silent {
		to := v.ptsAddress()
		v.reply(to, patnc.Skip(patnc.AssessmentResult{Result: patnc.Assessment(v.assessment())}))
		if p.Remediation != "" && r.Recommendation != Allow {
			v.reply(to, patnc.Skip(patnc.RemediationInstructions{Parameters: patnc.RemediationURI, URI: p.Remediation}))
		}
	}
}

func orElse(r, fallback Recommendation) Recommendation {
	if r == None {
		return fallback
	}
	return r
}

func (v *Verifier) assessment() pb.Assessment {
	switch {
	case v.silent:
		return pb.DontKnow
	case v.report.Recommendation == Allow:
		return pb.Compliant
	case v.report.Recommendation == Isolate:
		return pb.MinorFailure
	}
	return pb.MajorFailure
}

// reason is the sentence for the client.
func (v *Verifier) reason() string {
	if v.cfg.Policy.Reason != "" {
		return v.cfg.Policy.Reason
	}
	text := "Access is restricted by the policy of this gateway"
	if len(v.findings) > 0 {
		text = strings.Join(v.findings, "; ")
	}
	text = strings.ReplaceAll(text, "\x00", "?")
	if len(text) > maxReason {
		text = text[:maxReason]
		for !utf8.ValidString(text) && len(text) > maxReason-utf8.UTFMax {
			text = text[:len(text)-1]
		}
		text += " …"
	}
	return text
}

// Result returns the recommendation once there is one.
func (v *Verifier) Result() (pbserver.Result, bool) {
	if v.phase != phaseDecided {
		return pbserver.Result{}, false
	}
	r := pbserver.Result{Assessment: v.assessment(), Access: pb.AccessDenied}
	switch v.report.Recommendation {
	case Allow:
		r.Access = pb.AccessAllowed
	case Isolate:
		r.Access = pb.Quarantined
	}
	if v.report.Reason != "" {
		lang := v.cfg.Policy.Language
		if lang == "" {
			lang = "en"
		}
		r.Reasons = []pb.ReasonString{{Text: v.report.Reason, Language: lang}}
	}
	if r.Access != pb.AccessAllowed {
		r.URI = v.cfg.Policy.Remediation
	}
	return r, true
}

// reply queues an attribute for an IMC.
func (v *Verifier) reply(to pa, a patnc.Attribute) {
	if v.replies == nil {
		v.replies = make(map[pa][]patnc.Attribute)
	}
	if _, ok := v.replies[to]; !ok {
		v.order = append(v.order, to)
	}
	v.replies[to] = append(v.replies[to], a)
}

// flush packs what was queued into as few PA-TNC messages as possible.
func (v *Verifier) flush() (out []pb.PA) {
	for _, to := range v.order {
		var body []byte
		for _, a := range v.replies[to] {
			encoded, err := a.AppendBinary(nil)
			if err != nil || len(encoded) > v.cfg.MaxMessage-patnc.MessageHeaderSize {
				v.tnc.Warn(fmt.Sprintf("leaving out PA-TNC attribute type %s: %v", a.Value.Type(), err))
				continue
			}
			if body != nil && len(body)+len(encoded) > v.cfg.MaxMessage {
				out = append(out, v.message(to, body))
				body = nil
			}
			if body == nil {
				body = v.header()
			}
			v.tnc.Info("creating PA-TNC attribute type " + a.Value.Type().String())
			body = append(body, encoded...)
		}
		if body != nil {
			out = append(out, v.message(to, body))
		}
	}
	v.replies, v.order = nil, nil
	return out
}

func (v *Verifier) header() []byte {
	id := v.cfg.Random()
	v.tnc.Info(fmt.Sprintf("creating PA-TNC message with ID 0x%08x", id))
	return wire.AppendU32([]byte{patnc.Version, 0, 0, 0}, id)
}

func (v *Verifier) message(to pa, body []byte) pb.PA {
	if v.cfg.Rewrite != nil {
		body = v.cfg.Rewrite(v.sent, body)
	}
	v.sent++
	return pb.PA{Exclusive: to.exclusive, Vendor: to.vendor, Subtype: to.subtype, Collector: to.imc, Validator: v.cfg.ID, Body: body}
}
