package config

import "fmt"

// Suggest returns "; is \"known\" meant?" where a name is one or two edits away
// from one of known, else "".
func Suggest(name string, known []string) string {
	best, at := "", 3
	for _, have := range known {
		if d := distance(name, have); d < at || d == at && d < 3 && have < best {
			best, at = have, d
		}
	}
	if best == "" || at >= len(name) {
		return ""
	}
	return fmt.Sprintf("; is %q meant?", best)
}

// distance returns Levenshtein's distance.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
