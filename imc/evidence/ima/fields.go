package ima

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// templates are the kernel's own (security/integrity/ima/ima_template.c).
var templates = map[string]string{
	"ima-ng":     "d-ng|n-ng",
	"ima-ngv2":   "d-ngv2|n-ng",
	"ima-sig":    "d-ng|n-ng|sig",
	"ima-sigv2":  "d-ngv2|n-ng|sig",
	"ima-buf":    "d-ng|n-ng|buf",
	"ima-modsig": "d-ng|n-ng|sig|d-modsig|modsig",
	"evm-sig":    "d-ng|n-ng|evmsig|xattrnames|xattrlengths|xattrvalues|iuid|igid|imode",
}

// Limits of what Fields takes apart.
const (
	MaxFields    = 64
	maxAlgorithm = 32 // octets of "<type>:<algo>:"
)

// Field is one field of the template data, as recorded.
type Field struct {
	ID    string // "d-ng", "sig" …; "" where the template is not known
	Value []byte
}

// Fields are the parts of an entry's template data. What a template does not
// have is empty. The slices are views into the entry.
type Fields struct {
	Known      bool   // the template is, and the data has all its fields
	DigestType string // "ima" or "verity" with d-ngv2
	Algorithm  string // of FileDigest: "sha256"; "" with template "ima", which has SHA-1 or padded MD5
	FileDigest []byte
	Name       string // path of the file, or what the kernel calls the buffer
	Signature  []byte // security.ima, or security.evm with evm-sig
	Buffer     []byte // ima-buf
	ModAlgo    string // of ModDigest
	ModDigest  []byte // ima-modsig: digest without the appended signature
	ModSig     []byte // ima-modsig: the appended signature
	All        []Field
}

// PolicyURI is how evidence names the entry: "<algorithm>:" and the file name,
// for template "ima" the name alone, as with strongSwan. An entry of an unknown template
// whose data does not begin with a digest and a name is named by its template.
func (f Fields) PolicyURI(template string) string {
	switch {
	case f.Name == "" && f.Algorithm == "":
		return template
	case f.Algorithm == "":
		return f.Name
	}
	return f.Algorithm + ":" + f.Name
}

// Fields takes the template data apart. It never fails: of an unknown template
// that begins with a digest and a name, as all do, these are told; what is
// malformed stays in Data alone.
func (e *Entry) Fields() (f Fields) {
	if e.Template == legacyTemplate {
		if len(e.Data) < digestSize+4 {
			return f
		}
		f.FileDigest = e.Data[:digestSize]
		name := e.Data[digestSize+4:]
		f.Name = cString(name)
		f.All = []Field{{"d", f.FileDigest}, {"n", name}}
		f.Known = true
		return f
	}
	format := templates[e.Template]
	if format == "" && strings.Contains(e.Template, "|") {
		format = e.Template // ima_template_fmt: the list names the fields
	}
	var ids []string
	if format != "" {
		ids = strings.Split(format, "|")
	}
	all, whole := e.split()
	for i := range all {
		if i < len(ids) {
			all[i].ID = ids[i]
		}
	}
	f.All = all
	f.Known = len(ids) > 0 && whole && len(all) == len(ids)
	if len(ids) == 0 {
		f.guess()
		return f
	}
	for _, x := range all {
		f.set(x)
	}
	return f
}

// split returns the fields; whole is false where the lengths do not add up.
func (e *Entry) split() (all []Field, whole bool) {
	all = make([]Field, 0, 3)
	for rest := e.Data; len(rest) > 0; {
		if len(rest) < 4 || len(all) == MaxFields {
			return all, false
		}
		n := uint64(e.u32(rest))
		if n > uint64(len(rest)-4) {
			return all, false
		}
		all = append(all, Field{Value: rest[4 : 4+n : 4+n]})
		rest = rest[4+n:]
	}
	return all, true
}

func (e *Entry) u32(b []byte) uint32 {
	if e.order == binary.BigEndian {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (f *Fields) set(x Field) {
	switch x.ID {
	case "d-ng", "d-ngv2":
		if prefix, d, ok := digest(x.Value); ok {
			f.DigestType, f.Algorithm = cutType(prefix)
			f.FileDigest = d
		}
	case "d":
		f.FileDigest = x.Value
	case "n", "n-ng":
		f.Name = cString(x.Value)
	case "sig", "evmsig":
		f.Signature = x.Value
	case "buf":
		f.Buffer = x.Value
	case "d-modsig":
		if prefix, d, ok := digest(x.Value); ok {
			_, f.ModAlgo = cutType(prefix)
			f.ModDigest = d
		}
	case "modsig":
		f.ModSig = x.Value
	}
}

// guess takes a digest and a name from the first two fields where they are
// written so.
func (f *Fields) guess() {
	if len(f.All) < 2 {
		return
	}
	prefix, d, ok := digest(f.All[0].Value)
	name := f.All[1].Value
	if !ok || len(name) < 2 || bytes.IndexByte(name, 0) != len(name)-1 {
		return
	}
	f.DigestType, f.Algorithm = cutType(prefix)
	f.FileDigest, f.Name = d, cString(name)
}

// digest splits "<algo>:\0" or "<type>:<algo>:\0" from the raw digest.
func digest(b []byte) (prefix string, sum []byte, ok bool) {
	i := bytes.IndexByte(b, 0)
	if i < 1 || i > maxAlgorithm || b[i-1] != ':' {
		return "", nil, false
	}
	return string(b[:i-1]), b[i+1:], true
}

// cutType splits "ima:sha256"; "sha256" has no type.
func cutType(s string) (typ, algorithm string) {
	if t, a, ok := strings.Cut(s, ":"); ok {
		return t, a
	}
	return "", s
}

func cString(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}
