// Package ima reads Linux' IMA runtime measurement list in its binary form,
// /sys/kernel/security/ima/binary_runtime_measurements, entry by entry and in
// bounded memory, and computes what each entry extended its PCR by.
//
// # Usage
//
// NewReader reads any io.Reader; Next returns entry after entry, each valid until
// the next call, and io.EOF at the end. Entry.Fields decodes the file's name and
// digest, Entry.Intact holds the entry against its own template digest, and
// Entry.AppendMeasurement computes what extends a PCR bank. Extending a pcr.Bank
// with each of them leads to the value of the TPM's PCR.
//
// # Format
//
// A record is
//
//	u32 PCR | template digest | u32 length, template name | template data
//
// where the template data of "ima" is 20 octets file digest | u32 length, file
// name, and of every other template u32 length | fields, each u32 length |
// octets. The integers are little-endian; on a big-endian machine without
// ima_canonical_fmt big-endian, those inside the template data too (Linux
// Documentation/security/IMA-templates.rst, security/integrity/ima/ima_fs.c).
package ima

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// Limits of a log, whatever its lengths say.
const (
	MaxTemplateName = 255      // TCG_EVENT_NAME_LEN_MAX
	MaxFileName     = 4096     // of template "ima": PATH_MAX, the kernel's own limit is 255
	MaxTemplateData = 4 << 20  // octets of one entry's fields
	MaxEntries      = 16 << 20 // of one log
)

// Causes of errors, beside those of reading.
var (
	ErrTruncated = errors.New("log ends within an entry")
	ErrName      = fmt.Errorf("template name longer than %d octets or empty", MaxTemplateName)
	ErrData      = fmt.Errorf("template data longer than %d octets", MaxTemplateData)
	ErrPCR       = fmt.Errorf("PCR index not below %d", pcr.Count)
	ErrEntries   = fmt.Errorf("log holds more than %d entries", MaxEntries)
)

// legacyTemplate is the only one whose data has no lengths.
const legacyTemplate = "ima"

// digestSize is the size of the file digest of template "ima", and the room
// that its name takes in the template digest: IMA_EVENT_NAME_LEN_MAX + 1.
const (
	digestSize   = 20
	legacyName   = 256
	windowSize   = 64 << 10
	maxDigest    = pcr.MaxSize
	recordHeader = 4
)

// Config says how a log is written.
type Config struct {
	// Hash is the algorithm of the template digest field: 0 is SHA-1, which
	// binary_runtime_measurements has; binary_runtime_measurements_sha256 has
	// SHA-256, and so on.
	Hash pcr.Hash
	// Order of the integers; nil: told from the first entry.
	Order binary.ByteOrder
}

// Reader reads the entries of a log. It holds one window of the log, which
// grows to the size of the largest entry and never over the limits.
type Reader struct {
	in     io.Reader
	hash   pcr.Hash
	size   int
	order  binary.ByteOrder
	buf    []byte // the window: buf[pos:] is not yet read
	pos    int
	eof    bool
	err    error
	offset int64 // of buf[pos] in the log
	n      int
	entry  Entry
	name   string // the last template name
}

// NewReader returns a Reader of the log that in delivers.
func NewReader(in io.Reader, o Config) *Reader {
	if o.Hash == 0 {
		o.Hash = pcr.SHA1
	}
	r := &Reader{in: in, hash: o.Hash, order: o.Order}
	if r.size = o.Hash.Size(); r.size == 0 {
		r.err = fmt.Errorf("read IMA log: no template digest algorithm %v", o.Hash)
	}
	return r
}

// Offset returns where in the log the next entry begins.
func (r *Reader) Offset() int64 { return r.offset }

// Count returns the number of entries read.
func (r *Reader) Count() int { return r.n }

// Order returns the order of the log's integers, nil before the first entry
// where Config leaves it open.
func (r *Reader) Order() binary.ByteOrder { return r.order }

