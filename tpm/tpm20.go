package tpm

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// Capabilities and fixed properties (TPM Library Part 2 §6.12, §6.13).
const (
	capTPMProperties = 6
	propRevision     = 0x102
	propYear         = 0x104
	propManufacturer = 0x105
	propVendor1      = 0x106
	propFirmware1    = 0x10b
	propFirmware2    = 0x10c
)

// V20 is a TPM 2.0. Its zero value is not usable: see Open.
type V20 struct{ c *conn }

// Generation returns TPM20.
func (t *V20) Generation() Generation { return TPM20 }

// Close gives the transport back.
func (t *V20) Close() error { return t.c.Close() }

// getCapability20 encodes TPM2_GetCapability, which probe sends before it is
// known whether the TPM is a 2.0.
func getCapability20(capability, property, count uint32) []byte {
	b := []byte{0x80, 0x01, 0, 0, 0, 22, 0, 0, 0x01, 0x7a}
	return wire.AppendU32(wire.AppendU32(wire.AppendU32(b, capability), property), count)
}

// session20 is go-tpm's transport within one operation: it carries the
// operation's context.
type session20 struct {
	ctx  context.Context
	c    *conn
	name string
}

// Send implements transport.TPM.
func (s *session20) Send(command []byte) ([]byte, error) {
	name := s.name
	if len(command) >= headerLen {
		if n, ok := names20[binary.BigEndian.Uint32(command[6:])]; ok {
			name = n
		}
	}
	return s.c.send(s.ctx, name, command)
}

var names20 = map[uint32]string{
	0x120: "TPM2_EvictControl", 0x131: "TPM2_CreatePrimary", 0x13d: "TPM2_PCR_Reset", 0x147: "TPM2_ActivateCredential",
	0x14e: "TPM2_NV_Read", 0x151: "TPM2_PolicySecret", 0x153: "TPM2_Create", 0x157: "TPM2_Load", 0x158: "TPM2_Quote",
	0x15d: "TPM2_Sign", 0x165: "TPM2_FlushContext", 0x169: "TPM2_NV_ReadPublic", 0x173: "TPM2_ReadPublic",
	0x176: "TPM2_StartAuthSession", 0x17a: "TPM2_GetCapability", 0x17d: "TPM2_Hash", 0x17e: "TPM2_PCR_Read",
	0x182: "TPM2_PCR_Extend",
}

// do runs f with the TPM for itself. What go-tpm's decoder panics on becomes
// ErrReply: replies come from a device, but a broken one must not end the host.
func (t *V20) do(ctx context.Context, what string, f func(s *session20) error) (err error) {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %w: %v", what, ErrReply, p)
		}
	}()
	if err := f(&session20{ctx: ctx, c: t.c, name: what}); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// properties reads fixed properties from the first to the last.
func (s *session20) properties(first, last uint32) (map[uint32]uint32, error) {
	rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: first, PropertyCount: last - first + 1}.Execute(s)
	if err != nil {
		return nil, err
	}
	props, err := rsp.CapabilityData.Data.TPMProperties()
	if err != nil {
		return nil, replyError("TPM2_GetCapability", err)
	}
	out := map[uint32]uint32{}
	for _, p := range props.TPMProperty {
		out[uint32(p.Property)] = p.Value
	}
	return out, nil
}

// Info describes the TPM.
func (t *V20) Info(ctx context.Context) (info Info, err error) {
	err = t.do(ctx, "read TPM properties", func(s *session20) error {
		p, err := s.properties(0x100, propFirmware2)
		if err != nil {
			return err
		}
		info = Info{
			Generation:   TPM20,
			Manufacturer: letters(p[propManufacturer]),
			Vendor:       strings.TrimSpace(letters(p[propVendor1]) + letters(p[propVendor1+1]) + letters(p[propVendor1+2]) + letters(p[propVendor1+3])),
			Revision:     fmt.Sprintf("%d.%02d", p[propRevision]/100, p[propRevision]%100),
			Firmware:     fmt.Sprintf("%08x%08x", p[propFirmware1], p[propFirmware2]),
		}
		return nil
	})
	return info, err
}

// letters returns the printable characters of four octets.
func letters(v uint32) string {
	var b strings.Builder
	for _, c := range wire.AppendU32(nil, v) {
		if c >= 0x20 && c < 0x7f {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// VersionInfo returns strongSwan's form of a TPM 2.0's version information:
// u16 0x0200 | u8 0 | u8 start-up locality | u32 revision | u32 year
// | 4 octets manufacturer. The locality is 3, and 0 for Intel's firmware TPM.
func (t *V20) VersionInfo(ctx context.Context) (info []byte, err error) {
	err = t.do(ctx, "read TPM version information", func(s *session20) error {
		p, err := s.properties(propRevision, propManufacturer)
		if err != nil {
			return err
		}
		locality := byte(3)
		if letters(p[propManufacturer]) == "INTC" {
			locality = 0
		}
		info = []byte{0x02, 0x00, 0, locality}
		info = wire.AppendU32(info, p[propRevision])
		info = wire.AppendU32(info, p[propYear])
		info = wire.AppendU32(info, p[propManufacturer])
		return nil
	})
	return info, err
}

// pcrReadTries is how often a set of PCRs that changes while it is read is
// read again, and a quote whose PCRs changed is made again.
const pcrReadTries = 8
