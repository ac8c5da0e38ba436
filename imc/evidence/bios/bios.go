// Package bios reads the event log that firmware and boot loaders leave behind,
// /sys/kernel/security/tpm0/binary_bios_measurements, event by event and in
// bounded memory: the SHA-1 format of TPM 1.2 and the crypto-agile format of
// TPM 2.0 (TCG PC Client Platform Firmware Profile section 9, section 10.2).
//
// SHA-1 format, little-endian, and the first event of the crypto-agile format:
//
//	u32 PCR | u32 type | 20 octets SHA-1 | u32 length, event
//
// All further events of the crypto-agile format:
//
//	u32 PCR | u32 type | u32 count, n × { u16 algorithm, digest } | u32 length, event
//
// A log that is a copy of the area that the firmware reserved for it, as the one of
// the ACPI table CCEL, ends with octets that are all 0xFF or all zero.
package bios

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// Limits of a log, whatever its lengths say.
const (
	MaxEvent      = 1 << 20 // octets of one event's data
	MaxAlgorithms = 16      // digests of one event
	MaxEvents     = 1 << 16
	maxDigest     = 128 // octets that a header may announce
)

// Causes of errors, beside those of reading.
var (
	ErrTruncated  = errors.New("log ends within an event")
	ErrEvent      = fmt.Errorf("event longer than %d octets", MaxEvent)
	ErrAlgorithms = fmt.Errorf("more than %d digests", MaxAlgorithms)
	ErrAlgorithm  = errors.New("digest of an algorithm that the log's header does not name")
	ErrEvents     = fmt.Errorf("log holds more than %d events", MaxEvents)
	ErrHeader     = errors.New("malformed Spec ID event")
	ErrPadding    = errors.New("octets of an event follow the padding")
)

// SM3 is the TPM_ALG_ID of a hash algorithm whose digests are read, but which Go
// does not have.
const SM3 pcr.Hash = 0x0012

// digestSize returns the octets of a digest, 0 for an unknown algorithm.
func digestSize(h pcr.Hash) int {
	if h == SM3 {
		return 32
	}
	return h.Size()
}

// Digest is one bank's digest of an event.
type Digest struct {
	Algorithm pcr.Hash
	Sum       []byte
}

// Event is one event of the log. Its slices are the event's own.
type Event struct {
	Index   int   // counted from 0, the header included
	Offset  int64 // where it begins
	PCR     uint32
	Type    EventType
	Digests []Digest
	Data    []byte
}

// Digest returns the digest of a bank, nil where the event has none.
func (e *Event) Digest(h pcr.Hash) []byte {
	for _, d := range e.Digests {
		if d.Algorithm == h {
			return d.Sum
		}
	}
	return nil
}

// Extends reports whether the event extended a PCR: all but EV_NO_ACTION do.
func (e *Event) Extends() bool { return e.Type != NoAction }

const localitySignature = "StartupLocality\x00"

// StartupLocality returns the locality from which the TPM was started, where
// the event tells it: PCR 0 then began with that in its last octet.
func (e *Event) StartupLocality() (locality uint8, ok bool) {
	if e.Type != NoAction || e.PCR != 0 || len(e.Data) != len(localitySignature)+1 || string(e.Data[:len(localitySignature)]) != localitySignature {
		return 0, false
	}
	return e.Data[len(localitySignature)], true
}

// Reader reads the events of a log.
type Reader struct {
	in     *bufio.Reader
	offset int64
	n      int
	header *Header
	err    error
}

// NewReader returns a Reader of the log that in delivers; it reads ahead.
func NewReader(in io.Reader) *Reader { return &Reader{in: bufio.NewReader(in)} }

// Header returns the header of a crypto-agile log; nil for the SHA-1 format
// and before the first event.
func (r *Reader) Header() *Header { return r.header }

func (r *Reader) fail(at int64, cause error) (*Event, error) {
	r.err = fmt.Errorf("read BIOS log: event %d at octet %d: %w", r.n, at, cause)
	return nil, r.err
}

// read fills b. At the end of the log the error is ErrTruncated, or io.EOF
// where nothing at all was left.
func (r *Reader) read(b []byte) error {
	n, err := io.ReadFull(r.in, b)
	r.offset += int64(n)
	if err == io.ErrUnexpectedEOF {
		return ErrTruncated
	}
	return err
}

