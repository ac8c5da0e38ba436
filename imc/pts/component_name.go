package pts

import (
	"fmt"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/wire"
)

// ComponentName is a component functional name (TCG PTS Protocol Binding section 5):
//
//	u24 vendor | u8 family (2 bits) and qualifier (6 bits) | u32 name
type ComponentName struct {
	Vendor    uint32
	Family    uint8 // 0, binary enumeration, is the only one in use
	Qualifier uint8 // 6 bits
	Name      uint32
}

// String names the component as strongSwan does: "ITA-HSR functional component
// 'Linux IMA' [K.] 'Operating System'".
func (c ComponentName) String() string {
	name := ""
	switch {
	case c.Vendor == patnc.VendorTCG && c.Name < uint32(len(tcgComponents)):
		name = tcgComponents[c.Name]
	case c.Vendor == patnc.VendorITA && c.Name < uint32(len(itaComponents)):
		name = itaComponents[c.Name]
	}
	if name == "" {
		return fmt.Sprintf("0x%06x functional component 0x%08x qualifier 0x%02x", c.Vendor, c.Name, c.Qualifier)
	}
	flags := []byte("..")
	if c.Qualifier&qualifierKernel != 0 {
		flags[0] = 'K'
	}
	if c.Qualifier&qualifierSub != 0 {
		flags[1] = 'S'
	}
	of := "TCG"
	if c.Vendor == patnc.VendorITA {
		of = "ITA-HSR"
	}
	return fmt.Sprintf("%s functional component '%s' [%s] '%s'", of, name, flags, qualifierTypes[c.Qualifier&qualifierType])
}

// Bits of a qualifier of TCG and ITA-HSR.
const (
	qualifierKernel = 0x20
	qualifierSub    = 0x10
	qualifierType   = 0x0F
)

var (
	tcgComponents = [...]string{"Ignore", "CRTM", "BIOS", "Platform Extensions", "Motherboard Firmware", "Initial Program Loader", "Option ROMs"}
	itaComponents = [...]string{"Ignore", "Trusted GRUB", "Trusted Boot", "Linux IMA"}
	// qualifierTypes are the meanings of the low four bits.
	qualifierTypes = [16]string{0: "Unknown", 1: "Trusted Platform", 2: "Operating System", 3: "Graphical User Interface", 4: "Application",
		5: "Networking", 6: "Library", 7: "TNC Defined Component", 8: "Reserved", 9: "Reserved", 10: "Reserved", 11: "Reserved",
		12: "Reserved", 13: "Reserved", 14: "Reserved", 15: "All Matching Components"}
)

// errNameFamily is the cause of a decode error for a component name that is
// not of the binary enumeration.
var errNameFamily = fmt.Errorf("functional name family not supported: %w", wire.ErrValue)

func (c ComponentName) append(b []byte) []byte {
	b = wire.AppendU24(b, c.Vendor)
	return wire.AppendU32(append(b, c.Family<<6|c.Qualifier&0x3F), c.Name)
}

// readComponentName fails at offset start, where the value begins, for an
// unknown family, as strongSwan answers it.
func readComponentName(r *wire.Reader, start int) ComponentName {
	c := ComponentName{Vendor: r.U24()}
	q := r.U8()
	c.Family, c.Qualifier, c.Name = q>>6, q&0x3F, r.U32()
	if c.Family != 0 {
		r.Fail(start, errNameFamily)
	}
	return c
}
