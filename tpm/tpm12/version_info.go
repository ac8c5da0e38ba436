package tpm12

import (
	"bytes"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/command"
)

// CapVersionInfo is TPM_CAP_VERSION_INFO (TPM Main Part 2 section 21.6):
//
//	u16 0x0030 | u8 major | u8 minor | u8 revMajor | u8 revMinor | u16 specLevel
//	| u8 errataRev | 4 vendor ID | u16 n, vendor-specific data
type CapVersionInfo struct {
	Major, Minor, RevMajor, RevMinor uint8
	SpecLevel                        uint16
	ErrataRev                        uint8
	VendorID                         [4]byte
	VendorSpecific                   []byte
}

// Constants of TPM_CAP_VERSION_INFO.
const (
	tagCapVersionInfo = 0x0030 // TPM_TAG_CAP_VERSION_INFO
	capVersionVal     = 0x1a   // TPM_CAP_VERSION_VAL (TPM Main Part 2 section 21.1)
)

// ParseCapVersionInfo decodes the structure. The result owns its octets.
func ParseCapVersionInfo(b []byte) (CapVersionInfo, error) {
	r := wire.NewReader("TPM_CAP_VERSION_INFO", b)
	var v CapVersionInfo
	if at := r.Offset(); r.U16() != tagCapVersionInfo {
		r.Fail(at, wire.ErrValue)
	}
	v.Major, v.Minor, v.RevMajor, v.RevMinor = r.U8(), r.U8(), r.U8(), r.U8()
	v.SpecLevel = r.U16()
	v.ErrataRev = r.U8()
	copy(v.VendorID[:], r.Bytes(4))
	v.VendorSpecific = bytes.Clone(r.Bytes(int(r.U16())))
	return v, r.Finish()
}

func (s *session) versionInfo() ([]byte, error) {
	const name = "TPM_GetCapability"
	_, out, err := s.run(name, ordGetCapability, nil, wire.AppendU32(wire.AppendU32(nil, capVersionVal), 0), 0)
	if err != nil {
		return nil, err
	}
	v, err := outVec(name, out)
	if err != nil {
		return nil, err
	}
	if _, err := ParseCapVersionInfo(v); err != nil {
		return nil, command.ReplyError(name, err)
	}
	return v, nil
}
