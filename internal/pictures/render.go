package main

import (
	"fmt"
	"html"
	"strconv"
	"strings"
)

// Sizes in the picture's own units: a text of README's width shows them as pixels.
const (
	lineHeight = 17
	firstStep  = 78 // y of what follows the heads of lanes
	stepHeight = 34
)

// style has the colours of a light and of a dark page.
const style = `<style>
svg{--bg:#fff;--fg:#1b1f24;--dim:#4b5563;--box:#f3f6fa;--line:#7b8794;--key:#dbeafe;--keyline:#2563eb;--good:#dcfce7;--goodline:#15803d}
@media(prefers-color-scheme:dark){svg{--bg:#0d1117;--fg:#e6edf3;--dim:#a9b4c0;--box:#1c2430;--line:#8290a0;--key:#132f5c;--keyline:#60a5fa;--good:#0f3a23;--goodline:#4ade80}}
text{font:14px system-ui,"Segoe UI","DejaVu Sans",sans-serif;fill:var(--fg)}
.b{font-weight:600}.d{fill:var(--dim);font-size:13px}.m{text-anchor:middle}.e{text-anchor:end}
.bg{fill:var(--bg)}.plain{fill:var(--box);stroke:var(--line)}.key{fill:var(--key);stroke:var(--keyline)}.good{fill:var(--good);stroke:var(--goodline)}
.zone{fill:none;stroke:var(--line);stroke-dasharray:5 4}.a{fill:none;stroke:var(--fg);stroke-width:1.4}.h{fill:var(--fg)}.lane{stroke:var(--line);stroke-dasharray:2 4}
</style>
`

// picture collects the elements of an SVG.
type picture struct {
	width, height int
	body          strings.Builder
	over          strings.Builder // labels, above lines
	boxes         map[string][4]int
	lanes         map[string]int
	order         []string
	y             int // of the next step between lanes
}

