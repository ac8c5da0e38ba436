package tpm

import (
	"bytes"
	"context"
	"crypto"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/internal/wire"
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

// Banks returns the hash algorithms of the PCR banks, weakest first.
func (t *V20) Banks(ctx context.Context) (banks []Hash, err error) {
	err = t.do(ctx, "read PCR banks", func(s *session20) error {
		rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapPCRs, Property: 0, PropertyCount: 1}.Execute(s)
		if err != nil {
			return err
		}
		sel, err := rsp.CapabilityData.Data.AssignedPCR()
		if err != nil {
			return replyError("TPM2_GetCapability", err)
		}
		for _, b := range sel.PCRSelections {
			h := Hash(b.Hash)
			if h.Size() == 0 || len(b.PCRSelect) < 3 || b.PCRSelect[0]&b.PCRSelect[1]&b.PCRSelect[2] != 0xff || slices.Contains(banks, h) {
				continue
			}
			banks = append(banks, h)
		}
		slices.Sort(banks)
		return nil
	})
	return banks, err
}

// ReadPCRs returns values of one bank by PCR index, read without an extension
// between the first and the last where the TPM is left in peace for that long.
func (t *V20) ReadPCRs(ctx context.Context, bank Hash, pcrs Selection) (values map[int][]byte, err error) {
	if pcrs.Len() == 0 {
		return map[int][]byte{}, nil
	}
	err = t.do(ctx, fmt.Sprintf("read PCRs %v of bank %v", pcrs, bank), func(s *session20) error {
		values, err = s.readPCRs(bank, pcrs)
		return err
	})
	return values, err
}

// pcrReadTries is how often a set of PCRs that changes while it is read is
// read again, and a quote whose PCRs changed is made again.
const pcrReadTries = 8

func (s *session20) readPCRs(bank Hash, pcrs Selection) (map[int][]byte, error) {
	var last map[int][]byte
	for range pcrReadTries {
		values, whole, err := s.readPCRsOnce(bank, pcrs)
		if err != nil {
			return nil, err
		}
		if whole {
			return values, nil
		}
		last = values
	}
	return last, nil
}

// readPCRsOnce reads the PCRs, at most eight a command; whole is whether the
// TPM's counter of PCR updates stood still meanwhile.
func (s *session20) readPCRsOnce(bank Hash, pcrs Selection) (values map[int][]byte, whole bool, err error) {
	if bank.Size() == 0 {
		return nil, false, fmt.Errorf("%w: %v", ErrNoBank, bank)
	}
	values = make(map[int][]byte, pcrs.Len())
	var counter uint32
	whole = true
	for left, first := pcrs, true; left.Len() > 0; first = false {
		rsp, err := tpm2.PCRRead{PCRSelectionIn: selection20(bank, left)}.Execute(s)
		if err != nil {
			return nil, false, err
		}
		if first {
			counter = rsp.PCRUpdateCounter
		} else if counter != rsp.PCRUpdateCounter {
			whole = false
		}
		got := Selection(0)
		for _, b := range rsp.PCRSelectionOut.PCRSelections {
			if Hash(b.Hash) != bank {
				continue
			}
			for i, o := range b.PCRSelect {
				if i < 3 {
					got |= Selection(o) << (8 * i)
				}
			}
		}
		digests := rsp.PCRValues.Digests
		if got&^left != 0 || len(digests) != got.Len() {
			return nil, false, replyError("TPM2_PCR_Read", errors.New("the values do not match the selection"))
		}
		if got == 0 {
			return nil, false, fmt.Errorf("%w: %v", ErrNoBank, bank)
		}
		for n, i := range got.PCRs() {
			if len(digests[n].Buffer) != bank.Size() {
				return nil, false, replyError("TPM2_PCR_Read", fmt.Errorf("PCR %d has %d octets", i, len(digests[n].Buffer)))
			}
			values[i] = bytes.Clone(digests[n].Buffer)
		}
		left &^= got
	}
	return values, whole, nil
}

func selection20(bank Hash, pcrs Selection) tpm2.TPMLPCRSelection {
	m := pcrs.Bitmap()
	return tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgID(bank), PCRSelect: m[:]}}}
}

