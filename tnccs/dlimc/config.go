package dlimc

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gotnc/gotnc/internal/base/text"
	"github.com/gotnc/gotnc/tnccs"
)

// DefaultTNCConfig is where TNC clients look for their IMCs.
const DefaultTNCConfig = "/etc/tnc_config"

// Limits of a tnc_config file.
const (
	maxConfig   = 1 << 20  // octets
	maxLineSize = 64 << 10 // octets of a line
	maxProblems = 100      // bad lines, of what must be another kind of file
)

// Entry is one IMC of a tnc_config file.
type Entry struct {
	Name string // human-readable name
	Path string // absolute path of the shared library
	File string // where it is configured, for messages; may be empty
	Line int
}

// ConfigError is the error of a bad line of a tnc_config file.
type ConfigError struct {
	File string
	Line int
	What string
}

func (e *ConfigError) Error() string { return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.What) }

// ParseTNCConfig reads the IMC entries of a tnc_config file (IF-IMC 1.3, /etc/tnc_config):
//
//	IMC "human-readable name" /absolute/path.so
//
// It accepts the syntax of strongSwan: blanks before the keyword, any blanks
// between the parts, CR LF, lines of other keywords; and a byte order mark.
// problems holds a *ConfigError for each bad line; entries holds those of all
// other lines, while strongSwan stops reading at the first bad line. err means
// that the file could not be read.
func ParseTNCConfig(path string) (entries []Entry, problems []error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read TNC configuration: %w", err)
	}
	defer f.Close()
	entries, problems, _, err = parseTNCConfig(path, f)
	if err != nil {
		return nil, nil, fmt.Errorf("read TNC configuration %s: %w", path, err)
	}
	return entries, problems, nil
}

// Doubts returns what is probably not meant in a tnc_config file though it can be
// read, each a *ConfigError: lines that name no IMC and are passed over, and IMCs
// that are named twice, of which each is loaded, as strongSwan does.
func Doubts(path string) (doubts []error, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read TNC configuration: %w", err)
	}
	defer f.Close()
	_, _, doubts, err = parseTNCConfig(path, f)
	return doubts, err
}

func parseTNCConfig(file string, r io.Reader) (entries []Entry, problems, doubts []error, err error) {
	byName, byPath := map[string]int{}, map[string]int{} // lines
	lr := &io.LimitedReader{R: r, N: maxConfig + 1}
	sc := bufio.NewScanner(lr)
	sc.Buffer(make([]byte, 0, 4096), maxLineSize)
	n := 1
	for ; sc.Scan(); n++ {
		line := sc.Text()
		if n == 1 {
			line = strings.TrimPrefix(line, "\ufeff")
		}
		e, what, doubt := parseLine(line)
		if what == "" && e.Path != "" && len(entries) == tnccs.MaxIMCs {
			what = fmt.Sprintf("more than %d IMCs", tnccs.MaxIMCs)
		}
		switch {
		case what != "":
			problems = append(problems, &ConfigError{File: file, Line: n, What: what})
		case e.Path != "":
			e.File, e.Line = file, n
			entries = append(entries, e)
			if before := byPath[e.Path]; before > 0 {
				doubt = fmt.Sprintf("%s is loaded by line %d already: take one of the two out", e.Path, before)
			} else if before := byName[e.Name]; before > 0 {
				doubt = fmt.Sprintf("line %d has an IMC %q already: give them different names", before, e.Name)
			}
			byName[e.Name], byPath[e.Path] = n, n
		}
		if doubt != "" && len(doubts) < maxProblems {
			doubts = append(doubts, &ConfigError{File: file, Line: n, What: doubt})
		}
		if len(problems) > maxProblems {
			return nil, nil, nil, fmt.Errorf("this is no TNC configuration: more than %d bad lines", maxProblems)
		}
	}
	if err := sc.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, nil, nil, fmt.Errorf("line %d has more than %d octets", n, maxLineSize)
	} else if err != nil {
		return nil, nil, nil, err
	}
	if lr.N <= 0 {
		return nil, nil, nil, fmt.Errorf("more than %d octets", maxConfig)
	}
	return entries, problems, doubts, nil
}

const blank = " \t"

// serverKeywords begin lines that are meant for others: TNC servers, and clients
// that load Java classes.
var serverKeywords = map[string]string{"IMV": "a TNC server", "JAVA-IMC": "a client with Java", "JAVA-IMV": "a server with Java"}

// parseLine returns the IMC of a line, an empty Entry where it is none; what is
// wrong with it; and what is probably not meant.
func parseLine(line string) (e Entry, what, doubt string) {
	s := strings.Trim(strings.TrimRight(line, "\r\n"), blank)
	if s == "" || s[0] == '#' {
		return Entry{}, "", ""
	}
	end := strings.IndexAny(s, blank+`"`)
	if end < 0 {
		end = len(s)
	}
	keyword, rest := s[:end], s[end:]
	switch _, known := serverKeywords[keyword]; {
	case keyword == "IMC":
		e, what = parseIMC(rest)
		return e, what, ""
	case strings.EqualFold(keyword, "IMC"):
		return Entry{}, fmt.Sprintf("the keyword is IMC, not %s", keyword), ""
	case !strings.ContainsAny(s, blank): // strongSwan stops reading here
		return Entry{}, fmt.Sprintf("%q: write IMC \"name\" /path/of/library.so", text.Clip(s, 64)), ""
	case known:
		return Entry{}, "", fmt.Sprintf("the line is passed over: it is for %s", serverKeywords[keyword])
	}
	return Entry{}, "", fmt.Sprintf("the line is passed over, as strongSwan does: %q is no keyword, IMC is", text.Clip(keyword, 64))
}

// parseIMC reads what follows the keyword IMC.
func parseIMC(rest string) (Entry, string) {
	if rest == "" || !strings.ContainsAny(rest[:1], blank) {
		return Entry{}, "the keyword IMC must be followed by a space"
	}
	_, rest, ok := strings.Cut(rest, `"`)
	if !ok {
		return Entry{}, "the name of the IMC must be set in double quotes"
	}
	name, rest, ok := strings.Cut(rest, `"`)
	if !ok {
		return Entry{}, "the name of the IMC lacks its closing double quote"
	}
	path := strings.TrimLeft(rest, blank)
	if i := strings.IndexAny(path, blank); i >= 0 {
		path = path[:i]
	}
	switch {
	case path == "":
		return Entry{}, "the path of the IMC is missing"
	case !filepath.IsAbs(path):
		return Entry{}, fmt.Sprintf("the path of the IMC must be absolute, not %q", path)
	case strings.IndexByte(path, 0) >= 0:
		return Entry{}, "the path of the IMC holds a NUL"
	}
	return Entry{Name: name, Path: path}, ""
}
