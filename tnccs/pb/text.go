package pb

import (
	"errors"
	"strings"

	"github.com/gotnc/gotnc/internal/base/wire"
)

var (
	errNUL     = errors.New("text holds a NUL")
	errControl = errors.New("text holds a control character")
)

// text32 reads a text behind a length of four octets.
func text32(r *wire.Reader) string {
	at := r.Offset()
	n := r.U32()
	if r.Err() == nil && uint64(n) > uint64(r.Len()) {
		r.Fail(at, wire.ErrTruncated)
	}
	return text(r, int(n))
}

// text8 reads a text behind a length of one octet.
func text8(r *wire.Reader) string {
	at := r.Offset()
	n := int(r.U8())
	if r.Err() == nil && n > r.Len() {
		r.Fail(at, wire.ErrTruncated)
	}
	return text(r, n)
}

// text reads n octets of text, without a NUL.
func text(r *wire.Reader, n int) string {
	at := r.Offset()
	if r.Err() != nil {
		return ""
	}
	s := string(r.Bytes(n))
	if i := strings.IndexByte(s, 0); i >= 0 {
		r.Fail(at+i, errNUL)
		return ""
	}
	return s
}

// appendText appends text behind a length of four octets, then its language
// behind one.
func appendText(b []byte, s, language string) ([]byte, error) {
	if strings.IndexByte(s, 0) >= 0 || strings.IndexByte(language, 0) >= 0 {
		return nil, errNUL
	}
	b, err := wire.AppendVec32(b, []byte(s))
	if err != nil {
		return nil, err
	}
	return wire.AppendVec8(b, []byte(language))
}
