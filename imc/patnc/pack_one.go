package patnc

import (
	"cmp"
	"fmt"
	"slices"
)

// PackOne puts all attributes into one message, for a host that keeps no second
// one. Where they exceed limit octets and s, which may be nil, allows segments, the
// largest shrink to their first segments until the message fits, or nothing more
// can shrink: then, and without a contract, the message is as large as it is. It
// has no ID yet.
func PackOne(attributes []Attribute, limit int, s *Segmenter) (Message, error) {
	bases := make([][]byte, len(attributes))
	room := make([]int, len(attributes)) // what each gets of the message
	total := MessageHeaderSize
	for i, a := range attributes {
		b, err := a.AppendBinary(nil)
		if err != nil {
			return Message{}, fmt.Errorf("pack PA-TNC message: %w", err)
		}
		bases[i], room[i] = b, len(b)
		if s != nil && s.needs(len(b)) {
			room[i] = EnvelopeSize + int(min(uint64(s.contract.MaxSegment), uint64(len(b))))
		}
		total += room[i]
	}
	if s != nil && total > limit {
		largest := make([]int, len(attributes))
		for i := range largest {
			largest[i] = i
		}
		slices.SortStableFunc(largest, func(i, j int) int { return cmp.Compare(room[j], room[i]) })
		for _, i := range largest[:min(len(largest), MaxPendingBases)] {
			least := minSegmentSpace
			if total <= limit || room[i] <= least || !s.may(len(bases[i])) {
				continue
			}
			least = max(room[i]-(total-limit), least)
			total -= room[i] - least
			room[i] = least
		}
	}
	var m Message
	for i, a := range attributes {
		if room[i] < len(bases[i]) || s != nil && s.needs(len(bases[i])) {
			a = s.first(bases[i], room[i])
		}
		m.Attributes = append(m.Attributes, a)
	}
	return m, nil
}
