package xml

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What strongSwan 6.0.6 writes (libxml2).
const fromStrongSwan = `<?xml version="1.0"?>
<TNCCS-Batch xmlns="http://www.trustedcomputinggroup.org/IWG/TNC/1_0/IF_TNCCS#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" BatchId="1" Recipient="TNCS" xsi:schemaLocation="http://www.trustedcomputinggroup.org/IWG/TNC/1_0/IF_TNCCS# https://www.trustedcomputinggroup.org/XML/SCHEMA/TNCCS_1.0.xsd">
  <TNCC-TNCS-Message>
    <Type>00000003</Type>
    <XML>
      <TNCCS-PreferredLanguage>en</TNCCS-PreferredLanguage>
    </XML>
  </TNCC-TNCS-Message>
  <IMC-IMV-Message>
    <Type>00902a01</Type>
    <Base64>AQAAAAECAwSAAJAqAAAA
AQAAABFhbGxvdw==</Base64>
  </IMC-IMV-Message>
</TNCCS-Batch>
`

// What hostapd 2.10 writes.
const fromHostapd = `<?xml version="1.0"?>
<TNCCS-Batch BatchId="2" Recipient="TNCS" xmlns="http://www.trustedcomputinggroup.org/IWG/TNC/1_0/IF_TNCCS#" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="http://www.trustedcomputinggroup.org/IWG/TNC/1_0/IF_TNCCS# https://www.trustedcomputinggroup.org/XML/SCHEMA/TNCCS_1.0.xsd">
<IMC-IMV-Message><Type>00902A01</Type><Base64>AQAAAAECAwSAAJAqAAAAAQAAABFhbGxvdw==</Base64></IMC-IMV-Message><TNCC-TNCS-Message><Type>00000001</Type><XML><TNCCS-Recommendation type="allow"></TNCCS-Recommendation></XML></TNCC-TNCS-Message>
</TNCCS-Batch>`

var paMessage, _ = base64.StdEncoding.DecodeString("AQAAAAECAwSAAJAqAAAAAQAAABFhbGxvdw==")

func TestPeersBatches(t *testing.T) {
	x, err := Parse([]byte(fromStrongSwan), 1, TNCS)
	require.NoError(t, err)
	require.Equal(t, Batch{1, TNCS, []Message{PreferredLanguage{"en"}, IMCIMV{0x00902a01, paMessage}}}, x)
	x, err = Parse([]byte(fromHostapd), 2, TNCC)
	require.NoError(t, err, "hostapd addresses the client as TNCS")
	require.Equal(t, []Message{IMCIMV{0x00902a01, paMessage}, Recommendation{Allow}}, x.Messages)
}

func TestRoundTrip(t *testing.T) {
	want := Batch{ID: 7, Recipient: TNCC, Messages: []Message{
		IMCIMV{0x00559701, []byte{0, 1, 2, 255}}, IMCIMV{1, []byte{}},
		Recommendation{Isolate}, Error{Other, "a < b & \"c\"\n"}, PreferredLanguage{"de, en;q=0.5"},
		ReasonStrings{[]Reason{{"en", "why"}, {"de", "darum <"}}}, ContactInfo{"h", "1"},
	}}
	b, err := want.AppendBinary(nil)
	require.NoError(t, err)
	got, err := Parse(b, 7, TNCC)
	require.NoError(t, err)
	require.Equal(t, want, got)
	// The markers that hostapd's search needs.
	for _, s := range []string{"<TNCCS-Batch BatchId=\"7\"", "<IMC-IMV-Message><Type>00559701</Type><Base64>AAEC/w==</Base64></IMC-IMV-Message>",
		"<TNCCS-Recommendation type=\"isolate\">", "\n</TNCCS-Batch>"} {
		require.Contains(t, string(b), s)
	}
	for n := range len(b) {
		_, err := Parse(b[:n], 7, TNCC)
		require.Error(t, err, "%d of %d octets", n, len(b))
	}
	_, err = Batch{Messages: []Message{Error{Text: "\xff"}}}.AppendBinary(nil)
	require.Error(t, err)
	_, err = Batch{Messages: []Message{Raw{9}}}.AppendBinary(nil)
	require.Error(t, err)
}

