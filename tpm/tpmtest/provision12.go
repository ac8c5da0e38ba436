package tpmtest

import (
	"encoding/binary"
	"testing"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/device"
	"github.com/gotnc/gotnc/tpm/tpm12"
)

// Provision12 does to a new TPM 1.2 what its maker and the firmware do: it is
// started, enabled and activated by physical presence and gets an endorsement
// key. It has no owner yet: see tpm12.TPM.TakeOwnership.
func (e *Emulator) Provision12(t testing.TB) {
	t.Helper()
	x, err := device.OpenTransport(t.Context(), e.Config)
	if err != nil {
		t.Fatal(err)
	}
	ek := append(make([]byte, 20), // anti-replay nonce
		0, 0, 0, 1, 0, 3, 0, 1, 0, 0, 0, 12, 0, 0, 8, 0, 0, 0, 0, 2, 0, 0, 0, 0) // RSA 2048, OAEP, no signatures
	for _, c := range []struct {
		name string
		ord  uint32
		body []byte
	}{
		{"TPM_Startup", 0x99, []byte{0, 1}},
		{"TSC_PhysicalPresence", 0x4000000a, []byte{0, 0x20}},
		{"TSC_PhysicalPresence", 0x4000000a, []byte{0, 0x08}},
		{"TPM_PhysicalEnable", 0x6f, nil},
		{"TPM_PhysicalSetDeactivated", 0x72, []byte{0}},
		{"TPM_CreateEndorsementKeyPair", 0x78, ek},
	} {
		cmd := binary.BigEndian.AppendUint32([]byte{0, 0xc1}, uint32(10+len(c.body)))
		cmd = append(binary.BigEndian.AppendUint32(cmd, c.ord), c.body...)
		reply, err := x.Exchange(t.Context(), cmd)
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if code := binary.BigEndian.Uint32(reply[6:]); code != 0 {
			t.Fatalf("%s: the TPM answers 0x%x", c.name, code)
		}
	}
	x.Close()
	e.Stop() // it is active from the next power-on
	e.Start(t)
}

// Owner12 is the owner secret that Open12 sets.
var Owner12 = tpm12.Secret([]byte("owner"))

// Open12 starts a TPM 1.2 that has an owner.
func Open12(t testing.TB) (*Emulator, *tpm12.TPM) {
	t.Helper()
	e := Swtpm(t, tpm.TPM12)
	e.Provision12(t)
	p := e.Open(t).(*tpm12.TPM)
	if err := p.TakeOwnership(t.Context(), Owner12); err != nil {
		t.Fatal(err)
	}
	return e, p
}
