package pb

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// withoutCopies is ParseMessages by way of AppendItems' views.
func withoutCopies(h Header, b []byte) ([]Message, error) {
	items, _, err := AppendItems(nil, h, b)
	if err != nil {
		return nil, err
	}
	var out []Message
	for _, it := range items {
		if it.Message == nil {
			out = append(out, it.PA)
		} else {
			out = append(out, it.Message)
		}
	}
	return out, nil
}

func TestItemsAreViews(t *testing.T) {
	b, err := Batch{FromServer: true, Type: SDATA, Messages: []Message{
		PA{Vendor: VendorTCG, Subtype: 1, Collector: 2, Validator: 3, Body: []byte("one")},
		LanguagePreference{Languages: "en"},
		PA{Exclusive: true, Vendor: VendorITA, Subtype: 7, Collector: AnyID, Validator: AnyID, Body: []byte{}},
	}}.AppendBinary(nil)
	require.NoError(t, err)
	h, err := ParseHeader(b, Client)
	require.NoError(t, err)
	kept := make([]Item, 1, 8)
	items, warnings, err := AppendItems(kept, h, b)
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Len(t, items, 4)
	require.Same(t, &kept[0], &items[0], "room is used again")
	require.Equal(t, "one", string(items[1].PA.Body))
	b[bytes.Index(b, []byte("one"))] = 'O'
	require.Equal(t, "One", string(items[1].PA.Body))
	require.Equal(t, LanguagePreference{Languages: "en"}, items[2].Message)
	require.True(t, items[3].PA.Exclusive)
	_, _, err = AppendItems(kept, h, b[:len(b)-1])
	require.Error(t, err)
}

// What can be used although it is not as it should be.
func TestWarnings(t *testing.T) {
	for _, tt := range []struct {
		name   string
		typ    BatchType
		m      Message
		offset uint32
	}{
		{"recommendation outside RESULT", SDATA, AccessRecommendation{Code: AccessAllowed}, 8},
		{"assessment outside RESULT", SDATA, AssessmentResult{}, 8},
		{"reason", RESULT, ReasonString{Text: "\xff", Language: "en"}, 24},
		{"remediation", RESULT, RemediationParameters{Type: RemediationString, Text: "\xff"}, 32},
		{"URI", RESULT, RemediationParameters{Type: RemediationURI, URI: "\xff"}, 28},
	} {
		b, err := Batch{FromServer: true, Type: tt.typ, Messages: []Message{tt.m}}.AppendBinary(nil)
		require.NoError(t, err, tt.name)
		h, err := ParseHeader(b, Client)
		require.NoError(t, err)
		items, warnings, err := AppendItems(nil, h, b)
		require.NoError(t, err)
		require.Len(t, items, 1)
		require.Len(t, warnings, 1, tt.name)
		e := warnings[0].Message()
		require.False(t, e.Fatal)
		at, ok := e.Offset()
		require.True(t, ok)
		require.Equal(t, tt.offset, at, tt.name)
	}
}

// The views and the copies must agree on every batch, errors included.
func FuzzItems(f *testing.F) {
	seed, _ := Batch{FromServer: true, Type: RESULT, Messages: []Message{
		PA{Vendor: VendorTCG, Subtype: 1, Body: []byte("x")}, AssessmentResult{}, AccessRecommendation{Code: 1},
		ReasonString{Text: "a", Language: "en"}, Error{Parameters: []byte{1}}, PDPReferral{Vendor: VendorTCG, Host: "h", Port: 1},
		RemediationParameters{Type: RemediationString, Text: "t", Language: "en"}, MutualCapability{MutualHalfDuplex},
		Raw{Kind: MessageType{9, 9}, Value: []byte("raw")},
	}}.AppendBinary(nil)
	f.Add(seed, true)
	f.Add([]byte{2, 0, 0, 1, 0, 0, 0, 8}, false)
	f.Fuzz(func(t *testing.T, b []byte, client bool) {
		role := Server
		if client {
			role = Client
		}
		h, err := ParseHeader(b, role)
		if err != nil {
			return
		}
		want, err1 := ParseMessages(h, b)
		got, err2 := withoutCopies(h, b)
		require.Equal(t, err1, err2)
		require.Equal(t, want, got)
		if err1 != nil {
			return
		}
		again, err := Batch{FromServer: h.FromServer, Type: h.Type, Messages: want}.AppendBinary(nil)
		if err != nil {
			return // a language that cannot be written again
		}
		x, err := Parse(again, role)
		require.NoError(t, err)
		require.Equal(t, len(want), len(x.Messages))
	})
}
