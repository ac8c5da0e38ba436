package xml

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The namespaces of a batch.
const (
	Namespace      = "http://www.trustedcomputinggroup.org/IWG/TNC/1_0/IF_TNCCS#"
	xsiNamespace   = "http://www.w3.org/2001/XMLSchema-instance"
	schemaLocation = "https://www.trustedcomputinggroup.org/XML/SCHEMA/TNCCS_1.0.xsd"
)

// Caps on what a document may hold.
const (
	MaxDocument = 4 << 20 // octets
	MaxElements = 1 << 14
	MaxDepth    = 16
)

// Recipient is whom a batch is for.
type Recipient string

// Recipients.
const (
	TNCS Recipient = "TNCS" // the server
	TNCC Recipient = "TNCC" // the client
)

// Batch is one document.
type Batch struct {
	ID        uint32 // 1 for the client's first, and one more for each batch of either side
	Recipient Recipient
	Messages  []Message
}

// Parse decodes a batch with the checks and in the order of strongSwan. id is
// the BatchId that it must have, recipient whom it must be for. A client also
// takes a batch that is addressed to TNCS: hostapd addresses all so. Errors are
// *ProtocolError. What is returned does not refer to b.
func Parse(b []byte, id uint32, recipient Recipient) (Batch, error) {
	root, err := document(b)
	if err != nil {
		return Batch{}, malformed("%w", err)
	}
	switch {
	case !root.declares(Namespace):
		return Batch{}, malformed("namespace %s is not declared", Namespace)
	case root.name.Local != "TNCCS-Batch":
		return Batch{}, malformed("the document element is %q, not TNCCS-Batch", root.name.Local)
	}
	text, ok := root.attr("BatchId")
	if !ok {
		return Batch{}, &ProtocolError{InvalidBatchID, errors.New("BatchId is missing")}
	}
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
	if err != nil || uint32(n) != id {
		return Batch{}, &ProtocolError{InvalidBatchID, fmt.Errorf("BatchId %d expected, got %q", id, text)}
	}
	to, ok := root.attr("Recipient")
	if !ok {
		return Batch{}, &ProtocolError{InvalidRecipientType, errors.New("Recipient is missing")}
	}
	if Recipient(to) != recipient && (recipient != TNCC || Recipient(to) != TNCS) {
		return Batch{}, &ProtocolError{InvalidRecipientType, fmt.Errorf("recipient %s expected, got %q", recipient, to)}
	}
	x := Batch{ID: uint32(n), Recipient: Recipient(to)}
	for _, e := range root.children {
		if e.name.Space != Namespace {
			continue
		}
		var m Message
		switch e.name.Local {
		case "IMC-IMV-Message":
			m, err = imcimv(e)
		case "TNCC-TNCS-Message":
			m, err = tncctncs(e)
		default:
			continue
		}
		if err != nil {
			return Batch{}, err
		}
		x.Messages = append(x.Messages, m)
	}
	return x, nil
}

func malformed(format string, a ...any) error {
	return &ProtocolError{MalformedBatch, fmt.Errorf(format, a...)}
}

// imcimv reads an IMC-IMV-Message. As in strongSwan one without Type is of type
// 0, and one without Base64 empty.
func imcimv(e *element) (Message, error) {
	m := IMCIMV{Body: []byte{}}
	if t := e.child("Type"); t != nil {
		m.Type = hex(t.text)
	}
	if c := e.child("Base64"); c != nil {
		body, err := decodeBase64(c.text)
		if err != nil {
			return nil, malformed("IMC-IMV-Message: %w", err)
		}
		m.Body = body
	}
	return m, nil
}

// hex reads a Type as strtoul does: what is no number is 0.
func hex(s string) uint32 {
	s = strings.TrimSpace(s)
	if len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		s = s[2:]
	}
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

func decodeBase64(s string) ([]byte, error) {
	s = strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\n' || r == '\r' {
			return -1
		}
		return r
	}, s)
	return base64.StdEncoding.DecodeString(s)
}

// inside names the element of each type.
var inside = map[uint32]string{
	TypeRecommendation:    "TNCCS-Recommendation",
	TypeError:             "TNCCS-Error",
	TypePreferredLanguage: "TNCCS-PreferredLanguage",
	TypeReasonStrings:     "TNCCS-ReasonStrings",
	TypeContactInfo:       "TNCCS-TNCSContactInfo",
}

