package xml

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// The namespaces of a batch.
const (
	Namespace      = "http://www.trustedcomputinggroup.org/IWG/TNC/1_0/IF_TNCCS#"
	xsiNamespace   = "http://www.w3.org/2001/XMLSchema-instance"
	schemaLocation = "https://www.trustedcomputinggroup.org/XML/SCHEMA/TNCCS_1.0.xsd"
)

// Parse decodes a batch with the checks of strongSwan, in its order. id is the
// BatchId that the batch must have, recipient the end that it must be for. A
// client also accepts a batch for TNCS, which hostapd sends. Errors are
// *ProtocolError. The batch does not refer to b.
func Parse(b []byte, id uint32, recipient Recipient) (Batch, error) {
	root, err := document(b)
	if errors.Is(err, errSize) {
		return Batch{}, &ProtocolError{BatchTooLong, err}
	}
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
