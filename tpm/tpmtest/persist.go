package tpmtest

import (
	"bytes"
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/tpm20"
)

// raw sends the commands of go-tpm to an emulator.
type raw struct {
	t testing.TB
	e *Emulator
}

// Send implements transport.TPM of go-tpm: a connection a command.
func (r raw) Send(cmd []byte) ([]byte, error) {
	tr, err := device.OpenTransport(r.t.Context(), r.e.Config)
	if err != nil {
		return nil, err
	}
	defer tr.Close()
	return tr.Exchange(r.t.Context(), cmd)
}

// noPassword authorizes a handle with the empty password.
func noPassword(h tpm2.TPMHandle, name []byte) tpm2.AuthHandle {
	return tpm2.AuthHandle{Handle: h, Name: tpm2.TPM2BName{Buffer: name}, Auth: tpm2.PasswordAuth(nil)}
}

// Persist makes a signing key persistent at a handle. No TPM of the emulator may be
// open.
func (e *Emulator) Persist(t testing.TB, req tpm20.SigningKeyRequest, handle uint32) {
	t.Helper()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	opened, err := device.Open(t.Context(), e.Config)
	check(err)
	p := opened.(*tpm20.TPM)
	defer p.Close()
	w, err := p.CreateSigningKey(t.Context(), req, tpm20.Auth{})
	check(err)
	k, err := p.SigningKey(t.Context(), t.Context(), tpm20.SigningKeyConfig{Wrapped: w})
	check(err)
	check(p.Close()) // the key stays loaded: there is no resource manager
	_, err = tpm2.EvictControl{
		Auth: noPassword(tpm2.TPMRHOwner, []byte{0x40, 0, 0, 1}), ObjectHandle: &tpm2.NamedHandle{Handle: tpm2.TPMHandle(k.Handle()), Name: tpm2.TPM2BName{Buffer: k.Name()}},
		PersistentHandle: tpm2.TPMHandle(handle),
	}.Execute(raw{t, e})
	check(err)
	_, err = tpm2.FlushContext{FlushHandle: tpm2.TPMHandle(k.Handle())}.Execute(raw{t, e})
	check(err)
}

// WriteNV defines an NV index that its empty password, and the owner's, reads, and
// writes b to it. No TPM of the emulator may be open.
func (e *Emulator) WriteNV(t testing.TB, index uint32, b []byte) {
	t.Helper()
	owner := noPassword(tpm2.TPMRHOwner, []byte{0x40, 0, 0, 1})
	public := tpm2.TPMSNVPublic{
		NVIndex: tpm2.TPMHandle(index), NameAlg: tpm2.TPMAlgSHA256, DataSize: uint16(len(b)),
		Attributes: tpm2.TPMANV{OwnerWrite: true, OwnerRead: true, AuthRead: true, AuthWrite: true, NoDA: true, NT: tpm2.TPMNTOrdinary},
	}
	if _, err := (tpm2.NVDefineSpace{AuthHandle: owner, PublicInfo: tpm2.New2B(public)}).Execute(raw{t, e}); err != nil {
		t.Fatal(err)
	}
	for offset := 0; offset < len(b); {
		rsp, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(index)}.Execute(raw{t, e})
		if err != nil {
			t.Fatal(err)
		}
		chunk := b[offset:min(len(b), offset+512)]
		_, err = tpm2.NVWrite{
			AuthHandle: owner, NVIndex: tpm2.NamedHandle{Handle: tpm2.TPMHandle(index), Name: rsp.NVName},
			Data: tpm2.TPM2BMaxNVBuffer{Buffer: bytes.Clone(chunk)}, Offset: uint16(offset),
		}.Execute(raw{t, e})
		if err != nil {
			t.Fatal(err)
		}
		offset += len(chunk)
	}
}

// Loaded returns the handles of objects and sessions in the emulator. No TPM of it may
// be open.
func (e *Emulator) Loaded(t testing.TB) (handles []uint32) {
	t.Helper()
	for _, first := range []uint32{0x80000000, 0x02000000, 0x03000000} { // objects, HMAC sessions, policies
		rsp, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: first, PropertyCount: 64}.Execute(raw{t, e})
		if err != nil {
			t.Fatal(err)
		}
		list, err := rsp.CapabilityData.Data.Handles()
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range list.Handle {
			handles = append(handles, uint32(h))
		}
	}
	return handles
}

// ResetLockout forgets the wrong passwords that the emulator has seen. No TPM of it may
// be open.
func (e *Emulator) ResetLockout(t testing.TB) {
	t.Helper()
	// TPM2_DictionaryAttackLockReset, which go-tpm does not have, with the empty password
	// of the lockout hierarchy (TPM Library Part 3 section 25.2).
	reply, err := raw{t, e}.Send([]byte{0x80, 0x02, 0, 0, 0, 27, 0, 0, 0x01, 0x39, 0x40, 0, 0, 0x0a, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0})
	if err != nil || len(reply) < 10 || !bytes.Equal(reply[6:10], make([]byte, 4)) {
		t.Fatalf("reset lockout: %x, %v", reply, err)
	}
}