func batch(inner string) string {
	return `<TNCCS-Batch BatchId="2" Recipient="TNCC" xmlns="` + Namespace + `">` + inner + `</TNCCS-Batch>`
}

func tncs(typ, inner string) string {
	return batch("<TNCC-TNCS-Message><Type>" + typ + "</Type>" + inner + "</TNCC-TNCS-Message>")
}

// The checks in strongSwan's order, and the error that each answers with.
func TestErrors(t *testing.T) {
	for _, tt := range []struct {
		name, doc string
		want      ErrorType
	}{
		{"empty", "", MalformedBatch},
		{"not XML", "\x02\x80", MalformedBatch},
		{"not closed", strings.TrimSuffix(batch(""), "</TNCCS-Batch>"), MalformedBatch},
		{"two roots", batch("") + batch(""), MalformedBatch},
		{"trailing text", batch("") + "x", MalformedBatch},
		{"doctype", "<!DOCTYPE x [<!ENTITY e \"x\">]>" + batch(""), MalformedBatch},
		{"entity", batch("<Type>&unknown;</Type>"), MalformedBatch},
		{"namespace", strings.Replace(batch(""), "IF_TNCCS#", "IF_TNCCS", 1), MalformedBatch},
		{"root", strings.ReplaceAll(batch(""), "TNCCS-Batch", "Batch"), MalformedBatch},
		{"no BatchId", strings.Replace(batch(""), `BatchId="2"`, "", 1), InvalidBatchID},
		{"BatchId", strings.Replace(batch(""), `BatchId="2"`, `BatchId="3"`, 1), InvalidBatchID},
		{"BatchId text", strings.Replace(batch(""), `BatchId="2"`, `BatchId="x"`, 1), InvalidBatchID},
		{"no Recipient", strings.Replace(batch(""), `Recipient="TNCC"`, "", 1), InvalidRecipientType},
		{"Recipient", strings.Replace(batch(""), `"TNCC"`, `"x"`, 1), InvalidRecipientType},
		{"no Type", batch("<TNCC-TNCS-Message><XML><a/></XML></TNCC-TNCS-Message>"), MalformedBatch},
		{"no XML", tncs("00000001", ""), MalformedBatch},
		{"empty XML", tncs("00000001", "<XML></XML>"), MalformedBatch},
		{"name", tncs("00000001", "<XML><TNCCS-Error/></XML>"), MalformedBatch},
		{"inner namespace", tncs("00000001", `<XML><TNCCS-Recommendation xmlns="x" type="allow"/></XML>`), MalformedBatch},
		{"no recommendation", tncs("00000001", "<XML><TNCCS-Recommendation/></XML>"), MalformedBatch},
		{"recommendation", tncs("00000001", `<XML><TNCCS-Recommendation type="maybe"/></XML>`), MalformedBatch},
		{"reasons", tncs("00000004", "<XML><TNCCS-ReasonStrings/></XML>"), MalformedBatch},
		{"base64", batch("<IMC-IMV-Message><Base64>?</Base64></IMC-IMV-Message>"), MalformedBatch},
		{"deep", batch(strings.Repeat("<a>", MaxDepth) + strings.Repeat("</a>", MaxDepth)), MalformedBatch},
		{"many", batch(strings.Repeat("<a/>", MaxElements)), MalformedBatch},
		{"large", batch(strings.Repeat(" ", MaxDocument)), BatchTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse([]byte(tt.doc), 2, TNCC)
			var pe *ProtocolError
			require.ErrorAs(t, err, &pe)
			require.Equal(t, tt.want, pe.Type, err.Error())
			require.Equal(t, tt.want, pe.Message().Type)
			require.NotEmpty(t, pe.Message().Text)
		})
	}
}