func (r *Reader) within(b []byte) error {
	err := r.read(b)
	if err == io.EOF {
		return ErrTruncated
	}
	return err
}

// bytes reads n octets; what is allocated follows what arrives.
func (r *Reader) bytes(n uint32) ([]byte, error) {
	const step = 64 << 10
	if n <= step {
		b := make([]byte, n)
		return b, r.within(b)
	}
	var out bytes.Buffer
	m, err := io.CopyN(&out, r.in, int64(n))
	r.offset += m
	if err == io.EOF {
		err = ErrTruncated
	}
	return out.Bytes(), err
}

// Next returns the next event, the header of a crypto-agile log included. At
// the end of the log the error is io.EOF. Every error is final.
func (r *Reader) Next() (*Event, error) {
	if r.err != nil {
		return nil, r.err
	}
	le := binary.LittleEndian
	at := r.offset
	var head [8]byte
	var err error
	if b, ok := r.padded(); ok {
		err = r.padding(b)
	} else {
		err = r.read(head[:])
	}
	if err == io.EOF {
		r.err = io.EOF
		return nil, io.EOF
	} else if err != nil {
		return r.fail(at, err)
	}
	if r.n >= MaxEvents {
		return r.fail(at, ErrEvents)
	}
	e := &Event{Index: r.n, Offset: at, PCR: le.Uint32(head[:]), Type: EventType(le.Uint32(head[4:]))}
	if err := r.digests(e); err != nil {
		return r.fail(at, err)
	}
	var size [4]byte
	if err := r.within(size[:]); err != nil {
		return r.fail(at, err)
	}
	n := le.Uint32(size[:])
	if n > MaxEvent {
		return r.fail(at, fmt.Errorf("%w: %d", ErrEvent, n))
	}
	if e.Data, err = r.bytes(n); err != nil {
		return r.fail(at, err)
	}
	if r.n == 0 && e.Type == NoAction && bytes.HasPrefix(e.Data, []byte(specSignature)) {
		if err := r.readHeader(e.Data); err != nil {
			return r.fail(at, err)
		}
	}
	r.n++
	return e, nil
}

func (r *Reader) readHeader(data []byte) error {
	h, missing, err := parseHeader(data)
	if err != nil {
		return err
	}
	if missing > 0 {
		if h.VendorInfo, err = r.bytes(uint32(missing)); err != nil {
			return err
		}
	}
	r.header = h
	return nil
}

func (r *Reader) digests(e *Event) error {
	if r.header == nil {
		sum := make([]byte, pcrSHA1)
		e.Digests = []Digest{{pcr.SHA1, sum}}
		return r.within(sum)
	}
	le := binary.LittleEndian
	var b [4]byte
	if err := r.within(b[:]); err != nil {
		return err
	}
	n := le.Uint32(b[:])
	if n > MaxAlgorithms {
		return fmt.Errorf("%w: %d", ErrAlgorithms, n)
	}
	for range n {
		if err := r.within(b[:2]); err != nil {
			return err
		}
		a := pcr.Hash(le.Uint16(b[:]))
		size := 0
		for _, h := range r.header.Algorithms {
			if h.Algorithm == a {
				size = int(h.Size)
			}
		}
		if size == 0 {
			size = digestSize(a)
		}
		if size == 0 {
			return fmt.Errorf("%w: 0x%04x", ErrAlgorithm, uint16(a))
		}
		sum := make([]byte, size)
		if err := r.within(sum); err != nil {
			return err
		}
		e.Digests = append(e.Digests, Digest{a, sum})
	}
	return nil
}

const pcrSHA1 = 20

// Replay extends a bank by the log's events, from the log's start-up locality
// or, where it tells none, from locality. It returns the number of events that
// extended the bank.
func Replay(in io.Reader, b *pcr.Bank, locality uint8) (n int, err error) {
	b.SetLocality(locality)
	r := NewReader(in)
	for {
		e, err := r.Next()
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
		if l, ok := e.StartupLocality(); ok && b.Touched()&1 == 0 {
			b.SetLocality(l)
		}
		if e.Extends() && b.Extend(e.PCR, e.Digest(b.Hash())) {
			n++
		}
	}
}
