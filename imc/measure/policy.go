package measure

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/gotnc/gotnc/internal/base/config/settings"
)

// pseudo holds what no verifier reads unless measure_allow names it: files that
// the kernel makes up, some of which block, never end or change something.
var pseudo = [...]string{"/proc", "/sys", "/dev"}

// ErrRefused says that the settings do not let a verifier ask for a path.
var ErrRefused = errors.New("refused by the settings")

// Policy says which paths a verifier may ask for. A pattern is absolute; * ? and
// [classes] match within one component, ** any number of components, \ takes
// the next character as it is. A pattern that matches a directory covers
// everything below it.
//
// A path must be covered by a pattern of Allow and by none of Deny. Paths below
// /proc, /sys and /dev must be covered by a pattern of Allow that begins with
// that directory, and secrets of the system (see checkSecret) by one that names
// them. What is compared is the path after all symbolic links, and for Deny and
// secrets also the path that was asked for. The zero value allows all but /proc,
// /sys, /dev and secrets.
type Policy struct {
	allow, deny []pattern
	closed      bool // a pattern of Deny was wrong: nothing is allowed
}

// NewPolicy compiles patterns. Without patterns in allow everything is allowed.
// Patterns that are wrong are reported; one in allow is left out, one in deny
// refuses every path, since what it was to protect is not known. Where the
// components of a pattern before the first special character lead through
// symbolic links, the pattern holds for where they lead as well.
func NewPolicy(allow, deny []string) (Policy, error) {
	var (
		p    Policy
		errs []error
		err  error
	)
	compile := func(setting string, list []string) (out []pattern, ok bool) {
		ok = true
		for _, s := range list {
			var q pattern
			if q, err = parsePattern(s); err != nil {
				errs, ok = append(errs, fmt.Errorf("%s: %w", setting, err)), false
				continue
			}
			out = append(out, q)
			if r, ok := q.resolved(); ok {
				out = append(out, r)
			}
		}
		return out, ok
	}
	p.allow, _ = compile("measure_allow", allow)
	ok := true
	if p.deny, ok = compile("measure_deny", deny); !ok {
		p.closed = true
	}
	if len(allow) > 0 && len(p.allow) == 0 {
		p.closed = true
	}
	return p, errors.Join(errs...)
}

// policyFromSettings reads plugins.imc-attestation.measure_{allow,deny}.
func policyFromSettings(s Settings) (Policy, error) {
	return NewPolicy(settings.Words(settings.MeasureAllow.Read(s)), settings.Words(settings.MeasureDeny.Read(s)))
}

// Check returns an error that wraps ErrRefused unless a verifier may ask for
// name, an absolute path without symbolic links.
func (p Policy) Check(name string) error {
	if err := p.checkRefused(name); err != nil {
		return err
	}
	for _, dir := range pseudo {
		if !within(name, dir) {
			continue
		}
		for _, q := range p.allow {
			if q.segments[0] == dir[1:] && q.matches(name) {
				return nil
			}
		}
		return fmt.Errorf("%w: measure_allow does not name %s", ErrRefused, dir)
	}
	return p.checkAllow(name)
}

// checkSetting is Check for the content of a system setting, which may lie below
// /proc and /sys.
func (p Policy) checkSetting(name string) error {
	if err := p.checkRefused(name); err != nil {
		return err
	}
	return p.checkAllow(name)
}

func (p Policy) checkAllow(name string) error {
	if len(p.allow) == 0 {
		return nil
	}
	for _, q := range p.allow {
		if q.matches(name) {
			return nil
		}
	}
	return fmt.Errorf("%w: not in measure_allow", ErrRefused)
}

// CheckDeny returns an error that wraps ErrRefused where a pattern of Deny covers
// name, an absolute path.
func (p Policy) CheckDeny(name string) error {
	if p.closed {
		return fmt.Errorf("%w: measure_allow or measure_deny is wrong", ErrRefused)
	}
	for _, q := range p.deny {
		if q.matches(name) {
			return fmt.Errorf("%w: measure_deny %s", ErrRefused, q.text)
		}
	}
	return nil
}

