package imccheck

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Limits on what is read of a policy.
const (
	maxPolicy  = 1 << 20 // octets of a file
	maxRules   = 20000
	maxInclude = 12 // files in files
)

// rule is one file rule of a profile.
type rule struct {
	deny        bool
	pattern     string
	permissions string
	match       *regexp.Regexp
}

// permits reports whether a permission ('r', 'm', 'x') is granted for a path.
func (p *Policy) permits(path string, permission byte) bool {
	granted := false
	for _, r := range p.rules {
		if strings.IndexByte(r.permissions, permission) < 0 || !r.match.MatchString(path) {
			continue
		}
		if r.deny {
			return false
		}
		granted = true
	}
	return granted
}

// reader reads the profile of a program, with what it includes: apparmor.d(5).
type reader struct {
	folder    string // apparmor.d
	program   string
	variables map[string][]string

	found   bool   // the profile is there
	name    string // of the profile
	inside  bool
	depth   int // of profiles inside of it
	skipped int // of other profiles
	rules   []rule
}

// read reads one file.
func (r *reader) read(file string, depth int) {
	if depth > maxInclude {
		return
	}
	if st, err := os.Stat(file); err != nil || st.Size() > maxPolicy {
		return
	} else if st.IsDir() {
		files, _ := filepath.Glob(filepath.Join(file, "*"))
		for _, f := range files {
			r.read(f, depth+1)
		}
		return
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		if s, ok := strings.CutPrefix(line, "#include"); ok {
			line = "include" + s
		}
		if i := strings.IndexByte(line, '#'); i >= 0 {
			line = strings.TrimSpace(line[:i])
		}
		r.line(line, depth)
	}
}

// line reads one line.
func (r *reader) line(line string, depth int) {
	switch {
	case line == "":
	case strings.HasPrefix(line, "include"):
		if r.depth > 0 || r.skipped > 0 {
			return
		}
		name := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(strings.TrimPrefix(line, "include")), "if exists"))
		if s := strings.Trim(name, `<>",`); s != "" {
			if !filepath.IsAbs(s) {
				s = filepath.Join(r.folder, s)
			}
			r.read(s, depth+1)
		}
	case strings.HasPrefix(line, "@{") && strings.Contains(line, "=") && !r.inside:
		r.variable(line)
	case strings.HasSuffix(line, " {"):
		r.open(strings.TrimSuffix(line, " {"))
	case line == "}":
		switch {
		case r.skipped > 0:
			r.skipped--
		case r.depth > 0:
			r.depth--
		default:
			r.inside = false
		}
	case r.inside && r.depth == 0 && r.skipped == 0 && len(r.rules) < maxRules:
		r.rule(strings.TrimSuffix(line, ","))
	}
}

// variable reads `@{name}=value value` and `+=`.
func (r *reader) variable(line string) {
	name, values, _ := strings.Cut(line, "=")
	name = strings.Trim(strings.TrimSpace(strings.TrimSuffix(name, "+")), "@{}")
	r.variables[name] = append(r.variables[name], strings.Fields(values)...)
}

// open begins a block: the profile of the program, or another one.
func (r *reader) open(head string) {
	switch {
	case r.skipped > 0:
		r.skipped++
	case r.inside:
		r.depth++
	default:
		fields := strings.Fields(strings.TrimPrefix(head, "profile "))
		attached := slices.ContainsFunc(fields, func(f string) bool {
			m := r.compileOne(strings.Trim(f, `"`))
			return strings.Contains(f, "/") && m != nil && m.MatchString(r.program)
		})
		if attached && !r.found {
			r.found, r.inside, r.name = true, true, strings.Trim(fields[0], `"`)
		} else {
			r.skipped++
		}
	}
}

// rule reads `[audit] [deny] [owner] [file] PATH PERMISSIONS` or the reverse.
func (r *reader) rule(line string) {
	var out rule
	fields := strings.Fields(line)
	for len(fields) > 0 {
		switch fields[0] {
		case "deny":
			out.deny = true
		case "audit", "allow", "owner", "file":
		default:
			isPath := func(s string) bool {
				return strings.HasPrefix(strings.Trim(s, `"`), "/") || strings.HasPrefix(s, "@{") || strings.HasPrefix(s, "{")
			}
			switch {
			case len(fields) < 2:
				return
			case isPath(fields[0]):
				out.pattern, out.permissions = strings.Trim(fields[0], `"`), strings.ToLower(fields[1])
			case isPath(fields[1]):
				out.pattern, out.permissions = strings.Trim(fields[1], `"`), strings.ToLower(fields[0])
			default:
				return // of capabilities, the network, …
			}
			r.rules = append(r.rules, out)
			return
		}
		fields = fields[1:]
	}
	if strings.HasSuffix(line, "file") { // all files
		r.rules = append(r.rules, rule{deny: out.deny, pattern: "/**", permissions: "rwmx"})
	}
}

// compile returns the rules, without those whose pattern means nothing.
func (r *reader) compile() []rule {
	out := r.rules[:0]
	for _, x := range r.rules {
		if x.match = r.compileOne(x.pattern); x.match != nil {
			out = append(out, x)
		}
	}
	return out
}

var variable = regexp.MustCompile(`@\{[^}]*\}/?`)

// compileOne makes a regular expression of a pattern; nil where it is none.
func (r *reader) compileOne(pattern string) *regexp.Regexp {
	for range 8 { // variables in variables
		if !variable.MatchString(pattern) {
			break
		}
		pattern = variable.ReplaceAllStringFunc(pattern, func(name string) string {
			name, slash := strings.CutSuffix(name, "/")
			var values []string
			for _, v := range r.variables[strings.Trim(name, "@{}")] {
				if slash { // folders end with one already
					v = strings.TrimSuffix(v, "/") + "/"
				}
				values = append(values, v)
			}
			return "{" + strings.Join(values, ",") + "}"
		})
		if len(pattern) > 4096 {
			return nil
		}
	}
	m, err := regexp.Compile("^" + expression(pattern) + "$")
	if err != nil {
		return nil
	}
	return m
}

// expression translates the wildcards of AppArmor.
func expression(pattern string) string {
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch c := pattern[i]; c {
		case '*':
			if i+1 < len(pattern) && pattern[i+1] == '*' {
				b.WriteString(".*")
				i++
			} else {
				b.WriteString("[^/]*")
			}
		case '?':
			b.WriteString("[^/]")
		case '{':
			b.WriteString("(?:")
		case '}':
			b.WriteString(")")
		case ',':
			b.WriteString("|")
		case '[', ']':
			b.WriteByte(c)
		case '/':
			if i == 0 || pattern[i-1] != '/' {
				b.WriteString("/+")
			}
		case '\\':
			if i++; i < len(pattern) {
				b.WriteString(regexp.QuoteMeta(string(pattern[i])))
			}
		default:
			b.WriteString(regexp.QuoteMeta(string(c)))
		}
	}
	return b.String()
}
