package usage

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// helpWidth is how wide help is, in columns.
const helpWidth = 80

// fitText fills paragraphs again, and breaks indented lines that are too long: an example
// as a shell reads it, an entry of a list below its text.
func fitText(s string) string {
	var out, paragraph []string
	flush := func() {
		if len(paragraph) > 0 {
			out = append(out, fill(strings.Fields(strings.Join(paragraph, " ")), "", "")...)
			paragraph = nil
		}
	}
	for _, l := range strings.Split(s, "\n") {
		switch {
		case l != "" && l[0] != ' ' && l[0] != '\t' && !strings.HasSuffix(l, ":") && !strings.HasPrefix(l, "#"):
			paragraph = append(paragraph, l)
		case l != "" && l[0] != ' ' && l[0] != '\t':
			out = append(out, fillLast(&paragraph, l)...)
		default:
			flush()
			out = append(out, fitLine(l)...)
		}
	}
	flush()
	return strings.Join(out, "\n")
}

// fillLast ends a paragraph with a line that leads to what follows.
func fillLast(paragraph *[]string, l string) []string {
	words := strings.Fields(strings.Join(append(*paragraph, l), " "))
	*paragraph = nil
	return fill(words, "", "")
}

// gap parts the columns of an indented line.
var gap = regexp.MustCompile(` {2,}`)

// fitLine breaks an indented line that is too long.
func fitLine(l string) []string {
	if utf8.RuneCountInString(l) <= helpWidth {
		return []string{l}
	}
	text := strings.TrimLeft(l, " ")
	indent := strings.Repeat(" ", len(l)-len(text))
	if strings.HasPrefix(text, "tnc ") || strings.HasPrefix(text, "sudo ") {
		text = gap.ReplaceAllString(text, "  ")
		if utf8.RuneCountInString(indent+text) <= helpWidth {
			return []string{indent + text}
		}
		command, comment, _ := strings.Cut(text, "  ")
		lines := fill(strings.Fields(command), indent, indent+"    ")
		for i := range lines[:len(lines)-1] {
			lines[i] += " \\"
		}
		if comment != "" {
			lines = append([]string{indent + "# " + strings.TrimPrefix(comment, "# ")}, lines...)
		}
		return lines
	}
	at := gap.FindAllStringIndex(text, -1)
	if len(at) == 0 {
		return fill(strings.Fields(text), indent, indent)
	}
	last := at[len(at)-1][1]
	return fill(strings.Fields(text[last:]), indent+text[:last], strings.Repeat(" ", len(indent)+last))
}

// fill puts words into lines, the first one behind first, the others behind rest.
func fill(words []string, first, rest string) (lines []string) {
	const room = helpWidth - 2 // for a backslash
	line, empty := first, true
	for _, w := range words {
		if !empty && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(w) > room {
			lines, line, empty = append(lines, line), rest, true
		}
		if !empty {
			line += " "
		}
		line, empty = line+w, false
	}
	return append(lines, line)
}
