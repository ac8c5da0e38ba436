package patnc_test

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gotnc/gotnc"
	"github.com/gotnc/gotnc/imc/patnc"
)

// A message of two attributes is encoded and decoded again.
func Example() {
	b, err := patnc.Message{ID: 7, Attributes: []patnc.Attribute{
		patnc.Skip(patnc.ProductInformation{Vendor: patnc.PENDebian, Name: "Debian"}),
		patnc.Skip(patnc.NumericVersion{Major: 12, Minor: 4}),
	}}.AppendBinary(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := patnc.Parse(b)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, a := range m.Attributes {
		switch v := a.Value.(type) {
		case patnc.ProductInformation:
			fmt.Println("product:", v.Name)
		case patnc.NumericVersion:
			fmt.Printf("version: %d.%d\n", v.Major, v.Minor)
		}
	}
	// Output:
	// product: Debian
	// version: 12.4
}

// Temperature is an attribute of a vendor of one's own: u16, tenths of a degree.
type Temperature struct{ Tenths uint16 }

var typeTemperature = patnc.Type{Vendor: 0x001234, Type: 1}

func (Temperature) Type() patnc.Type { return typeTemperature }

func (v Temperature) AppendValue(b []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint16(b, v.Tenths), nil
}

func parseTemperature(b []byte) (patnc.Value, error) {
	if len(b) != 2 {
		return nil, &gotnc.DecodeError{Element: "temperature", Vendor: typeTemperature.Vendor, Type: typeTemperature.Type,
			Offset: len(b), Err: gotnc.ErrLength}
	}
	return Temperature{binary.BigEndian.Uint16(b)}, nil
}

// A Registry of one's own brings attributes of another vendor to Parse. Where
// such an attribute is malformed, Parse makes the answer to the peer, which
// points at the octet of the message.
func ExampleRegistry() {
	registry := patnc.Registry{typeTemperature: {Parse: parseTemperature}}

	b, _ := patnc.Message{ID: 7, Attributes: []patnc.Attribute{patnc.NoSkip(Temperature{215})}}.AppendBinary(nil)
	m, err := patnc.Parse(b, registry)
	fmt.Println(m.Attributes[0].Value, err)

	b[19]--          // the attribute's length
	b = b[:len(b)-1] // and its last octet
	_, err = patnc.Parse(b, registry)
	fmt.Println(err)
	var malformed *patnc.ParseError
	if errors.As(err, &malformed) {
		fmt.Println("answer:", malformed.Answer)
	}
	// Output:
	// {215} <nil>
	// decode temperature (001234/00000001) at octet 21: bad length
	// answer: PA-TNC error 'Invalid Parameter' at offset 21
}
