package imv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/imc/pts"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
)

// Receive handles one PA-TNC message of the client. Messages of other types than
// IETF/Operating System and TCG/PTS are ignored.
func (v *Verifier) Receive(m Message) {
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
	} else if v.target == AnyID {
		v.target = m.Collector
	}
	log.Infof(v.imv, "IMV %d received message from IMC %d", v.cfg.ID, m.Collector)
	msg, err := patnc.Parse(m.Body, pts.Attributes)
	log.Infof(v.tnc, "processing PA-TNC message with ID 0x%08x", msg.ID)
	from := pa{m.Vendor, m.Subtype, m.Collector, true}
	for _, a := range msg.Attributes {
		v.attribute(from, a)
	}
	if err != nil {
		log.Infof(v.tnc, "%v", err)
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
	log.Infof(v.tnc, "processing PA-TNC attribute type %v", t)
	r := &v.report
	if len(r.Attributes) < maxRecorded {
		r.Attributes = append(r.Attributes, nameOf(t))
	}
	switch x := a.Value.(type) {
	case patnc.ProductInformation:
		r.Product, r.Vendor = text.Printable(x.Name), x.Vendor
	case patnc.StringVersion:
		r.Version = text.Printable(x.Version)
	case patnc.DeviceID:
		r.DeviceID = text.Printable(x.ID)
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
		log.Infof(v.pts, "supported PTS protocol capabilities: %v", x.Capabilities)
	case pts.MeasurementAlgorithmSelection:
		if x.Algorithm&v.offered != x.Algorithm || x.Algorithm.Size() == 0 {
			v.finding(fmt.Sprintf("the client selected measurement algorithm %s, which was not offered", x.Algorithm))
			return
		}
		v.algorithm = x.Algorithm
		r.Hash = hashName(x.Algorithm)
		log.Infof(v.pts, "selected PTS measurement algorithm is %v", x.Algorithm)
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
	sentence := e.String()
	if e.Vendor == patnc.VendorTCG {
		sentence = "PTS error '" + pts.ErrorCode(e.Code).String() + "'"
	}
	if len(v.report.Errors) < maxRecorded {
		v.report.Errors = append(v.report.Errors, sentence)
	}
	log.Infof(v.tnc, "received %s", sentence)
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
	v.finding("the client answered " + sentence)
}

// measured compares the digests of one File Measurement.
func (v *Verifier) measured(m pts.FileMeasurement) {
	req, ok := v.files[m.RequestID]
	if !ok {
		log.Infof(v.pts, "no entry found for file measurement request %d", m.RequestID)
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

// inside is the path of a file that the client reports in a directory: never
// outside of it, and fit for a log.
func inside(directory, name string) string {
	return path.Join(directory, path.Clean("/"+text.Printable(name)))
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
	log.Infof(v.pts, "%x for '%s' is %s", digest, file, m.Result)
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
