package tpm20

import (
	"context"
	"errors"

	"github.com/google/go-tpm/tpm2"

	"github.com/gotnc/gotnc/tpm/command"
)

// nvChunk is how many octets of an NV index one command reads; TPM_PT_NV_BUFFER_MAX
// is at least 512 (TCG PC Client Platform TPM Profile section 4.2).
const nvChunk = 512

// ReadNV returns the octets of an NV index, which its own empty password, else the
// owner's, authorizes. The error wraps ErrNoKey where there is no such index.
func (t *TPM) ReadNV(ctx context.Context, index uint32, auth Auth) (b []byte, err error) {
	err = t.do(ctx, "read NV index", func(s *session) error {
		b, err = s.readNV(index, auth.Owner)
		return err
	})
	return b, err
}

// readNV reads a whole NV index, authorized by its own empty password where its
// attributes allow that, else by the owner's. The error wraps ErrNoKey where there
// is no such index.
func (s *session) readNV(index uint32, owner []byte) ([]byte, error) {
	pub, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(index)}.Execute(s)
	if err != nil {
		return nil, err
	}
	area, err := pub.NVPublic.Contents()
	if err != nil {
		return nil, command.ReplyError("TPM2_NV_ReadPublic", err)
	}
	auth := withPassword(tpm2.TPMHandle(index), pub.NVName.Buffer, nil)
	if !area.Attributes.AuthRead {
		auth = withPassword(tpm2.TPMRHOwner, nil, owner)
	}
	var out []byte
	for len(out) < int(area.DataSize) {
		rsp, err := tpm2.NVRead{
			AuthHandle: auth,
			NVIndex:    tpm2.NamedHandle{Handle: tpm2.TPMHandle(index), Name: pub.NVName},
			Size:       uint16(min(nvChunk, int(area.DataSize)-len(out))),
			Offset:     uint16(len(out)),
		}.Execute(s)
		if err != nil {
			return nil, err
		}
		if len(rsp.Data.Buffer) == 0 {
			return nil, command.ReplyError("TPM2_NV_Read", errors.New("no data"))
		}
		out = append(out, rsp.Data.Buffer...)
	}
	return out, nil
}
