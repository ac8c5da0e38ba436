package keyfile

import (
	"bytes"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc"
	"github.com/gotnc/gotnc/tpm/tpm12"
)

// BlobPEMType is the type of the PEM block of a TPM 1.2's key.
const BlobPEMType = "TSS KEY BLOB"

// IsBlob reports whether b, of any size, has a PEM block of a TPM 1.2's key.
func IsBlob(b []byte) bool { return bytes.Contains(b, []byte("-----BEGIN "+BlobPEMType+"-----")) }

// ParseBlob returns the TPM_KEY or TPM_KEY12 of a file "TSS KEY BLOB", as
// openssl_tpm_engine writes it: PEM of an OCTET STRING in DER that holds the key. It
// reads the first such block. The error is a *gotnc.DecodeError.
func ParseBlob(b []byte) ([]byte, error) {
	bad := func(err error) ([]byte, error) {
		return nil, &gotnc.DecodeError{Element: BlobPEMType, Err: err}
	}
	if len(b) > MaxSize {
		return bad(fmt.Errorf("%d octets, more than %d", len(b), MaxSize))
	}
	block, rest := pem.Decode(b)
	for block != nil && block.Type != BlobPEMType {
		block, rest = pem.Decode(rest)
	}
	if block == nil {
		return bad(errors.New("no PEM block of that type"))
	}
	var blob []byte
	after, err := asn1.Unmarshal(block.Bytes, &blob)
	if err == nil && len(after) > 0 {
		err = fmt.Errorf("%d octets follow the OCTET STRING", len(after))
	}
	if err == nil {
		_, err = tpm12.ParseKeyBlob(blob)
	}
	if err != nil {
		return bad(err)
	}
	return blob, nil
}

// MarshalBlob returns the PEM file of a TPM_KEY or TPM_KEY12.
func MarshalBlob(blob []byte) ([]byte, error) {
	if _, err := tpm12.ParseKeyBlob(blob); err != nil {
		return nil, fmt.Errorf("write key file: %w", err)
	}
	der, err := asn1.Marshal(blob)
	if err != nil {
		return nil, fmt.Errorf("write key file: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: BlobPEMType, Bytes: der}), nil
}
