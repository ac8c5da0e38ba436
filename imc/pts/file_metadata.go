package pts

import (
	"fmt"
	"math"
	"time"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// RequestFileMetadata is the Request File Metadata (TCG PTS Protocol Binding
// section 3.17.1):
//
//	u8 flags, 0x80 = directory contents | u8 delimiter | u16 0 | path
type RequestFileMetadata struct {
	Directory bool
	Delimiter uint8  // 0 encodes as '/'
	Path      string // no NUL
}

// Type returns TCG type 0x00700000.
func (RequestFileMetadata) Type() patnc.Type { return TypeRequestFileMetadata }

// AppendValue appends the value.
func (v RequestFileMetadata) AppendValue(b []byte) ([]byte, error) {
	d := v.Delimiter
	if d == 0 {
		d = DelimiterSlash
	}
	return append(append(b, directoryFlag(v.Directory), d, 0, 0), v.Path...), nil
}

func parseRequestFileMetadata(b []byte) (patnc.Value, error) {
	r := reader(TypeRequestFileMetadata, b)
	flags := r.U8()
	v := RequestFileMetadata{Directory: flags&flagDirectory != 0, Delimiter: r.U8()}
	r.Skip(2)
	v.Path = readText(r, r.Len())
	return v, r.Err()
}

// FileType says what a path leads to (TCG PTS Protocol Binding section 3.17.3).
type FileType uint8

// File types.
const (
	FileOther       FileType = 0x00
	FileFIFO        FileType = 0x01
	FileCharDevice  FileType = 0x02
	FileDirectory   FileType = 0x04
	FileBlockDevice FileType = 0x06
	FileRegular     FileType = 0x08
	FileSymlink     FileType = 0x0A
	FileSocket      FileType = 0x0C
)

func (t FileType) String() string {
	switch t {
	case FileOther:
		return "Other"
	case FileFIFO:
		return "FIFO"
	case FileCharDevice:
		return "Character-Special"
	case FileDirectory:
		return "Directory"
	case FileBlockDevice:
		return "Block-Special"
	case FileRegular:
		return "Regular"
	case FileSymlink:
		return "Symlink"
	case FileSocket:
		return "Socket"
	}
	return fmt.Sprintf("Reserved (0x%02x)", uint8(t))
}

// FileMetadata is one entry of UnixFileMetadata. Times have whole seconds;
// Created holds the time of the last status change, as strongSwan reports it.
type FileMetadata struct {
	Name                        string // last component of the path
	Type                        FileType
	Size                        uint64 // octets
	Created, Modified, Accessed time.Time
	Owner, Group                uint64
}

// UnixFileMetadata is the Unix-Style File Metadata (TCG PTS Protocol Binding
// section 3.17.3):
//
//	u64 number of files | n × { u16 length of the entry, itself included
//	| u8 type | u8 0 | u64 size | u64 created | u64 modified | u64 accessed
//	| u64 owner | u64 group | file name }
type UnixFileMetadata struct{ Files []FileMetadata }

// metadataSize is an entry without its name.
const metadataSize = 52

// Type returns TCG type 0x00900000.
func (UnixFileMetadata) Type() patnc.Type { return TypeUnixFileMetadata }

// AppendValue appends the value.
func (v UnixFileMetadata) AppendValue(b []byte) ([]byte, error) {
	out := wire.AppendU64(b, uint64(len(v.Files)))
	for _, f := range v.Files {
		if len(f.Name) > math.MaxUint16-metadataSize {
			return b, wire.ErrTooLong
		}
		out = wire.AppendU16(out, uint16(metadataSize+len(f.Name)))
		out = append(out, byte(f.Type), 0)
		for _, n := range [...]uint64{f.Size, unixTime(f.Created), unixTime(f.Modified), unixTime(f.Accessed), f.Owner, f.Group} {
			out = wire.AppendU64(out, n)
		}
		out = append(out, f.Name...)
	}
	return out, nil
}

// unixTime and fromUnix exchange the zero time for 0.
func unixTime(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.Unix())
}

func fromUnix(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(int64(n), 0).UTC()
}

func parseUnixFileMetadata(b []byte) (patnc.Value, error) {
	r := reader(TypeUnixFileMetadata, b)
	at := r.Offset()
	n := r.U64()
	if n > uint64(r.Len()/metadataSize) {
		r.Fail(at, wire.ErrTruncated)
		return nil, r.Err()
	}
	v := UnixFileMetadata{Files: make([]FileMetadata, 0, n)}
	for range n {
		at := r.Offset()
		length := int(r.U16())
		if length < metadataSize {
			r.Fail(at, wire.ErrLength)
			return nil, r.Err()
		}
		f := FileMetadata{Type: FileType(r.U8())}
		r.Skip(1)
		f.Size = r.U64()
		f.Created, f.Modified, f.Accessed = fromUnix(r.U64()), fromUnix(r.U64()), fromUnix(r.U64())
		f.Owner, f.Group = r.U64(), r.U64()
		f.Name = readText(r, length-metadataSize)
		if r.Err() != nil {
			return nil, r.Err()
		}
		v.Files = append(v.Files, f)
	}
	return v, r.Finish()
}