// render draws the text of a picture.
func render(source string) (string, error) {
	p := &picture{boxes: map[string][4]int{}, lanes: map[string]int{}, y: firstStep}
	title := ""
	for i, line := range strings.Split(source, "\n") {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest = strings.TrimSpace(rest)
		var err error
		switch word {
		case "", "#":
		case "title":
			title = rest
		default:
			err = p.element(word, rest)
		}
		if err != nil {
			return "", fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	if p.width == 0 || title == "" {
		return "", fmt.Errorf("a picture has a size and a title")
	}
	if len(p.order) > 0 {
		p.height = p.y + 6
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" role="img" aria-label=%q>`+"\n<title>%s</title>\n%s", p.width, p.height, p.width, html.EscapeString(title), html.EscapeString(title), style)
	fmt.Fprintf(&b, "<rect class=\"bg\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", p.width, p.height)
	for _, name := range p.order {
		fmt.Fprintf(&b, "<path class=\"lane\" d=\"M%d 56V%d\"/>\n", p.lanes[name], p.height-8)
	}
	b.WriteString(p.body.String() + p.over.String() + "</svg>\n")
	return b.String(), nil
}

// numbers takes n numbers from the front of a text.
func numbers(s string, n int) (v []int, rest string, err error) {
	f := strings.SplitN(s, " ", n+1)
	if len(f) < n {
		return nil, "", fmt.Errorf("%d numbers are missing in %q", n, s)
	}
	for _, t := range f[:n] {
		x, err := strconv.Atoi(t)
		if err != nil {
			return nil, "", err
		}
		v = append(v, x)
	}
	return v, strings.Join(f[n:], " "), nil
}

func (p *picture) element(word, rest string) error {
	switch word {
	case "size":
		v, _, err := numbers(rest, 2)
		if err == nil {
			p.width, p.height = v[0], v[1]
		}
		return err
	case "zone":
		v, text, err := numbers(rest, 4)
		if err == nil {
			fmt.Fprintf(&p.body, "<rect class=\"zone\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", v[0], v[1], v[2], v[3])
			p.text(&p.over, v[0]+10, v[1]+19, "b", text)
			if w := widthOf(text, true); w > v[2]-16 {
				err = fmt.Errorf("%q is about %d wide, the zone %d", text, w, v[2])
			}
		}
		return err
	case "note":
		v, text, err := numbers(rest, 2)
		if err == nil {
			p.lines(&p.over, v[0], v[1], "d", strings.Split(text, "|"))
		}
		return err
	case "box":
		return p.box(rest)
	case "arrow":
		return p.arrow(rest)
	case "lane", "phase", "send", "think":
		return p.step(word, rest)
	}
	return fmt.Errorf("%q is no element", word)
}

func (p *picture) text(b *strings.Builder, x, y int, class, text string) {
	fmt.Fprintf(b, "<text class=%q x=\"%d\" y=\"%d\">%s</text>\n", class, x, y, html.EscapeString(text))
}

func (p *picture) lines(b *strings.Builder, x, y int, class string, lines []string) {
	for i, l := range lines {
		p.text(b, x, y+i*lineHeight, class, l)
	}
}

// widthOf is about the width of a text in a wide font.
func widthOf(text string, bold bool) int {
	n := len([]rune(text)) * 7
	if bold {
		n = len([]rune(text)) * 78 / 10
	}
	return n
}

// box draws a box with its lines of text, which must fit.
func (p *picture) box(rest string) error {
	f := strings.SplitN(rest, " ", 3)
	if len(f) < 3 {
		return fmt.Errorf("box NAME KIND X Y W H TEXT")
	}
	v, text, err := numbers(f[2], 4)
	if err != nil {
		return err
	}
	p.boxes[f[0]] = [4]int(v)
	fmt.Fprintf(&p.body, "<rect class=%q x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"6\"/>\n", f[1], v[0], v[1], v[2], v[3])
	lines := strings.Split(text, "|")
	for i, l := range lines {
		if w := widthOf(l, i == 0); w > v[2]-8 {
			return fmt.Errorf("%q is about %d wide, the box %d", l, w, v[2])
		}
	}
	y := v[1] + v[3]/2 + 5 - (len(lines)-1)*lineHeight/2
	for i, l := range lines {
		p.text(&p.over, v[0]+v[2]/2, y+i*lineHeight, []string{"m b", "m d"}[min(i, 1)], l)
	}
	return nil
}

// end returns the point that NAME.SIDE.PERCENT names, and its side.
func (p *picture) end(name string) (x, y int, side string, err error) {
	f := strings.Split(name, ".")
	b, ok := p.boxes[f[0]]
	if !ok || len(f) < 2 {
		return 0, 0, "", fmt.Errorf("%q is no side of a box", name)
	}
	part := 50
	if len(f) == 3 {
		if part, err = strconv.Atoi(f[2]); err != nil {
			return 0, 0, "", err
		}
	}
	across, down := b[0]+b[2]*part/100, b[1]+b[3]*part/100
	switch f[1] {
	case "l":
		return b[0], down, "h", nil
	case "r":
		return b[0] + b[2], down, "h", nil
	case "t":
		return across, b[1], "v", nil
	case "b":
		return across, b[1] + b[3], "v", nil
	}
	return 0, 0, "", fmt.Errorf("%q is no side", f[1])
}

// arrow draws a line of at most three straight parts between two boxes.
func (p *picture) arrow(rest string) error {
	rest, both := strings.CutPrefix(rest, "both ")
	f := strings.SplitN(rest, " ", 3)
	if len(f) < 2 {
		return fmt.Errorf("arrow FROM TO TEXT")
	}
	x1, y1, from, err := p.end(f[0])
	if err != nil {
		return err
	}
	x2, y2, to, err := p.end(f[1])
	if err != nil {
		return err
	}
	if from == "v" && to == "v" && max(x1-x2, x2-x1) < 8 {
		x2 = x1
	}
	mx, my := (x1+x2)/2, (y1+y2)/2
	path := fmt.Sprintf("M%d %d", x1, y1)
	switch {
	case from == "h" && to == "h" && y1 != y2:
		path += fmt.Sprintf("H%dV%dH%d", mx, y2, x2)
	case from == "v" && to == "v" && x1 != x2:
		path += fmt.Sprintf("V%dH%dV%d", my, x2, y2)
	case from == "h" && to == "v":
		path += fmt.Sprintf("H%dV%d", x2, y2)
	case from == "v" && to == "h":
		path += fmt.Sprintf("V%dH%d", y2, x2)
	default:
		path += fmt.Sprintf("L%d %d", x2, y2)
	}
	fmt.Fprintf(&p.body, "<path class=\"a\" d=%q/>\n", path)
	p.head(x2, y2, to, x1, y1)
	if both {
		p.head(x1, y1, from, x2, y2)
	}
	if len(f) < 3 {
		return nil
	}
	lines := strings.Split(f[2], "|")
	if from == "v" && to == "v" {
		p.lines(&p.over, max(x1, x2)+8, my+5-(len(lines)-1)*lineHeight/2, "d", lines)
		return nil
	}
	p.lines(&p.over, mx, min(y1, y2)-7-(len(lines)-1)*lineHeight, "m d", lines)
	return nil
}

// head draws the head of an arrow that ends at x, y and came from the other point.
func (p *picture) head(x, y int, side string, fromX, fromY int) {
	dx, dy := 0, 0
	switch {
	case side == "h" && fromX < x:
		dx = -8
	case side == "h":
		dx = 8
	case fromY < y:
		dy = -8
	default:
		dy = 8
	}
	fmt.Fprintf(&p.body, "<path class=\"h\" d=\"M%d %dL%d %dL%d %dZ\"/>\n", x, y, x+dx+dy/2, y+dy+dx/2, x+dx-dy/2, y+dy-dx/2)
}

// step adds to an exchange over time.
func (p *picture) step(word, rest string) error {
	if word == "phase" {
		p.y += 4
		fmt.Fprintf(&p.body, "<rect class=\"key\" x=\"8\" y=\"%d\" width=\"%d\" height=\"24\" rx=\"4\"/>\n", p.y-18, p.width-16)
		p.text(&p.over, p.width/2, p.y-1, "m b", rest)
		p.y += stepHeight + 2
		return nil
	}
	f := strings.SplitN(rest, " ", 3)
	if len(f) < 3 && word != "think" || len(f) < 2 {
		return fmt.Errorf("%s: too few words", word)
	}
	if word == "lane" {
		x, err := strconv.Atoi(f[1])
		p.lanes[f[0]] = x
		p.order = append(p.order, f[0])
		lines := strings.Split(f[2], "|")
		p.lines(&p.over, x, 24, "m b", lines[:1])
		p.lines(&p.over, x, 24+lineHeight, "m d", lines[1:])
		return err
	}
	x1, ok := p.lanes[f[0]]
	if !ok {
		return fmt.Errorf("%q is no lane", f[0])
	}
	if word == "think" {
		_, text, _ := strings.Cut(rest, " ")
		lines := strings.Split(text, "|")
		width := 0
		for _, l := range lines {
			width = max(width, widthOf(l, false)+20)
		}
		x1 = min(x1, p.width-width/2-8)
		height := lineHeight*len(lines) + 8
		fmt.Fprintf(&p.body, "<rect class=\"good\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"5\"/>\n", x1-width/2, p.y-17, width, height)
		p.lines(&p.over, x1, p.y-1, "m", lines)
		p.y += height + 14
		return nil
	}
	x2, ok := p.lanes[f[1]]
	if !ok {
		return fmt.Errorf("%q is no lane", f[1])
	}
	lines := strings.Split(f[2], "|")
	p.lines(&p.over, (x1+x2)/2, p.y, "m d", lines)
	p.y += 6 + (len(lines)-1)*lineHeight
	fmt.Fprintf(&p.body, "<path class=\"a\" d=\"M%d %dH%d\"/>\n", x1, p.y, x2)
	p.head(x2, p.y, "h", x1, p.y)
	p.y += stepHeight - 6
	return nil
}