func tncctncs(e *element) (Message, error) {
	t := e.child("Type")
	if t == nil {
		return nil, malformed("TNCC-TNCS-Message has no Type")
	}
	typ := hex(t.text)
	x := e.child("XML")
	if x == nil && e.child("Base64") != nil {
		return Raw{typ}, nil
	}
	if x == nil {
		return nil, malformed("TNCC-TNCS-Message has no XML")
	}
	if len(x.children) == 0 {
		return nil, malformed("XML of a TNCC-TNCS-Message is empty")
	}
	want, known := inside[typ]
	if !known {
		return Raw{typ}, nil
	}
	c := x.children[0]
	if c.name.Space != Namespace || c.name.Local != want {
		return nil, malformed("TNCC-TNCS-Message of type 0x%08x holds %q, not %s", typ, c.name.Local, want)
	}
	switch typ {
	case TypeRecommendation:
		v, _ := c.attr("type")
		switch r := RecommendationType(v); r {
		case Allow, Isolate, None:
			return Recommendation{r}, nil
		}
		return nil, malformed("TNCCS-Recommendation of type %q", v)
	case TypeError:
		v, _ := c.attr("type")
		m := Error{Type: ErrorType(v), Text: c.text}
		if !m.Type.known() {
			m.Type = Other
		}
		return m, nil
	case TypePreferredLanguage:
		return PreferredLanguage{strings.TrimSpace(c.text)}, nil
	case TypeReasonStrings:
		var m ReasonStrings
		for _, r := range c.children {
			if r.name.Space == Namespace && r.name.Local == "ReasonString" {
				lang, _ := r.attr("lang")
				m.Reasons = append(m.Reasons, Reason{Language: lang, Text: r.text})
			}
		}
		if len(m.Reasons) == 0 {
			return nil, malformed("TNCCS-ReasonStrings without a ReasonString")
		}
		return m, nil
	default: // TypeContactInfo
		var m ContactInfo
		m.Address, _ = c.attr("address")
		m.Port, _ = c.attr("port")
		return m, nil
	}
}

// element is one element of a document.
type element struct {
	name     xml.Name
	attrs    []xml.Attr
	text     string // all character data right inside
	children []*element
}

// attr returns an attribute by its local name: xml:lang is "lang".
func (e *element) attr(name string) (string, bool) {
	for _, a := range e.attrs {
		if a.Name.Local == name && a.Name.Space != "xmlns" {
			return a.Value, true
		}
	}
	return "", false
}

// declares reports whether the element declares the namespace, under any prefix.
func (e *element) declares(namespace string) bool {
	for _, a := range e.attrs {
		if (a.Name.Space == "xmlns" || a.Name.Space == "" && a.Name.Local == "xmlns") && a.Value == namespace {
			return true
		}
	}
	return false
}

func (e *element) child(name string) *element {
	for _, c := range e.children {
		if c.name.Local == name && c.name.Space == Namespace {
			return c
		}
	}
	return nil
}

var (
	errEmpty     = errors.New("the document is empty")
	errSize      = fmt.Errorf("the document has more than %d octets", MaxDocument)
	errElements  = fmt.Errorf("the document has more than %d elements", MaxElements)
	errDepth     = fmt.Errorf("the document is deeper than %d elements", MaxDepth)
	errDoctype   = errors.New("document types are not accepted")
	errTrailing  = errors.New("something follows the document element")
	errUnclosed  = errors.New("the document ends too early")
	whitespace   = " \t\r\n"
	maxAttrs     = 64
	errAttrCount = fmt.Errorf("an element has more than %d attributes", maxAttrs)
)

// document reads a whole document.
func document(b []byte) (*element, error) {
	if len(b) > MaxDocument {
		return nil, errSize
	}
	d := xml.NewDecoder(bytes.NewReader(b))
	var root *element
	var open []*element
	var text []*strings.Builder
	count := 0
	for {
		t, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, err
		}
		switch t := t.(type) {
		case xml.StartElement:
			count++
			switch {
			case root != nil && len(open) == 0:
				return nil, errTrailing
			case count > MaxElements:
				return nil, errElements
			case len(open) == MaxDepth:
				return nil, errDepth
			case len(t.Attr) > maxAttrs:
				return nil, errAttrCount
			}
			e := &element{name: t.Name, attrs: t.Attr}
			if root == nil {
				root = e
			} else {
				p := open[len(open)-1]
				p.children = append(p.children, e)
			}
			open, text = append(open, e), append(text, &strings.Builder{})
		case xml.EndElement:
			n := len(open) - 1
			open[n].text = text[n].String()
			open, text = open[:n], text[:n]
		case xml.CharData:
			if len(open) > 0 {
				text[len(text)-1].Write(t)
			} else if len(bytes.Trim(t, whitespace)) > 0 {
				return nil, errTrailing
			}
		case xml.Directive:
			return nil, errDoctype
		}
	}
	switch {
	case root == nil:
		return nil, errEmpty
	case len(open) > 0:
		return nil, errUnclosed
	}
	return root, nil
}
