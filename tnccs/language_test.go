package tnccs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPreferredLanguage(t *testing.T) {
	all := []Reason{{"one", "en-GB"}, {"zwei", "de"}, {"drei", "de-CH"}, {"none", ""}}
	for accept, want := range map[string]string{
		"de":             "zwei drei none",
		"fr, en;q=0.5":   "one none",
		"de;q=0.1, en":   "one none",
		"fr":             "one zwei drei none",
		"*":              "one zwei drei none",
		"de-CH, de":      "drei none",
		"de;q=0, en":     "one none",
		"EN-gb;q = 0.9 ": "one none",
	} {
		var got string
		for _, r := range preferred(accept, all, func(r Reason) string { return r.Language }) {
			got += " " + r.Text
		}
		require.Equal(t, " "+want, got, accept)
	}
}
