package pts

import (
	"bytes"
	"math"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// Delimiters of file paths, as UTF-32 code points.
const (
	DelimiterSlash     = '/'
	DelimiterBackslash = '\\'
)

const flagDirectory = 0x80

// RequestFileMeasurement is the Request File Measurement (TCG PTS Protocol
// Binding section 3.19.1):
//
//	u8 flags, 0x80 = directory contents | u8 0 | u16 request ID | u32 delimiter | path
type RequestFileMeasurement struct {
	Directory bool // measure the files of the directory Path
	RequestID uint16
	Delimiter uint32 // UTF-32 code point; 0 encodes as '/'
	Path      string // no NUL
}

// Type returns TCG type 0x00C00000.
func (RequestFileMeasurement) Type() patnc.Type { return TypeRequestFileMeasurement }

// AppendValue appends the value.
func (v RequestFileMeasurement) AppendValue(b []byte) ([]byte, error) {
	b = wire.AppendU16(append(b, directoryFlag(v.Directory), 0), v.RequestID)
	d := v.Delimiter
	if d == 0 {
		d = DelimiterSlash
	}
	return append(wire.AppendU32(b, d), v.Path...), nil
}

func directoryFlag(directory bool) byte {
	if directory {
		return flagDirectory
	}
	return 0
}

func parseRequestFileMeasurement(b []byte) (patnc.Value, error) {
	r := reader(TypeRequestFileMeasurement, b)
	flags := r.U8()
	r.Skip(1)
	v := RequestFileMeasurement{Directory: flags&flagDirectory != 0, RequestID: r.U16(), Delimiter: r.U32()}
	v.Path = readText(r, r.Len())
	return v, r.Err()
}

// readText reads n octets that hold no NUL; a NUL fails at its own offset.
func readText(r *wire.Reader, n int) string {
	at := r.Offset()
	b := r.Bytes(n)
	if i := bytes.IndexByte(b, 0); i >= 0 {
		r.Fail(at+i, patnc.ErrNUL)
		return ""
	}
	return string(b)
}

// MeasuredFile is one entry of FileMeasurement.
type MeasuredFile struct {
	Name        string // last component of the path
	Measurement []byte // digest
}

// FileMeasurement is the File Measurement (TCG PTS Protocol Binding section 3.19.2):
//
//	u64 number of files | u16 request ID | u16 measurement length
//	| n × { measurement | u16 length, file name }
type FileMeasurement struct {
	RequestID uint16
	Files     []MeasuredFile
}

// Type returns TCG type 0x00D00000.
func (FileMeasurement) Type() patnc.Type { return TypeFileMeasurement }

// AppendValue appends the value; all measurements must have one length.
func (v FileMeasurement) AppendValue(b []byte) ([]byte, error) {
	size := 0
	if len(v.Files) > 0 {
		size = len(v.Files[0].Measurement)
	}
	if size > math.MaxUint16 {
		return b, wire.ErrTooLong
	}
	out := wire.AppendU64(b, uint64(len(v.Files)))
	out = wire.AppendU16(wire.AppendU16(out, v.RequestID), uint16(size))
	for _, f := range v.Files {
		if len(f.Measurement) != size {
			return b, wire.ErrLength
		}
		var err error
		if out, err = wire.AppendVec16(append(out, f.Measurement...), []byte(f.Name)); err != nil {
			return b, err
		}
	}
	return out, nil
}

func parseFileMeasurement(b []byte) (patnc.Value, error) {
	r := reader(TypeFileMeasurement, b)
	at := r.Offset()
	n := r.U64()
	v := FileMeasurement{RequestID: r.U16()}
	size := int(r.U16())
	if n > uint64(r.Len()/(size+2)) {
		r.Fail(at, wire.ErrTruncated)
		return nil, r.Err()
	}
	v.Files = make([]MeasuredFile, 0, n)
	for range n {
		m := clone(r.Bytes(size))
		v.Files = append(v.Files, MeasuredFile{Measurement: m, Name: readText(r, int(r.U16()))})
		if r.Err() != nil {
			return nil, r.Err()
		}
	}
	return v, r.Finish()
}
