package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/internal/base/text"
)

// Schema is the version of what --json prints: each object of it begins with the field
// schema. A field that goes, or that comes to mean another thing, makes it larger.
const Schema = 1

// WriteJSON writes v as indented JSON, with the version of its schema in v where it is an
// object, and where it is a list in each object of that.
func WriteJSON(w io.Writer, v any) error {
	b, err := marshal(v)
	if err != nil {
		return err
	}
	if b[0] == '[' {
		var all []json.RawMessage
		if err := json.Unmarshal(b, &all); err != nil {
			return err
		}
		for i, one := range all {
			all[i] = versioned(one)
		}
		if b, err = marshal(all); err != nil {
			return err
		}
	}
	var out bytes.Buffer
	if err := json.Indent(&out, versioned(b), "", "  "); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", &out)
	return err
}

// marshal returns v as JSON with characters of HTML as they are.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// versioned returns an object with its schema in front, and anything else as it is.
func versioned(b []byte) []byte {
	if len(b) == 0 || b[0] != '{' {
		return b
	}
	head := fmt.Sprintf(`{"schema":%d`, Schema)
	if b[1] != '}' {
		head += ","
	}
	return append([]byte(head), b[1:]...)
}

// ErrorOutcome is what --json prints of a command that failed before it had anything to
// say; its field names are an interface for scripts.
type ErrorOutcome struct {
	client.Failure
	ExitCode int `json:"exit_code"`
}

// Version is what version --json prints; its field names are an interface for scripts.
type Version struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// NewErrorOutcome returns what a command came to that ends with that exit code.
func NewErrorOutcome(err error, code int) ErrorOutcome {
	return ErrorOutcome{client.Failure{Error: Sentences(err), ErrorCode: CodeOf(err)}, code}
}

// Sentences returns the text of an error as one printable line. It may hold what came over
// the network, from whom nobody knows yet.
func Sentences(err error) string {
	return text.Printable(strings.ReplaceAll(err.Error(), "\n", "; "))
}

// WantsJSON reports whether a command line asks for JSON, also one that is wrong.
func WantsJSON(args []string) bool {
	for _, a := range args {
		switch a {
		case "--":
			return false
		case "--json", "--json=true":
			return true
		}
	}
	return false
}

// Once passes writes on and notes whether there was one.
type Once struct {
	io.Writer
	Written bool
}

func (o *Once) Write(b []byte) (int, error) {
	o.Written = true
	return o.Writer.Write(b)
}
