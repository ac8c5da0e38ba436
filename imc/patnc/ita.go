package patnc

import "github.com/gotnc/gotnc/internal/base/wire"

// The attributes of ITA-HSR (vendor 0x00902A), as strongSwan's IMCs and IMVs
// exchange them.

// Command is the ITA-HSR Command of the Test IMC: ASCII text.
type Command struct{ Text string }

// Type returns ITA-HSR type 1.
func (Command) Type() Type { return TypeITACommand }

// AppendValue appends the value.
func (v Command) AppendValue(b []byte) ([]byte, error) { return append(b, v.Text...), nil }

// Dummy is the ITA-HSR Dummy: that many octets 0xDD.
type Dummy struct{ Size int }

// Type returns ITA-HSR type 2.
func (Dummy) Type() Type { return TypeITADummy }

// AppendValue appends the value.
func (v Dummy) AppendValue(b []byte) ([]byte, error) {
	for range v.Size {
		b = append(b, 0xDD)
	}
	return b, nil
}

// GetSettings is the ITA-HSR Get Settings: u32 count, n × { u16 length, name }.
type GetSettings struct{ Names []string }

// Type returns ITA-HSR type 3.
func (GetSettings) Type() Type { return TypeITAGetSettings }

// AppendValue appends the value.
func (v GetSettings) AppendValue(b []byte) (out []byte, err error) {
	out = wire.AppendU32(b, uint32(len(v.Names)))
	for _, n := range v.Names {
		if out, err = wire.AppendVec16(out, []byte(n)); err != nil {
			return b, err
		}
	}
	return out, nil
}

// Setting is one entry of Settings.
type Setting struct {
	Name  string
	Value []byte
}

// Settings is the ITA-HSR Settings: u32 count, n × { u16 length, name | u16
// length, value }.
type Settings struct{ Settings []Setting }

// Type returns ITA-HSR type 4.
func (Settings) Type() Type { return TypeITASettings }

// AppendValue appends the value.
func (v Settings) AppendValue(b []byte) (out []byte, err error) {
	out = wire.AppendU32(b, uint32(len(v.Settings)))
	for _, s := range v.Settings {
		if out, err = wire.AppendVec16(out, []byte(s.Name)); err != nil {
			return b, err
		}
		if out, err = wire.AppendVec16(out, s.Value); err != nil {
			return b, err
		}
	}
	return out, nil
}

// DeviceID is the ITA-HSR Device ID: ASCII text.
type DeviceID struct{ ID string }

// Type returns ITA-HSR type 8.
func (DeviceID) Type() Type { return TypeITADeviceID }

// AppendValue appends the value.
func (v DeviceID) AppendValue(b []byte) ([]byte, error) { return append(b, v.ID...), nil }

// GetSymlinks is the ITA-HSR Get Symlinks: an absolute directory path.
type GetSymlinks struct{ Directory string }

// Type returns ITA-HSR type 9.
func (GetSymlinks) Type() Type { return TypeITAGetSymlinks }

// AppendValue appends the value.
func (v GetSymlinks) AppendValue(b []byte) ([]byte, error) { return append(b, v.Directory...), nil }

// Symlink is one entry of Symlinks.
type Symlink struct {
	Path   string // of the link
	Target string // the directory it leads to
}

// Symlinks is the ITA-HSR Symlinks: u32 count, n × { u16 length, path | u16
// length, target }.
type Symlinks struct{ Links []Symlink }

// Type returns ITA-HSR type 10.
func (Symlinks) Type() Type { return TypeITASymlinks }

// AppendValue appends the value.
func (v Symlinks) AppendValue(b []byte) (out []byte, err error) {
	out = wire.AppendU32(b, uint32(len(v.Links)))
	for _, l := range v.Links {
		if out, err = wire.AppendVec16(out, []byte(l.Path)); err != nil {
			return b, err
		}
		if out, err = wire.AppendVec16(out, []byte(l.Target)); err != nil {
			return b, err
		}
	}
	return out, nil
}

func parseCommand(b []byte) (Value, error) {
	r := reader(TypeITACommand, b)
	v := Command{Text: restText(r)}
	return v, r.Err()
}

func parseDummy(b []byte) (Value, error) {
	r := reader(TypeITADummy, b)
	v := Dummy{Size: r.Len()}
	r.Rest()
	return v, r.Err()
}

func parseDeviceID(b []byte) (Value, error) {
	r := reader(TypeITADeviceID, b)
	v := DeviceID{ID: restText(r)}
	return v, r.Err()
}

func parseGetSymlinks(b []byte) (Value, error) {
	r := reader(TypeITAGetSymlinks, b)
	v := GetSymlinks{Directory: restText(r)}
	return v, r.Err()
}

// count reads a u32 count of elements that take at least size octets each, so
// that what is allocated for them is bounded by the input.
func count(r *wire.Reader, size int) int {
	at := r.Offset()
	n := r.U32()
	if uint64(n) > uint64(r.Len()/size) {
		r.Fail(at, wire.ErrTruncated)
		return 0
	}
	return int(n)
}

func parseGetSettings(b []byte) (Value, error) {
	r := reader(TypeITAGetSettings, b)
	n := count(r, 2)
	v := GetSettings{Names: make([]string, 0, n)}
	for range n {
		v.Names = append(v.Names, vec16Text(r))
	}
	return v, r.Finish()
}

func parseSettings(b []byte) (Value, error) {
	r := reader(TypeITASettings, b)
	n := count(r, 4)
	v := Settings{Settings: make([]Setting, 0, n)}
	for range n {
		v.Settings = append(v.Settings, Setting{Name: vec16Text(r), Value: clone(r.Bytes(int(r.U16())))})
	}
	return v, r.Finish()
}

func parseSymlinks(b []byte) (Value, error) {
	r := reader(TypeITASymlinks, b)
	n := count(r, 4)
	v := Symlinks{Links: make([]Symlink, 0, n)}
	for range n {
		v.Links = append(v.Links, Symlink{Path: vec16Text(r), Target: vec16Text(r)})
	}
	return v, r.Finish()
}

// StartAngel and StopAngel frame a fragmented answer of old strongSwan IMCs.
type (
	StartAngel struct{}
	StopAngel  struct{}
)

// Type returns ITA-HSR type 5.
func (StartAngel) Type() Type { return TypeITAStartAngel }

// AppendValue appends nothing.
func (StartAngel) AppendValue(b []byte) ([]byte, error) { return b, nil }

// Type returns ITA-HSR type 6.
func (StopAngel) Type() Type { return TypeITAStopAngel }

// AppendValue appends nothing.
func (StopAngel) AppendValue(b []byte) ([]byte, error) { return b, nil }

func parseStartAngel(b []byte) (Value, error) {
	r := reader(TypeITAStartAngel, b)
	return StartAngel{}, r.Finish()
}
func parseStopAngel(b []byte) (Value, error) {
	r := reader(TypeITAStopAngel, b)
	return StopAngel{}, r.Finish()
}
