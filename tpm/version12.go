package tpm

import (
	"bytes"
	"context"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// CapVersionInfo is TPM_CAP_VERSION_INFO (TPM Main Part 2 §21.6):
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

const tagCapVersionInfo = 0x0030

// ParseCapVersionInfo reads the structure. The result owns its octets.
func ParseCapVersionInfo(r *wire.Reader) (CapVersionInfo, error) {
	v := parseCapVersionInfo(r)
	return v, r.Finish()
}

func parseCapVersionInfo(r *wire.Reader) CapVersionInfo {
	var v CapVersionInfo
	if at := r.Offset(); r.U16() != tagCapVersionInfo {
		r.Fail(at, wire.ErrValue)
	}
	v.Major, v.Minor, v.RevMajor, v.RevMinor = r.U8(), r.U8(), r.U8(), r.U8()
	v.SpecLevel = r.U16()
	v.ErrataRev = r.U8()
	copy(v.VendorID[:], r.Bytes(4))
	v.VendorSpecific = bytes.Clone(r.Bytes(int(r.U16())))
	return v
}

// AppendBinary appends the structure.
func (v CapVersionInfo) AppendBinary(b []byte) ([]byte, error) {
	b = wire.AppendU16(b, tagCapVersionInfo)
	b = append(b, v.Major, v.Minor, v.RevMajor, v.RevMinor)
	b = wire.AppendU16(b, v.SpecLevel)
	b = append(b, v.ErrataRev)
	b = append(b, v.VendorID[:]...)
	return wire.AppendVec16(b, v.VendorSpecific)
}

func (s *session12) versionInfo() ([]byte, error) {
	const name = "TPM_GetCapability"
	_, out, err := s.run(name, ordGetCapability, nil, wire.AppendU32(wire.AppendU32(nil, capVersionVal), 0), 0)
	if err != nil {
		return nil, err
	}
	v, err := outVec(name, out)
	if err != nil {
		return nil, err
	}
	if _, err := ParseCapVersionInfo(wire.NewReader("TPM_CAP_VERSION_INFO", v)); err != nil {
		return nil, replyError(name, err)
	}
	return v, nil
}

func (t *V12) versionInfo(ctx context.Context) (info []byte, err error) {
	err = t.do(ctx, "read TPM version information", func(s *session12) error {
		info, err = s.versionInfo()
		return err
	})
	return info, err
}

// VersionInfo returns TPM_CAP_VERSION_INFO.
func (t *V12) VersionInfo(ctx context.Context) ([]byte, error) { return t.versionInfo(ctx) }
