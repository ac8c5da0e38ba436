package log

import (
	"fmt"
	"log/slog"
	"strings"
)

type octets []byte

// Octets returns an attribute that shows b after the message, as strongSwan
// shows octets at its level 3:
//
//	created PA-TNC message: => 18 bytes
//	   0: 01 00 00 00 F4 33 3B 12 00 00 00 00 00 00 00 02  .....3;.........
//	  16: 00 17                                            ..
//
// b is looked at while the record is handled, and not kept.
func Octets(b []byte) slog.Attr { return slog.Any("octets", octets(b)) }

// rowSize is how many octets stand in one line.
const rowSize = 16

// String returns the text, then the octets where there are any: several lines.
func (r Record) String() string {
	if r.Octets == nil {
		return r.Text
	}
	var s strings.Builder
	s.WriteString(r.Text)
	if r.Text != "" {
		s.WriteByte(' ')
	}
	fmt.Fprintf(&s, "=> %d bytes", len(r.Octets))
	for at := 0; at < len(r.Octets); at += rowSize {
		row := r.Octets[at:min(at+rowSize, len(r.Octets))]
		fmt.Fprintf(&s, "\n%4d: %-*s ", at, 3*rowSize, fmt.Sprintf("% X", row))
		for _, c := range row {
			if c < ' ' || c > '~' {
				c = '.'
			}
			s.WriteByte(c)
		}
	}
	return s.String()
}
