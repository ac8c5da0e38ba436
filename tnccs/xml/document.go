package xml

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Caps on what a document may hold.
const (
	MaxDocument = 4 << 20 // octets
	MaxElements = 1 << 14
	MaxDepth    = 16
)

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
