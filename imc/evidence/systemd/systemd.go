// Package systemd reads the log of what systemd measured after the kernel started,
// /run/log/systemd/tpm2-measure.log, record by record and in bounded memory.
//
// The log is a JSON text sequence (RFC 7464): each record is the octet 0x1E, a JSON
// object in the form of TCG CEL-JSON without a record number, and a line feed:
//
//	{"pcr":11,"digests":[{"hashAlg":"sha256","digest":"…"}],
//	 "content_type":"systemd","content":{"eventType":"phase","string":"sysinit"}}
//
// A measurement into an NvPCR, an NV index of the TPM that is extended as a PCR is, has
// "nv_index" in the place of "pcr" and the name "nvIndexName" in its content.
package systemd

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// Limits of a log, whatever it holds.
const (
	MaxRecord  = 64 << 10 // octets of one record
	MaxRecords = 1 << 16
	MaxDigests = 16 // of one record
)

// Causes of errors, beside those of reading.
var (
	ErrRecord    = errors.New("record is no measurement in the form of CEL-JSON")
	ErrLong      = fmt.Errorf("record longer than %d octets", MaxRecord)
	ErrRecords   = fmt.Errorf("log holds more than %d records", MaxRecords)
	ErrTruncated = errors.New("log ends within a record")
)

const separator = 0x1E

// Digest is one bank's digest of a record.
type Digest struct {
	Algorithm pcr.Hash
	Sum       []byte
}

// Record is one measurement.
type Record struct {
	Index   int    // counted from 0
	PCR     uint32 // that was extended, where NvPCR is empty
	NvPCR   string // name or NV index in hex of the NvPCR that was extended
	Digests []Digest
	Type    string // "phase", "machine-id", "filesystem" …; may be empty
	Text    string // what was measured; may be empty, and is not to be trusted
}

// Digest returns the digest of a bank, nil where the record has none.
func (r *Record) Digest(h pcr.Hash) []byte {
	for _, d := range r.Digests {
		if d.Algorithm == h {
			return d.Sum
		}
	}
	return nil
}

// Reader reads the records of a log.
type Reader struct {
	in     *bufio.Reader
	n      int
	offset int64
	err    error
}

// NewReader returns a Reader of the log that in delivers; it reads ahead.
func NewReader(in io.Reader) *Reader { return &Reader{in: bufio.NewReader(in)} }

// Next returns the next record. At the end of the log the error is io.EOF. Every error
// is final.
func (r *Reader) Next() (*Record, error) {
	if r.err != nil {
		return nil, r.err
	}
	at := r.offset
	rec, err := r.next()
	if err != nil {
		if r.err = err; err != io.EOF {
			r.err = fmt.Errorf("read systemd's log: record %d at octet %d: %w", r.n, at, err)
		}
		return nil, r.err
	}
	rec.Index = r.n
	r.n++
	return rec, nil
}

func (r *Reader) next() (*Record, error) {
	for {
		b, err := r.sequence()
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(b)) == 0 {
			continue // RFC 7464 section 2.1: empty texts are ignored
		}
		if r.n >= MaxRecords {
			return nil, ErrRecords
		}
		return parse(b)
	}
}

// sequence returns the octets up to the next separator; io.EOF where there are none.
func (r *Reader) sequence() ([]byte, error) {
	var out []byte
	for {
		part, err := r.in.ReadSlice(separator)
		r.offset += int64(len(part))
		if len(out)+len(part) > MaxRecord {
			return nil, ErrLong
		}
		out = append(out, part...)
		switch err {
		case nil:
			return out[:len(out)-1], nil
		case bufio.ErrBufferFull:
		case io.EOF:
			if len(out) == 0 {
				return nil, io.EOF
			}
			if out[len(out)-1] != '\n' {
				return nil, ErrTruncated // RFC 7464 section 2.4
			}
			return out, nil
		default:
			return nil, err
		}
	}
}

// algorithms are the names that CEL-JSON has for the banks.
var algorithms = map[string]pcr.Hash{"sha1": pcr.SHA1, "sha256": pcr.SHA256, "sha384": pcr.SHA384, "sha512": pcr.SHA512}

func parse(b []byte) (*Record, error) {
	var in struct {
		PCR     *uint32 `json:"pcr"`
		NV      *uint32 `json:"nv_index"`
		Digests []struct {
			Algorithm string `json:"hashAlg"`
			Digest    string `json:"digest"`
		} `json:"digests"`
		Content json.RawMessage `json:"content"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	out := &Record{}
	switch {
	case in.PCR != nil && in.NV == nil:
		out.PCR = *in.PCR
	case in.NV != nil && in.PCR == nil:
		out.NvPCR = fmt.Sprintf("0x%x", *in.NV)
	default:
		return nil, fmt.Errorf("%w: one of pcr and nv_index is wanted", ErrRecord)
	}
	if len(in.Digests) == 0 || len(in.Digests) > MaxDigests {
		return nil, fmt.Errorf("%w: %d digests", ErrRecord, len(in.Digests))
	}
	for _, d := range in.Digests {
		h := algorithms[d.Algorithm]
		if h == 0 {
			continue // an algorithm that no bank here has
		}
		sum, err := hex.DecodeString(d.Digest)
		if err != nil || len(sum) != h.Size() {
			return nil, fmt.Errorf("%w: no digest of %s", ErrRecord, d.Algorithm)
		}
		out.Digests = append(out.Digests, Digest{h, sum})
	}
	// What the content is depends on who wrote the record; none of it is needed.
	var content struct {
		Type string `json:"eventType"`
		Text string `json:"string"`
		Name string `json:"nvIndexName"`
	}
	if len(in.Content) > 0 && json.Unmarshal(in.Content, &content) == nil {
		out.Type, out.Text = content.Type, content.Text
		if out.NvPCR != "" && content.Name != "" {
			out.NvPCR = content.Name
		}
	}
	return out, nil
}
