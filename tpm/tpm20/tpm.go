// Package tpm20 speaks to TPMs that follow the TPM Library Specification 2.0. Its
// commands go through github.com/google/go-tpm.
//
// Package tpm has the interface that both generations share; here are besides
// what a privacy CA and a TPM's owner need: attestation keys (CreateAK),
// endorsement keys, credentials (ActivateCredential) and certificate requests.
package tpm20

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/attest"
	"github.com/gotnc/gotnc/tpm/command"
)

// Config says how a TPM 2.0 is spoken to.
type Config struct {
	Retry command.Retry // how a busy TPM is asked again
}

// TPM is a TPM 2.0. Its zero value is not usable: see New.
type TPM struct{ c *command.Conn }

// New returns the TPM 2.0 behind the transport, which it owns, without sending a
// command.
func New(t command.Transport, cfg Config) *TPM {
	return &TPM{command.NewConn(t, cfg.Retry, command.Dialect{Explain: explain})}
}

// Commands of Start: TPM2_GetCapability of TPM_PT_MANUFACTURER, which a TPM that
// was not started refuses, and TPM2_Startup with TPM_SU_CLEAR.
var (
	getManufacturer = []byte{0x80, 0x01, 0, 0, 0, 22, 0, 0, 0x01, 0x7a, 0, 0, 0, 6, 0, 0, 0x01, 0x05, 0, 0, 0, 1}
	startupClear    = []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0}
)

// Start starts a TPM that was not started, with clear state (TPM Library Part 3
// section 9.3).
func (t *TPM) Start(ctx context.Context) error {
	defer t.c.Acquire()()
	_, err := t.c.Send(ctx, "TPM2_GetCapability", getManufacturer)
	var re *command.ResponseError
	if !errors.As(err, &re) || re.Code != rcInitialize {
		return err
	}
	_, err = t.c.Send(ctx, "TPM2_Startup", startupClear)
	return err
}

// Generation returns attest.TPM20.
func (t *TPM) Generation() attest.Generation { return attest.TPM20 }

// Close closes the transport. Closing again does nothing.
func (t *TPM) Close() error { return t.c.Close() }

// session is go-tpm's transport during one operation: it carries the operation's
// context.
type session struct {
	ctx  context.Context
	c    *command.Conn
	name string // of the operation, for commands without a name in names
}

// Send implements transport.TPM of go-tpm.
func (s *session) Send(cmd []byte) ([]byte, error) {
	name := s.name
	if len(cmd) >= command.HeaderLen {
		if n, ok := names[binary.BigEndian.Uint32(cmd[6:])]; ok {
			name = n
		}
	}
	return s.c.Send(s.ctx, name, cmd)
}

// names has the commands of this package by their codes (TPM Library Part 2
// section 6.5.2).
var names = map[uint32]string{
	0x120: "TPM2_EvictControl", 0x131: "TPM2_CreatePrimary", 0x13d: "TPM2_PCR_Reset", 0x147: "TPM2_ActivateCredential",
	0x148: "TPM2_Certify", 0x14e: "TPM2_NV_Read", 0x151: "TPM2_PolicySecret", 0x153: "TPM2_Create", 0x157: "TPM2_Load", 0x158: "TPM2_Quote",
	0x15d: "TPM2_Sign", 0x165: "TPM2_FlushContext", 0x169: "TPM2_NV_ReadPublic", 0x173: "TPM2_ReadPublic",
	0x176: "TPM2_StartAuthSession", 0x17a: "TPM2_GetCapability", 0x17d: "TPM2_Hash", 0x17e: "TPM2_PCR_Read",
	0x182: "TPM2_PCR_Extend", 0x16b: "TPM2_PolicyAuthValue", 0x17f: "TPM2_PolicyPCR", 0x18c: "TPM2_PolicyPassword",
}

// do runs one operation while no other one uses the TPM. What names it in
// errors. A panic of go-tpm's decoder becomes ErrReply: a broken reply of a
// device must not end the process.
func (t *TPM) do(ctx context.Context, what string, f func(s *session) error) (err error) {
	defer t.c.Acquire()()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %w: %v", what, command.ErrReply, p)
		}
	}()
	if err := f(&session{ctx: ctx, c: t.c, name: what}); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// Fixed properties, TPM_PT (TPM Library Part 2 section 6.13).
const (
	propFirst        = 0x100
	propRevision     = 0x102
	propYear         = 0x104
	propManufacturer = 0x105
	propVendor1      = 0x106 // the first of four
	propFirmware1    = 0x10b
	propFirmware2    = 0x10c
)

// properties reads fixed properties from the first to the last.
func (s *session) properties(first, last uint32) (map[uint32]uint32, error) {
	rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapTPMProperties, Property: first, PropertyCount: last - first + 1}.Execute(s)
	if err != nil {
		return nil, err
	}
	props, err := rsp.CapabilityData.Data.TPMProperties()
	if err != nil {
		return nil, command.ReplyError("TPM2_GetCapability", err)
	}
	out := map[uint32]uint32{}
	for _, p := range props.TPMProperty {
		out[uint32(p.Property)] = p.Value
	}
	return out, nil
}

// Info describes the TPM.
func (t *TPM) Info(ctx context.Context) (info attest.Info, err error) {
	err = t.do(ctx, "read TPM properties", func(s *session) error {
		p, err := s.properties(propFirst, propFirmware2)
		if err != nil {
			return err
		}
		info = attest.Info{
			Generation:   attest.TPM20,
			Manufacturer: letters(p[propManufacturer]),
			Vendor:       strings.TrimSpace(letters(p[propVendor1], p[propVendor1+1], p[propVendor1+2], p[propVendor1+3])),
			Revision:     fmt.Sprintf("%d.%02d", p[propRevision]/100, p[propRevision]%100),
			Firmware:     fmt.Sprintf("%08x%08x", p[propFirmware1], p[propFirmware2]),
		}
		return nil
	})
	return info, err
}

// letters returns the characters of properties that hold four each, without the
// zeros that fill them up.
func letters(properties ...uint32) string {
	var b []byte
	for _, v := range properties {
		b = wire.AppendU32(b, v)
	}
	return text.ASCII(bytes.ReplaceAll(b, []byte{0}, nil))
}

// intel is the TPM_PT_MANUFACTURER of Intel's firmware TPM.
const intel = 'I'<<24 | 'N'<<16 | 'T'<<8 | 'C'

// VersionInfo returns strongSwan's form of a TPM 2.0's version information:
// u16 0x0200 | u8 0 | u8 start-up locality | u32 revision | u32 year
// | 4 octets manufacturer. The locality is 3, and 0 for Intel's firmware TPM.
func (t *TPM) VersionInfo(ctx context.Context) (info []byte, err error) {
	err = t.do(ctx, "read TPM version information", func(s *session) error {
		p, err := s.properties(propRevision, propManufacturer)
		if err != nil {
			return err
		}
		locality := byte(3)
		if p[propManufacturer] == intel {
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
