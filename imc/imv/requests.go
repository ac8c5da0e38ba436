package imv

import (
	"slices"
	"strings"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
)

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
		v.reply(pa{patnc.VendorIETF, subtypeOS, AnyID, false}, patnc.Skip(patnc.AttributeRequest{Types: want}))
	}
}

// ptsAddress is where PTS requests go: exclusively to the IMC that announced
// itself, to all that listen where none did.
func (v *Verifier) ptsAddress() pa {
	if v.open || v.target == AnyID {
		return pa{patnc.VendorTCG, subtypePTS, AnyID, false}
	}
	return pa{patnc.VendorTCG, subtypePTS, v.target, true}
}

// negotiate opens the PTS exchange (TCG PTS Protocol Binding section 3.6).
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
		log.Infof(v.pts, "measurement request %d for %s '%s'", v.nextID, kind(req.directory), req.path)
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
		log.Infof(v.pts, "metadata request for %s '%s'", kind(req.directory), req.path)
		v.reply(to, patnc.NoSkip(pts.RequestFileMetadata{Directory: req.directory, Path: req.path}))
	}
}

func kind(directory bool) string {
	if directory {
		return "directory"
	}
	return "file"
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