func TestLeniency(t *testing.T) {
	for _, tt := range []struct {
		doc  string
		want []Message
	}{
		{batch("\n <!-- c --> <?pi x?> text <Unknown/> <x:IMC-IMV-Message xmlns:x='y'/>"), nil},
		{batch("<IMC-IMV-Message/>"), []Message{IMCIMV{0, []byte{}}}},
		{batch("<IMC-IMV-Message><Type> 0x00902A01 </Type><Base64> AA == \n</Base64></IMC-IMV-Message>"), []Message{IMCIMV{0x902a01, []byte{0}}}},
		{tncs("00000002", "<XML><TNCCS-Error type='what'>x</TNCCS-Error></XML>"), []Message{Error{Other, "x"}}},
		{tncs("00000002", "<XML><TNCCS-Error>x</TNCCS-Error></XML>"), []Message{Error{Other, "x"}}},
		{tncs("00000004", `<XML><TNCCS-ReasonStrings><ReasonString xml:lang="de">x</ReasonString><ReasonString>y</ReasonString></TNCCS-ReasonStrings></XML>`),
			[]Message{ReasonStrings{[]Reason{{"de", "x"}, {"", "y"}}}}},
		{tncs("00000005", "<XML><TNCCS-TNCSContactInfo/></XML>"), []Message{ContactInfo{}}},
		{tncs("00000077", "<XML><Anything/></XML>"), []Message{Raw{0x77}}},
		{tncs("00000077", "<Base64>AA==</Base64>"), []Message{Raw{0x77}}},
		{strings.Replace(batch("<p:IMC-IMV-Message/>"), "xmlns=", "xmlns:p=", 1), nil},
	} {
		doc := tt.doc
		if strings.Contains(doc, "xmlns:p=") {
			doc = strings.NewReplacer("<TNCCS-Batch", "<p:TNCCS-Batch", "</TNCCS-Batch", "</p:TNCCS-Batch").Replace(doc)
			tt.want = []Message{IMCIMV{0, []byte{}}}
		}
		x, err := Parse([]byte(doc), 2, TNCC)
		require.NoError(t, err, doc)
		require.Equal(t, tt.want, x.Messages, doc)
	}
}

func TestBuilderKeepsItsSize(t *testing.T) {
	b := NewBuilder(1, TNCS, 1000)
	n := 0
	for {
		ok, err := b.Add(IMCIMV{1, make([]byte, 60)})
		require.NoError(t, err)
		if !ok {
			break
		}
		n++
	}
	require.Equal(t, n, b.Count())
	require.Greater(t, n, 1)
	out := b.Bytes()
	require.LessOrEqual(t, len(out), 1000)
	x, err := Parse(out, 1, TNCS)
	require.NoError(t, err)
	require.Len(t, x.Messages, n)
	require.Equal(t, Overhead(), len(NewBuilder(1<<32-1, TNCS, 0).b)+len("<IMC-IMV-Message><Type>00000000</Type><Base64></Base64></IMC-IMV-Message>")+len(closing))
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(fromStrongSwan), uint32(1))
	f.Add([]byte(fromHostapd), uint32(2))
	f.Add([]byte(tncs("00000004", `<XML><TNCCS-ReasonStrings><ReasonString xml:lang="de">x</ReasonString></TNCCS-ReasonStrings></XML>`)), uint32(2))
	f.Fuzz(func(t *testing.T, b []byte, id uint32) {
		for _, r := range []Recipient{TNCC, TNCS} {
			x, err := Parse(b, id, r)
			if err != nil {
				var pe *ProtocolError
				if !errors.As(err, &pe) || !pe.Type.known() {
					t.Fatalf("%T %v", err, err)
				}
				continue
			}
			raw := false
			for _, m := range x.Messages {
				_, is := m.(Raw)
				raw = raw || is
			}
			if raw {
				continue
			}
			out, err := x.AppendBinary(nil)
			if err != nil {
				t.Fatal(err)
			}
			y, err := Parse(out, id, r)
			if err != nil || len(y.Messages) != len(x.Messages) {
				t.Fatalf("%v: %q", err, out)
			}
			for i, m := range x.Messages {
				if a, ok := m.(IMCIMV); ok && !bytes.Equal(a.Body, y.Messages[i].(IMCIMV).Body) {
					t.Fatal("body changed")
				}
			}
		}
	})
}
