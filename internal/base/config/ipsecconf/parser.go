package ipsecconf

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config"
)

// section is "config setup", "conn name" or "ca name".
type section struct {
	kind, name string
	pos        config.Pos
	values     []config.Value
}

type parser struct {
	sections []*section
	current  *section
}

func read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s: larger than %d octets", path, maxFile)
	}
	return string(b), err
}

func (p *parser) file(path string, depth int) error {
	text, err := read(path)
	if err != nil {
		return err
	}
	if depth > maxIncludes {
		return fmt.Errorf("%s: includes are nested deeper than %d", path, maxIncludes)
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		pos := config.Pos{File: path, Line: n}
		line = strings.TrimRight(line, "\r\n")
		indented := line != "" && (line[0] == ' ' || line[0] == '\t')
		line = strings.TrimSpace(cutComment(line))
		if line == "" {
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		if w, r, ok := strings.Cut(line, "\t"); ok && len(w) < len(word) {
			word, rest = w, r
		}
		rest = strings.TrimSpace(rest)
		switch {
		case word == "include" && !strings.Contains(line, "="):
			if err := include(path, unquote(rest), pos, func(f string) error { return p.file(f, depth+1) }); err != nil {
				return err
			}
		case !indented && (word == "config" || word == "conn" || word == "ca"):
			p.current = &section{kind: word, name: unquote(rest), pos: pos}
			if p.current.name == "" {
				return pos.Errorf("%s without a name", word)
			}
			p.sections = append(p.sections, p.current)
		case word == "version":
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || p.current == nil {
				return pos.Errorf("%q is no section and no key=value of one", line)
			}
			p.current.values = append(p.current.values, config.Value{Key: strings.TrimSpace(key), Text: unquote(strings.TrimSpace(value)), Pos: pos})
		}
	}
	return nil
}

// include calls f for each file that pattern means.
func include(from, pattern string, pos config.Pos, f func(string) error) error {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(from), pattern)
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		return pos.Errorf("include %s: %w", pattern, err)
	}
	if len(files) == 0 && !strings.ContainsAny(pattern, "*?[") {
		return pos.Errorf("include %s: %w", pattern, fs.ErrNotExist)
	}
	for _, file := range files {
		if err := f(file); err != nil {
			return err
		}
	}
	return nil
}

// cutComment removes what follows a # that begins a word outside of quotes.
func cutComment(line string) string {
	quoted := false
	for i := 0; i < len(line); i++ {
		switch {
		case line[i] == '"':
			quoted = !quoted
		case line[i] == '#' && !quoted && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
			return line[:i]
		}
	}
	return line
}

func unquote(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}
