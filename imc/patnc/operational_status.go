package patnc

import (
	"time"

	"github.com/gotnc/gotnc/internal/base/wire"
)

// OperationalState says whether a product runs (RFC 5792 section 4.2.5).
type OperationalState uint8

// Operational states.
const (
	OperationalUnknown      OperationalState = 0
	OperationalNotInstalled OperationalState = 1
	OperationalInstalled    OperationalState = 2 // but not running
	Operational             OperationalState = 3
)

// OperationalResult is the result of a product's last use (RFC 5792 section 4.2.5).
type OperationalResult uint8

// Results of the last use.
const (
	ResultUnknown      OperationalResult = 0
	ResultSuccessful   OperationalResult = 1
	ResultWithErrors   OperationalResult = 2
	ResultUnsuccessful OperationalResult = 3
)

// OperationalStatus is the Operational Status (RFC 5792 section 4.2.5):
//
//	u8 status | u8 result | u16 0 | 20 octets last use, RFC 3339
type OperationalStatus struct {
	Status  OperationalState
	Result  OperationalResult
	LastUse time.Time // whole seconds; zero where unknown or inapplicable
}

// unknownTime is the last use of a product of which none is known.
const unknownTime = "0000-00-00T00:00:00Z"

// timeLayout is RFC 3339 in UTC with upper-case T and Z and no fraction.
const timeLayout = "2006-01-02T15:04:05Z"

// AppendTime appends t in the 20 octets that PA-TNC and PTS write a time in;
// the zero time, and one outside the years 1 to 9999, as unknown.
func AppendTime(b []byte, t time.Time) []byte {
	t = t.UTC()
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return append(b, unknownTime...)
	}
	return t.AppendFormat(b, timeLayout)
}

// TimeSize is the size of a time of PA-TNC and PTS in octets.
const TimeSize = len(unknownTime)

// ParseTime decodes the TimeSize octets that AppendTime writes. A leap second
// counts as the first second of the next minute. The error is a
// *gotnc.DecodeError.
func ParseTime(b []byte) (time.Time, error) {
	r := wire.NewReader("PA-TNC time", b)
	t := readTime(r)
	return t, r.Finish()
}

// readTime decodes the next TimeSize octets.
func readTime(r *wire.Reader) time.Time {
	at := r.Offset()
	s := string(r.Bytes(TimeSize))
	if r.Err() != nil || s == unknownTime {
		return time.Time{}
	}
	leap := time.Duration(0)
	if s[17:19] == "60" {
		s, leap = s[:17]+"59Z", time.Second
	}
	t, err := time.Parse(timeLayout, s)
	if err != nil {
		r.Fail(at, wire.ErrValue)
		return time.Time{}
	}
	return t.Add(leap)
}

// Type returns IETF type 5.
func (OperationalStatus) Type() Type { return TypeOperationalStatus }

// AppendValue appends the value.
func (v OperationalStatus) AppendValue(b []byte) ([]byte, error) {
	return AppendTime(append(b, byte(v.Status), byte(v.Result), 0, 0), v.LastUse), nil
}

func parseOperationalStatus(b []byte) (Value, error) {
	r := reader(TypeOperationalStatus, b)
	start := r.Offset()
	if r.Len() != 24 {
		r.Fail(start, wire.ErrLength)
		return nil, r.Err()
	}
	v := OperationalStatus{Status: OperationalState(r.U8()), Result: OperationalResult(r.U8())}
	r.Skip(2)
	// RFC 5792 section 4.2.5: a receiver treats values that it does not know as 0.
	if v.Status > Operational {
		v.Status = OperationalUnknown
	}
	if v.Result > ResultUnsuccessful {
		v.Result = ResultUnknown
	}
	v.LastUse = readTime(r)
	return v, r.Finish()
}