// ExtendPCR extends one PCR in several banks: what a boot loader does, and
// tests that measure a boot of their own.
func (t *V20) ExtendPCR(ctx context.Context, pcr int, digests map[Hash][]byte) error {
	return t.do(ctx, fmt.Sprintf("extend PCR %d", pcr), func(s *session20) error {
		cmd := tpm2.PCRExtend{PCRHandle: withPassword(tpm2.TPMHandle(pcr), nil, nil)}
		for _, h := range []Hash{SHA1, SHA256, SHA384, SHA512} {
			d, ok := digests[h]
			if !ok {
				continue
			}
			if len(d) != h.Size() {
				return fmt.Errorf("digest of %d octets for bank %v", len(d), h)
			}
			cmd.Digests.Digests = append(cmd.Digests.Digests, tpm2.TPMTHA{HashAlg: tpm2.TPMAlgID(h), Digest: d})
		}
		_, err := cmd.Execute(s)
		return err
	})
}

// withPassword is a handle that a password authorizes; a password session
// needs no name of the object, but go-tpm refuses to go without.
func withPassword(h tpm2.TPMHandle, name, password []byte) tpm2.AuthHandle {
	if name == nil {
		name = wire.AppendU32(nil, uint32(h))
	}
	return tpm2.AuthHandle{Handle: h, Name: tpm2.TPM2BName{Buffer: name}, Auth: tpm2.PasswordAuth(password)}
}

// publicKey is a key of the TPM's, as ReadPublic tells it.
type publicKey struct {
	area   *tpm2.TPMTPublic
	name   []byte // TPM2B_NAME
	qname  []byte // qualified name
	key    crypto.PublicKey
	scheme tpm2.TPMAlgID // TPM_ALG_NULL where the key leaves it open
	hash   Hash          // of the scheme
}

func (s *session20) readPublic(handle uint32) (*publicKey, error) {
	rsp, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(handle)}.Execute(s)
	if err != nil {
		return nil, fmt.Errorf("key 0x%08x: %w", handle, err)
	}
	area, err := rsp.OutPublic.Contents()
	if err != nil {
		return nil, replyError("TPM2_ReadPublic", err)
	}
	k, err := newPublicKey(area)
	if err != nil {
		return nil, fmt.Errorf("key 0x%08x: %w", handle, err)
	}
	k.name, k.qname = bytes.Clone(rsp.Name.Buffer), bytes.Clone(rsp.QualifiedName.Buffer)
	return k, nil
}

func newPublicKey(area *tpm2.TPMTPublic) (*publicKey, error) {
	k := &publicKey{area: area, scheme: tpm2.TPMAlgNull}
	key, err := tpm2.Pub(*area)
	if err != nil {
		return nil, fmt.Errorf("%w: public area: %w", ErrReply, err)
	}
	k.key = key
	switch area.Type {
	case tpm2.TPMAlgRSA:
		d, err := area.Parameters.RSADetail()
		if err != nil {
			return nil, fmt.Errorf("%w: public area: %w", ErrReply, err)
		}
		k.scheme = d.Scheme.Scheme
		switch k.scheme {
		case tpm2.TPMAlgRSASSA:
			if v, err := d.Scheme.Details.RSASSA(); err == nil {
				k.hash = Hash(v.HashAlg)
			}
		case tpm2.TPMAlgRSAPSS:
			if v, err := d.Scheme.Details.RSAPSS(); err == nil {
				k.hash = Hash(v.HashAlg)
			}
		}
	case tpm2.TPMAlgECC:
		d, err := area.Parameters.ECCDetail()
		if err != nil {
			return nil, fmt.Errorf("%w: public area: %w", ErrReply, err)
		}
		k.scheme = d.Scheme.Scheme
		if k.scheme == tpm2.TPMAlgECDSA {
			if v, err := d.Scheme.Details.ECDSA(); err == nil {
				k.hash = Hash(v.HashAlg)
			}
		}
	}
	return k, nil
}

// signingScheme returns TPM_ALG_NULL where the key has a scheme of its own,
// else RSASSA or ECDSA with the hash of the key's name, which every verifier
// of strongSwan's can check.
func (k *publicKey) signingScheme() (tpm2.TPMTSigScheme, error) {
	if k.scheme != tpm2.TPMAlgNull {
		return tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}, nil
	}
	h := &tpm2.TPMSSchemeHash{HashAlg: k.area.NameAlg}
	switch k.area.Type {
	case tpm2.TPMAlgRSA:
		return tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgRSASSA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgRSASSA, h)}, nil
	case tpm2.TPMAlgECC:
		return tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgECDSA, Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgECDSA, h)}, nil
	}
	return tpm2.TPMTSigScheme{}, fmt.Errorf("%w: a key of type 0x%04x cannot sign quotes", ErrNoKey, uint16(k.area.Type))
}

