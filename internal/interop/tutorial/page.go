// Package tutorial runs the pages of docs/tutorials and docs/howto: every command
// line of their fenced blocks, with what it prints compared to what the page shows.
//
// A block ```console holds command lines after "$ " (they go on after "> "), each with
// its output below: a line "…" stands for any lines, "…" in a line for any text; no
// output means that it is not compared. A block ```sh holds command lines alone. A
// block after a comment <!-- file: NAME --> is the content of a file that the reader
// writes. Blocks ```text are shown only. A command fails the page unless it exits
// with 0 or the next one is `echo $?`.
//
// The comment <!-- needs: … --> at the top says what the page needs, with ";" between:
// root; program NAME PACKAGE; file PATH PACKAGE; perhaps NAME PACKAGE, a program that
// CI need not have; strongswan, a host with strongSwan's
// client as a service, and its gateway. The comment
// <!-- not run: REASON --> before a block of a how-to takes that block out.
package tutorial

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// page is a document with what is to be run of it, in order.
type page struct {
	name  string   // of the file, without its suffix
	needs []string // of the machine
	steps []step
	left  []string // reasons of blocks that are not run
}

// wants reports whether the page needs that.
func (p *page) wants(what string) bool { return slices.Contains(p.needs, what) }

// step is a command with the output that the page shows, or a file.
type step struct {
	line int      // of the page
	file string   // the file that text is the content of; "" for a command
	text string   // ends with a line feed
	want []string // lines of output; nil is not compared
}

var (
	comment   = regexp.MustCompile(`^\s*<!-- (file|needs|not run): (.+) -->$`)
	fence     = regexp.MustCompile("^(\\s*)```(\\w*)$")
	document  = regexp.MustCompile(`<<-?\s*['"]?(\w+)['"]?`)
	excusable = regexp.MustCompile(`(^|/)howto/`)
)

// readPage reads a Markdown document. A block that it cannot tell the meaning of is an
// error, so that no command line escapes.
func readPage(file string) (page, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return page{}, err
	}
	p := page{name: strings.TrimSuffix(filepath.Base(file), ".md")}
	lines := strings.Split(string(b), "\n")
	said := [2]string{} // the comment above a block
	for i := 0; i < len(lines); i++ {
		if m := comment.FindStringSubmatch(lines[i]); m != nil {
			if said = [2]string{m[1], m[2]}; m[1] == "needs" {
				for _, n := range strings.Split(m[2], ";") {
					p.needs = append(p.needs, strings.TrimSpace(n))
				}
			}
			continue
		}
		m := fence.FindStringSubmatch(lines[i])
		if m == nil {
			if strings.Contains(lines[i], "<!--") {
				return p, fmt.Errorf("%s:%d: a comment that is not understood", file, i+1)
			}
			if strings.Contains(lines[i], "```") {
				return p, fmt.Errorf("%s:%d: a fence that is not three back quotes and one word", file, i+1)
			}
			if strings.TrimSpace(lines[i]) != "" {
				said = [2]string{}
			}
			continue
		}
		first := i + 1
		if m[1] != "" {
			return p, fmt.Errorf("%s:%d: an indented block, which mkdocs does not show as one", file, first)
		}
		for i++; i < len(lines) && lines[i] != "```"; i++ {
		}
		if i == len(lines) {
			return p, fmt.Errorf("%s:%d: the block has no end", file, first)
		}
		if err := p.block(m[2], said, lines[first:i], first+1); err != nil {
			return p, fmt.Errorf("%s:%d: %w", file, first, err)
		}
		said = [2]string{}
	}
	if len(p.left) > 0 && !excusable.MatchString(filepath.ToSlash(file)) {
		return p, fmt.Errorf("%s: a tutorial runs every command: %s", file, p.left[0])
	}
	return p, nil
}

// block adds a fenced block; at is the line of the page that its first line has.
func (p *page) block(kind string, said [2]string, lines []string, at int) error {
	switch {
	case said[0] == "not run":
		p.left = append(p.left, said[1])
	case said[0] == "file":
		p.steps = append(p.steps, step{line: at, file: said[1], text: strings.Join(lines, "\n") + "\n"})
	case kind == "console":
		return p.console(lines, at)
	case kind == "sh":
		return p.script(lines, at)
	case kind != "text":
		return fmt.Errorf("a block of %q is neither run (sh, console), nor a file (<!-- file: NAME -->), nor text", kind)
	}
	return nil
}

// console adds commands with their output.
func (p *page) console(lines []string, at int) error {
	for i, l := range lines {
		command, ok := strings.CutPrefix(l, "$ ")
		if ok {
			p.steps = append(p.steps, step{line: at + i, text: command + "\n"})
			continue
		}
		if len(p.steps) == 0 || i == 0 {
			return fmt.Errorf("the block begins with output")
		}
		s := &p.steps[len(p.steps)-1]
		if more, ok := strings.CutPrefix(l, "> "); ok && s.want == nil && incomplete(s.text) {
			s.text += more + "\n"
			continue
		}
		s.want = append(s.want, l)
	}
	return nil
}

// script adds commands; each takes as many lines as it needs.
func (p *page) script(lines []string, at int) error {
	text, from := "", at
	for i, l := range lines {
		if text == "" {
			if from = at + i; strings.TrimSpace(l) == "" || strings.HasPrefix(l, "#") {
				continue
			}
		}
		if text += l + "\n"; !incomplete(text) {
			p.steps = append(p.steps, step{line: from, text: text})
			text = ""
		}
	}
	if text != "" {
		return fmt.Errorf("a command that does not end: %s", text)
	}
	return nil
}

// incomplete reports whether a command goes on in the next line.
func incomplete(text string) bool {
	if strings.HasSuffix(text, "\\\n") {
		return true
	}
	if m := document.FindStringSubmatch(text); m != nil {
		return !strings.Contains(text, "\n"+m[1]+"\n")
	}
	return exec.Command("bash", "-n", "-c", text).Run() != nil
}

// matches compares output with the lines that the page shows.
func matches(want []string, got string) bool {
	var re strings.Builder
	re.WriteString(`^`)
	for _, l := range want {
		if strings.TrimSpace(l) == "…" {
			re.WriteString(`(?:.*\n)*?`)
			continue
		}
		parts := strings.Split(strings.TrimRight(l, " "), "…")
		for i := range parts {
			parts[i] = regexp.QuoteMeta(parts[i])
		}
		re.WriteString(strings.Join(parts, `.*`) + ` *\n`)
	}
	re.WriteString(`$`)
	return regexp.MustCompile(re.String()).MatchString(strings.TrimRight(got, "\n") + "\n")
}
