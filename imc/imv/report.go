package imv

import (
	"fmt"
	"time"
)

// Report is what one assessment found. A copy: the caller may keep it.
type Report struct {
	Product    string            // Product Information: name
	Vendor     uint32            // Product Information: Private Enterprise Number
	Version    string            // String Version
	DeviceID   string            // ITA Device ID
	Attributes []string          // names of every attribute received, in order
	Errors     []string          // PA-TNC errors received, one sentence each
	Settings   map[string]string // other platform facts received, by attribute name

	IMCs         []uint16 // Collector IDs seen
	Capabilities uint32   // PTS protocol capabilities of the client, a pts.Capabilities
	Hash         string   // measurement algorithm the client selected: sha1, sha256, …
	SegmentSize  uint32   // segment size that the client agreed to, 0 without a contract

	Files          []Measurement
	Metadata       []Metadata
	Rounds         int // PA-TNC exchanges
	Decided        bool
	Recommendation Recommendation
	Findings       []string // what was wrong, one sentence each
	Reason         string   // sentence sent to the client
}

// Measurement is the digest of one file.
type Measurement struct {
	Path   string // absolute
	Digest []byte // nil when the file could not be measured
	Result Result
}

// Metadata is what the client told about one file (Unix-Style File Metadata).
type Metadata struct {
	Path                        string
	Type                        uint8 // a pts.FileType: 8 regular, 4 directory, …
	Size                        uint64
	Changed, Modified, Accessed time.Time
	Owner, Group                uint64
}

// Result is what comparing a measurement came to.
type Result int

const (
	Unchecked Result = iota // no reference digest
	Match                   // equal
	Mismatch                // different
	Missing                 // the client did not report the file
	Unknown                 // not named by the reference of its directory
)

func (r Result) String() string {
	switch r {
	case Match:
		return "match"
	case Mismatch:
		return "mismatch"
	case Missing:
		return "missing"
	case Unknown:
		return "unknown"
	}
	return "unchecked"
}

func (m Measurement) String() string {
	return fmt.Sprintf("%s %x %s", m.Path, m.Digest, m.Result)
}

func (r *Report) clone() Report {
	c := *r
	c.Attributes = append([]string(nil), r.Attributes...)
	c.Errors = append([]string(nil), r.Errors...)
	c.IMCs = append([]uint16(nil), r.IMCs...)
	c.Metadata = append([]Metadata(nil), r.Metadata...)
	c.Findings = append([]string(nil), r.Findings...)
	c.Files = make([]Measurement, len(r.Files))
	for i, m := range r.Files {
		m.Digest = append([]byte(nil), m.Digest...)
		c.Files[i] = m
	}
	c.Settings = make(map[string]string, len(r.Settings))
	for k, v := range r.Settings {
		c.Settings[k] = v
	}
	return c
}
