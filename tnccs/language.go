package tnccs

import (
	"slices"
	"strconv"
	"strings"
)

// ranges returns the language ranges of an Accept-Language value, the most
// preferred first (RFC 3282 section 3: "da, en-gb;q=0.8, en;q=0.7").
func ranges(accept string) []string {
	type weighted struct {
		tag string
		q   float64
	}
	var ws []weighted
	for part := range strings.SplitSeq(accept, ",") {
		tag, params, _ := strings.Cut(part, ";")
		w := weighted{strings.ToLower(strings.TrimSpace(tag)), 1}
		if v, ok := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q="); ok {
			if q, err := strconv.ParseFloat(v, 64); err == nil {
				w.q = q
			}
		}
		if w.tag != "" && w.q > 0 {
			ws = append(ws, w)
		}
	}
	slices.SortStableFunc(ws, func(a, b weighted) int {
		switch {
		case a.q > b.q:
			return -1
		case a.q < b.q:
			return 1
		}
		return 0
	})
	tags := make([]string, len(ws))
	for i, w := range ws {
		tags[i] = w.tag
	}
	return tags
}

// preferred returns the texts in the most preferred language that any of them is
// in, and the texts without a language; all texts if none is in a preferred
// language. A range matches a tag that is equal to it or that it is a prefix of
// (RFC 4647 section 3.3.1).
func preferred[T any](accept string, texts []T, language func(T) string) []T {
	for _, want := range ranges(accept) {
		var out []T
		found := false
		for _, t := range texts {
			tag := strings.ToLower(language(t))
			match := want == "*" || tag == want || strings.HasPrefix(tag, want+"-")
			found = found || match && tag != ""
			if match || tag == "" {
				out = append(out, t)
			}
		}
		if found {
			return out
		}
	}
	return slices.Clone(texts)
}
