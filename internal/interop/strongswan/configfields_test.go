package strongswan

import (
	"maps"
	"regexp"
	"slices"
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

// listedConns reads the output of swanctl --list-conns --pretty, as fields of the
// log of the vici plugin.
func listedConns(out string) map[string]fields {
	all := map[string]fields{}
	var open []string
	for _, line := range strings.Split(out, "\n") {
		text := strings.TrimSpace(line)
		name, value, isValue := strings.Cut(text, " = ")
		switch {
		case text == "}" || text == "]":
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		case isValue && value == "[":
			open = append(open, name)
		case !isValue && strings.HasSuffix(text, " {"):
			open = append(open, strings.TrimSuffix(text, " {"))
			if len(open) == 2 && open[0] == "list-conn event" {
				all[open[1]] = fields{}
			}
		case len(open) < 2 || open[0] != "list-conn event":
		case isValue:
			all[open[1]].put(open[2:], name, value)
		case text != "":
			all[open[1]].put(open[2:len(open)-1], open[len(open)-1], text)
		}
	}
	return all
}

// put sets a field of the section path.
func (f fields) put(path []string, key, value string) {
	prefix := ""
	switch {
	case len(path) == 1:
		prefix = path[0] + "."
	case len(path) == 2 && path[0] == "children":
		prefix = "child " + path[1] + "."
	}
	switch key {
	case "version":
		value = map[string]string{"IKEv1/2": "0", "IKEv1": "1", "IKEv2": "2"}[value]
	case "local-ts", "remote-ts":
		key = strings.ReplaceAll(key, "-", "_")
		if have := f[prefix+key]; have != "" {
			value = have + " " + value
		}
		f[prefix+key] = value
		return
	case "certs", "cacerts", "groups":
		key = strings.TrimSuffix(key, "s")
	}
	f.add(prefix+key, value)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