// checkRefused returns an error for what is refused whatever else is allowed: by
// measure_deny, or as a secret that measure_allow does not name.
func (p Policy) checkRefused(name string) error {
	if err := p.CheckDeny(name); err != nil {
		return err
	}
	return p.checkSecret(name)
}

// checkAsked looks at a path as the verifier wrote it, before anything of the
// file system is touched.
func (p Policy) checkAsked(name string) error {
	name = filepath.Clean(name)
	if err := p.checkRefused(name); err != nil {
		return err
	}
	for _, dir := range pseudo {
		if within(name, dir) {
			return p.Check(name)
		}
	}
	return nil
}

func within(name, dir string) bool {
	rest, ok := strings.CutPrefix(name, dir)
	return ok && (rest == "" || rest[0] == '/')
}

const anyDepth = "**"

// pattern is one glob, by component.
type pattern struct {
	text     string
	segments []string // as written; anyDepth for **
	literal  []string // the component where it has no special character, else ""
}

func parsePattern(s string) (pattern, error) {
	p := pattern{text: s}
	if !strings.HasPrefix(s, "/") {
		return p, fmt.Errorf("pattern %q is not an absolute path", s)
	}
	for part := range strings.SplitSeq(s, "/") {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			return p, fmt.Errorf("pattern %q holds \"..\"", s)
		}
		part = classes(part)
		if _, err := path.Match(part, ""); err != nil {
			return p, fmt.Errorf("pattern %q: %w", s, err)
		}
		plain := ""
		if !strings.ContainsAny(part, `*?[\`) {
			plain = part
		}
		p.segments, p.literal = append(p.segments, part), append(p.literal, plain)
	}
	if len(p.segments) == 0 {
		p.segments, p.literal = []string{anyDepth}, []string{""}
	}
	return p, nil
}

// classes writes the shell's [!x] as path.Match has it, [^x].
func classes(part string) string {
	b := []byte(part)
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '[':
			if i++; i < len(b) && b[i] == '!' {
				b[i] = '^'
			}
			for i < len(b) && b[i] != ']' {
				if b[i] == '\\' {
					i++
				}
				i++
			}
		}
	}
	return string(b)
}

// resolved is the pattern with its leading plain components followed through
// symbolic links; false where there are none.
func (p pattern) resolved() (pattern, bool) {
	n := 0
	for n < len(p.literal) && p.literal[n] != "" {
		n++
	}
	for ; n > 0; n-- {
		prefix := "/" + strings.Join(p.literal[:n], "/")
		target, err := filepath.EvalSymlinks(prefix)
		if err != nil {
			continue
		}
		if target == prefix {
			return pattern{}, false
		}
		segments := strings.Split(strings.Trim(escape(target), "/"), "/")
		q, err := parsePattern("/" + strings.Join(append(segments, p.segments[n:]...), "/"))
		q.text = p.text
		return q, err == nil
	}
	return pattern{}, false
}

func escape(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(s)
}

// matches reports whether the pattern covers name or a directory above it.
func (p pattern) matches(name string) bool {
	name = strings.TrimPrefix(name, "/")
	i := 0
	for i < len(p.literal) && p.literal[i] != "" {
		part, rest, more := strings.Cut(name, "/")
		if part != p.literal[i] {
			return false
		}
		if i++; !more {
			name = ""
			break
		}
		name = rest
	}
	if i == len(p.segments) {
		return true
	}
	var parts []string
	if name != "" {
		parts = strings.Split(name, "/")
	}
	return matchSegments(p.segments[i:], parts)
}

// matchSegments reports whether pattern matches the first components of name. It
// goes back to the last ** only: its work is the product of the lengths.
func matchSegments(pattern, name []string) bool {
	p, n := 0, 0
	star, from := -1, 0
	for p < len(pattern) {
		switch {
		case pattern[p] == anyDepth:
			if p++; p == len(pattern) {
				return true
			}
			star, from = p, n
			continue
		case n < len(name):
			if ok, _ := path.Match(pattern[p], name[n]); ok {
				p, n = p+1, n+1
				continue
			}
		}
		if star < 0 || from >= len(name) {
			return false
		}
		from++
		p, n = star, from
	}
	return true
}
