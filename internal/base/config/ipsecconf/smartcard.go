package ipsecconf

import (
	"errors"
	"strconv"
	"strings"
)

// smartcard begins what names a key or certificate that is not in a file.
const smartcard = "%smartcard"

// errSmartcard is the error of what is not in a TPM.
var errSmartcard = errors.New("smartcards are not supported, only keys and certificates in a TPM (%smartcard:0x81010001, %smartcard:0x01800001)")

// parseSmartcard returns the handle in "%smartcard[SLOT]:HANDLE", which begins with
// the octet kind (TPM Library Part 2 section 7.2). The slot, a hierarchy of the TPM,
// changes nothing.
func parseSmartcard(s string, kind uint64) (handle string, err error) {
	rest, ok := strings.CutPrefix(s, smartcard)
	slot, handle, colon := strings.Cut(rest, ":")
	digits := strings.ReplaceAll(strings.TrimPrefix(handle, "0x"), ":", "")
	h, err := strconv.ParseUint(digits, 16, 32)
	if !ok || !colon || err != nil || h>>24 != kind || strings.Trim(slot, "0123456789") != "" {
		return "", errSmartcard
	}
	return handle, nil
}

// The first octets of handles.
const (
	nvIndex    = 0x01
	persistent = 0x81
)