// fill makes n octets from pos on available; false at the end of the log, or
// after an error in r.err.
func (r *Reader) fill(n int) bool {
	for len(r.buf)-r.pos < n {
		if r.eof || r.err != nil {
			return false
		}
		if r.pos > 0 {
			r.buf = r.buf[:copy(r.buf, r.buf[r.pos:])]
			r.pos = 0
		}
		if len(r.buf) == cap(r.buf) {
			// Grown as octets arrive, not as a length claims.
			grown := make([]byte, len(r.buf), max(windowSize, 2*cap(r.buf)))
			copy(grown, r.buf)
			r.buf = grown
		}
		m, err := r.in.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+m]
		switch {
		case err == io.EOF:
			r.eof = true
		case err != nil:
			r.err = fmt.Errorf("read IMA log: %w", err)
		case m == 0:
			r.err = fmt.Errorf("read IMA log: %w", io.ErrNoProgress)
		}
	}
	return true
}

func (r *Reader) fail(cause error) (*Entry, error) {
	if r.err == nil {
		r.err = fmt.Errorf("read IMA log: entry %d at octet %d: %w", r.n, r.offset, cause)
	}
	return nil, r.err
}

// u32 reads the integer at n octets after pos, which are available.
func (r *Reader) u32(n int) uint32 {
	b := r.buf[r.pos+n : r.pos+n+4]
	if r.order == binary.BigEndian {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

// Next returns the next entry; it is valid until the next call. At the end of
// the log the error is io.EOF; reading may go on after it, for a log that
// grows. Any other error is final.
func (r *Reader) Next() (*Entry, error) {
	if r.err != nil {
		return nil, r.err
	}
	r.eof = false
	head := recordHeader + r.size + 4
	if !r.fill(head) {
		if r.err == nil && r.pos == len(r.buf) {
			return nil, io.EOF
		}
		return r.fail(ErrTruncated)
	}
	if r.order == nil {
		r.order = r.guess()
	}
	if r.n >= MaxEntries {
		return r.fail(ErrEntries)
	}
	e := &r.entry
	e.PCR = r.u32(0)
	if e.PCR >= pcr.Count {
		return r.fail(fmt.Errorf("%w: %d", ErrPCR, e.PCR))
	}
	nameLen := r.u32(recordHeader + r.size)
	if nameLen == 0 || nameLen > MaxTemplateName {
		return r.fail(ErrName)
	}
	data := head + int(nameLen) // start of the template data
	if !r.fill(data + 4) {
		return r.fail(ErrTruncated)
	}
	var end int
	if string(r.buf[r.pos+head:r.pos+data]) == legacyTemplate {
		if !r.fill(data + digestSize + 4) {
			return r.fail(ErrTruncated)
		}
		n := r.u32(data + digestSize)
		if n > MaxFileName {
			return r.fail(ErrData)
		}
		end = data + digestSize + 4 + int(n)
	} else {
		n := r.u32(data)
		if n > MaxTemplateData {
			return r.fail(ErrData)
		}
		data += 4
		end = data + int(n)
	}
	if !r.fill(end) {
		return r.fail(ErrTruncated)
	}
	rec := r.buf[r.pos : r.pos+end]
	if t := rec[head : head+int(nameLen)]; string(t) != r.name {
		r.name = string(t)
	}
	e.Index, e.Offset = r.n, r.offset
	e.Digest = rec[recordHeader : recordHeader+r.size : recordHeader+r.size]
	e.Template = r.name
	e.Data = rec[data:end:end]
	e.Hash, e.order = r.hash, r.order
	r.pos += end
	r.offset += int64(end)
	r.n++
	return e, nil
}

// guess tells the order from the first record: its PCR index is small, and so
// is the length of its template name.
func (r *Reader) guess() binary.ByteOrder {
	b := r.buf[r.pos:]
	index, name := b[:4], b[recordHeader+r.size:]
	if binary.LittleEndian.Uint32(index) < pcr.Count && binary.LittleEndian.Uint32(name) <= MaxTemplateName {
		return binary.LittleEndian
	}
	if binary.BigEndian.Uint32(index) < pcr.Count && binary.BigEndian.Uint32(name) <= MaxTemplateName {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// Entry is one record of the list. Its slices are views into the Reader's
// window: Clone what is kept.
type Entry struct {
	Index    int      // counted from 0
	Offset   int64    // where the record begins
	PCR      uint32   // that was extended, normally 10
	Digest   []byte   // template digest as recorded; all zero for a violation
	Hash     pcr.Hash // of Digest
	Template string   // name, or the format of a template that has no name: "d-ng|n-ng"
	Data     []byte   // template data as recorded, without its outer length

	order binary.ByteOrder
}

// Clone returns a copy that does not depend on the Reader.
func (e *Entry) Clone() *Entry {
	c := *e
	c.Digest, c.Data = bytes.Clone(e.Digest), bytes.Clone(e.Data)
	return &c
}

var zeros [maxDigest]byte

// Violation reports whether the entry records that a measurement was invalid:
// a file was opened for writing while it was measured or while it was open for
// reading (ToMToU).
func (e *Entry) Violation() bool { return bytes.Equal(e.Digest, zeros[:len(e.Digest)]) }

// AppendTemplateDigest appends the digest of the template data to b: for
// template "ima" over the file digest and the name padded with zeros to 256
// octets, for all others over the data exactly as recorded.
func (e *Entry) AppendTemplateDigest(b []byte, h pcr.Hash) []byte {
	if e.Template != legacyTemplate || len(e.Data) < digestSize+4 {
		return pcr.AppendSum(b, h, e.Data)
	}
	name := e.Data[digestSize+4:]
	if len(name) > legacyName {
		name = name[:legacyName]
	}
	var in [digestSize + legacyName]byte
	copy(in[:], e.Data[:digestSize])
	copy(in[digestSize:], name)
	return pcr.AppendSum(b, h, in[:])
}

// Padding says how a kernel extends banks other than SHA-1.
type Padding uint8

// What kernels do.
const (
	// PadNone: by the template digest of the bank's algorithm, since Linux 5.8.
	PadNone Padding = iota
	// PadSHA1: by the SHA-1 template digest followed by zeros, violations by 20
	// octets of ones followed by zeros: before 5.8.
	PadSHA1
	// PadMissing: by the SHA-1 template digest followed by zeros, violations by
	// ones: since 5.8 where the kernel had no implementation of the bank's
	// algorithm when IMA started ("ima: Can not allocate sha384"); Debian's has
	// none but SHA-1 and SHA-256.
	PadMissing
)

// String names the padding.
func (p Padding) String() string {
	switch p {
	case PadNone:
		return "no padding"
	case PadSHA1:
		return "SHA-1 digests padded (Linux before 5.8)"
	case PadMissing:
		return "SHA-1 digests padded (the kernel lacked the bank's algorithm when IMA started)"
	}
	return "unknown padding"
}

// AppendMeasurement appends what the entry's PCR was extended by in the bank
// of the algorithm: the recorded template digest where that is of the bank's
// algorithm, else the template digest computed for it; all ones for a
// violation. The bank of SHA-1 knows no padding.
func (e *Entry) AppendMeasurement(b []byte, bank pcr.Hash, padding Padding) []byte {
	h, start := bank, len(b)
	if padding != PadNone {
		h = pcr.SHA1
	}
	switch {
	case e.Violation():
		if padding == PadMissing {
			h = bank
		}
		for range h.Size() {
			b = append(b, 0xFF)
		}
	case h == e.Hash:
		b = append(b, e.Digest...)
	default:
		b = e.AppendTemplateDigest(b, h)
	}
	return append(b, zeros[:bank.Size()-(len(b)-start)]...)
}

// Intact reports whether the recorded template digest is that of the template
// data. A violation has none.
func (e *Entry) Intact() bool {
	var sum [maxDigest]byte
	return e.Violation() || bytes.Equal(e.AppendTemplateDigest(sum[:0], e.Hash), e.Digest)
}
