package imc

// attributes reads a connection's attributes (IF-IMC 1.3, TNC_TNCC_GetAttribute).
type attributes struct {
	host                Host
	imcID, connectionID uint32
}

// Buffers that strongSwan's IMCs pass.
const (
	integerBuffer = 4
	stringBuffer  = 512
)

func (v attributes) get(id AttributeID, size int) []byte {
	if v.host == nil || !v.host.Has(FuncGetAttribute) {
		return nil
	}
	b, r := v.host.GetAttribute(v.imcID, v.connectionID, id, size)
	if r != ResultSuccess || len(b) > size {
		return nil
	}
	return b
}

func (v attributes) bool(id AttributeID) bool {
	b := v.get(id, integerBuffer)
	return len(b) == 1 && b[0] == 1
}

func (v attributes) uint32(id AttributeID) uint32 {
	b := v.get(id, integerBuffer)
	if len(b) != 4 {
		return 0
	}
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// text returns a NUL-terminated string, "?" where the host has none.
func (v attributes) text(id AttributeID) string {
	b := v.get(id, stringBuffer)
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return "?"
}