// Identity returns the certificate of the AIK, checked against the key at the
// handle, else that key.
func (t *V20) Identity(ctx context.Context, aik AIK) (Identity, error) {
	if aik.Handle == 0 {
		return identityOf(aik, nil)
	}
	var known crypto.PublicKey
	err := t.do(ctx, "read AIK", func(s *session20) error {
		k, err := s.readPublic(aik.Handle)
		if err != nil {
			return err
		}
		known = k.key
		return nil
	})
	if err != nil {
		return Identity{}, err
	}
	return identityOf(aik, known)
}

// Quote signs PCRs of one bank and up to 64 octets of external data
// (TPM Library Part 3 §18.4).
func (t *V20) Quote(ctx context.Context, req QuoteRequest) (q *Quote, err error) {
	if req.AIK.Handle == 0 {
		return nil, fmt.Errorf("TPM quote: %w: set aik_handle", ErrNoKey)
	}
	if req.PCRs.Len() == 0 {
		return nil, errors.New("TPM quote: no PCRs selected")
	}
	if len(req.External) > 64 {
		return nil, fmt.Errorf("TPM quote: %w: %d octets, 64 at most", ErrExternal, len(req.External))
	}
	if req.Bank.Size() == 0 {
		return nil, fmt.Errorf("TPM quote: %w: %v", ErrNoBank, req.Bank)
	}
	err = t.do(ctx, "TPM quote", func(s *session20) error {
		key, err := s.readPublic(req.AIK.Handle)
		if err != nil {
			return err
		}
		for range pcrReadTries {
			before, err := s.readPCRs(req.Bank, req.PCRs)
			if err != nil {
				return err
			}
			if q, err = s.quote(key, req); err != nil {
				return err
			}
			if bytes.Equal(Digest20(q.Hash, before), q.Composite) {
				q.Values = before
				return nil
			}
			after, err := s.readPCRs(req.Bank, req.PCRs)
			if err != nil {
				return err
			}
			if bytes.Equal(Digest20(q.Hash, after), q.Composite) {
				q.Values = after
				return nil
			}
		}
		return nil // PCRs that never stand still: a good quote without Values
	})
	if err != nil {
		return nil, err
	}
	return q, nil
}

func (s *session20) quote(key *publicKey, req QuoteRequest) (*Quote, error) {
	scheme, err := key.signingScheme()
	if err != nil {
		return nil, err
	}
	rsp, err := tpm2.Quote{
		SignHandle:     withPassword(tpm2.TPMHandle(req.AIK.Handle), key.name, nil),
		QualifyingData: tpm2.TPM2BData{Buffer: req.External},
		InScheme:       scheme,
		PCRSelect:      selection20(req.Bank, req.PCRs),
	}.Execute(s)
	if err != nil {
		return nil, err
	}
	info := bytes.Clone(rsp.Quoted.Bytes())
	a, err := ParseAttest(wire.NewReader("TPMS_ATTEST", info))
	if err != nil {
		return nil, replyError("TPM2_Quote", err)
	}
	if !bytes.Equal(a.ExtraData, req.External) {
		return nil, replyError("TPM2_Quote", errors.New("it signed other external data"))
	}
	if !bytes.Equal(a.PCRSelection, Selection20(req.Bank, req.PCRs)) {
		return nil, fmt.Errorf("%w: the TPM quoted %x instead of PCRs %v of bank %v", ErrNoBank, a.PCRSelection, req.PCRs, req.Bank)
	}
	sig, hash, err := signature20(&rsp.Signature, key.key)
	if err != nil {
		return nil, err
	}
	return &Quote{
		Kind: QuoteTPM20, Hash: hash, Composite: a.PCRDigest, Signature: sig,
		QualifiedSigner: a.QualifiedSigner, ClockInfo: a.ClockInfo[:], FirmwareVersion: a.FirmwareVersion[:],
		PCRSelection: a.PCRSelection, Info: info,
	}, nil
}
