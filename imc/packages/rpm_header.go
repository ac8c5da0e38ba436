package packages

import (
	"bytes"
	"encoding/binary"
	"strconv"
)

// Limits of the header of one package.
const (
	maxRPMHeader  = 64 << 20 // octets
	maxRPMEntries = 1 << 16  // tags
	rpmPrefix     = 32 << 10 // octets within which name and version nearly always are
)

// addRPM leaves out the public keys that rpm lists as packages.
func (l *list) addRPM(name, version string) {
	if name != "gpg-pubkey" {
		l.add(name, version)
	}
}

// Tags and types of an rpm header.
const (
	rpmTagName    = 1000
	rpmTagVersion = 1001
	rpmTagRelease = 1002
	rpmTagEpoch   = 1003
	rpmInt32      = 4
	rpmString     = 6
)

// addHeader adds the package of an rpm header as databases hold it:
//
//	u32 entries | u32 octets of data | entries × { u32 tag | u32 type | u32 offset | u32 count } | data
//
// all big-endian. b may hold only its first octets: more reports that the name or
// version lies beyond them.
func (l *list) addHeader(b []byte) (more bool, err error) {
	if len(b) < 8 {
		return false, errRPM
	}
	n, size := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	if n > maxRPMEntries || size > maxRPMHeader {
		return false, errRPM
	}
	if len(b) < 8+16*int(n) {
		return true, nil
	}
	index, data := b[8:8+16*int(n)], b[8+16*int(n):]
	data = data[:min(len(data), int(size))]
	whole := len(data) == int(size)
	text := map[uint32]string{}
	epoch := ""
	for e := index; len(e) > 0; e = e[16:] {
		tag, kind, offset := binary.BigEndian.Uint32(e), binary.BigEndian.Uint32(e[4:]), binary.BigEndian.Uint32(e[8:])
		switch tag {
		case rpmTagName, rpmTagVersion, rpmTagRelease:
			if kind != rpmString || offset >= size {
				return false, errRPM
			}
			if int(offset) >= len(data) {
				return !whole, nil
			}
			i := bytes.IndexByte(data[offset:], 0)
			if i < 0 {
				if whole {
					return false, errRPM
				}
				return true, nil
			}
			text[tag] = string(data[offset : int(offset)+i])
		case rpmTagEpoch:
			if kind != rpmInt32 || uint64(offset)+4 > uint64(size) {
				return false, errRPM
			}
			if int(offset)+4 > len(data) {
				return true, nil
			}
			epoch = strconv.FormatUint(uint64(binary.BigEndian.Uint32(data[offset:])), 10) + ":"
		}
	}
	if text[rpmTagName] == "" {
		return false, errRPM
	}
	version := epoch + text[rpmTagVersion]
	if r := text[rpmTagRelease]; r != "" {
		version += "-" + r
	}
	l.addRPM(text[rpmTagName], version)
	return false, nil
}
