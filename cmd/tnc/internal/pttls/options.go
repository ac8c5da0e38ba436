package pttls

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/usage"
)

// ReadOptions splits a file of options into words: white space separates them,
// double quotes keep it, and # comments out the rest of the line.
func ReadOptions(file string) ([]string, error) {
	b, err := usage.ReadFile(file)
	if err != nil {
		return nil, usage.Errorf("read options: %w", err)
	}
	defer clear(b)
	var words []string
	for n, line := range strings.Split(string(b), "\n") {
		of, closed := splitLine(line)
		if !closed {
			return nil, usage.Errorf("%s:%d: a closing double quote is missing", file, n+1)
		}
		words = append(words, of...)
	}
	return words, nil
}

// splitLine splits one line into words. closed is false where a quote is open at
// its end.
func splitLine(line string) (words []string, closed bool) {
	var word strings.Builder
	in, quoted := false, false // a word has begun; it is inside of quotes
	for _, r := range line {
		switch {
		case quoted && r == '"':
			quoted = false
		case r == '"':
			quoted, in = true, true
		case !quoted && (r == ' ' || r == '\t' || r == '\r'):
			if in {
				words = append(words, word.String())
			}
			word.Reset()
			in = false
		case !quoted && !in && r == '#':
			return words, true
		default:
			in = true
			word.WriteRune(r)
		}
	}
	if in && !quoted {
		words = append(words, word.String())
	}
	return words, !quoted
}

// ReadPassword returns the first line of a file. It is to be zeroed.
func ReadPassword(file string) ([]byte, error) {
	b, err := usage.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the password: %w", err)
	}
	line, _, _ := bytes.Cut(b, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if len(line) == 0 {
		return nil, fmt.Errorf("read the password: the first line of %s is empty", file)
	}
	return line, nil
}
