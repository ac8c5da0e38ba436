package strongswan

import (
	"regexp"
	"strings"
)

// fields are what is known of a connection: "local-1.id", "child home.rekey_time".
type fields map[string]string

var viciLine = regexp.MustCompile(`^(?:\d+\[CFG\]|\S+ \S+ \d+\[CFG\]) ( *)(.*)$`)

// viciLog reads what the vici plugin logs of the connections that it is given.
func viciLog(log string) map[string]fields {
	all := map[string]fields{}
	var f fields
	var path string
	rounds := map[string]int{}
	for _, line := range strings.Split(log, "\n") {
		m := viciLine.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		depth, text := len(m[1]), strings.TrimSpace(m[2])
		key, value, isValue := strings.Cut(text, " = ")
		switch {
		case depth == 1 && strings.HasPrefix(text, "conn ") && strings.HasSuffix(text, ":"):
			f, path = fields{}, ""
			rounds = map[string]int{}
			all[strings.TrimSuffix(strings.TrimPrefix(text, "conn "), ":")] = f
		case f == nil:
		case depth == 2 && strings.HasPrefix(text, "child ") && strings.HasSuffix(text, ":"):
			path = strings.TrimSuffix(text, ":") + "."
		case depth == 2 && (text == "local:" || text == "remote:"):
			end := strings.TrimSuffix(text, ":")
			rounds[end]++
			path = end + "-" + string(rune('0'+rounds[end])) + "."
		case depth == 2 && text == "vips:":
			path = "vips"
		case depth == 2 && isValue:
			f[key] = value
		case depth == 3 && path == "vips" && !isValue:
			f.add("vips", text)
		case depth == 3 && isValue:
			f.add(path+key, value)
		}
	}
	return all
}

// add adds to a list.
func (f fields) add(key, value string) {
	if have, ok := f[key]; ok {
		value = have + "; " + value
	}
	f[key] = value
}
