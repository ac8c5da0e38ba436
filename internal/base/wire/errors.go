package wire

import (
	"errors"

	"github.com/gotnc/gotnc"
)

// DecodeError is the error of every failed read. It is public, as are its
// causes: users of the codecs name them by the module's root package.
type DecodeError = gotnc.DecodeError

// Causes that every codec shares.
var (
	ErrTruncated = gotnc.ErrTruncated
	ErrTrailing  = gotnc.ErrTrailing
	ErrTooLong   = gotnc.ErrTooLong
	ErrLength    = gotnc.ErrLength
	ErrValue     = gotnc.ErrValue
)

// Shift returns err with base added to the offset of its DecodeError, where it
// has one: the error of a parser that was given the octets from base on of a
// larger message, as an error of that message. The error of the parser itself
// is not changed.
func Shift(err error, base int) error {
	var de *DecodeError
	if base == 0 || !errors.As(err, &de) {
		return err
	}
	shifted := *de
	shifted.Offset += base
	return &shifted
}
