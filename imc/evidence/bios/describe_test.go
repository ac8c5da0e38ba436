package bios

import (
	"bytes"
	"encoding/binary"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
)

func wide(s string) (out []byte) {
	for _, u := range utf16.Encode([]rune(s + "\x00")) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

func variable(name string) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 16), uint64(len(name)))
	b = binary.LittleEndian.AppendUint64(b, 1)
	return append(append(b, wide(name)[:2*len(name)]...), 1)
}

// Who measured what, as in the logs of docs/event-logs.md.
func TestDescribe(t *testing.T) {
	tag := func(id uint32, data string) []byte {
		return append(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, id), uint32(len(data))), data...)
	}
	for _, c := range []struct {
		pcr      uint32
		kind     EventType
		data     []byte
		by, what string
	}{
		{14, IPL, []byte("MokList\x00"), ByShim, "MokList"},
		{14, IPL, []byte("MokListX\x00j"), ByShim, "MokListX"},
		{14, IPL, []byte("MokSBState\x00"), ByShim, "MokSBState"},
		{7, EFIVariableAuthority, variable("SbatLevel"), ByShim, "SbatLevel"},
		{7, EFIVariableDriverConfig, variable("SecureBoot"), ByFirmware, "SecureBoot"},
		{8, IPL, []byte("grub_cmd: linux /vmlinuz\x00"), ByGRUB, "grub_cmd: linux /vmlinuz"},
		{8, IPL, []byte("kernel_cmdline: /vmlinuz ro\x00"), ByGRUB, "kernel_cmdline: /vmlinuz ro"},
		{9, IPL, []byte("(hd0,gpt2)/boot/grub/grub.cfg\x00"), ByGRUB, "(hd0,gpt2)/boot/grub/grub.cfg"},
		{9, IPL, []byte("grub_initrd\x00"), ByGRUB, "grub_initrd"},
		{8, IPL, wide("root=/dev/sda"), BySystemdBoot, "command line root=/dev/sda"},
		{11, IPL, []byte(".linux\x00"), BySystemdStub, ".linux"},
		{11, IPL, wide(".osrel"), BySystemdStub, ".osrel"},
		{12, IPL, wide("console=ttyS0"), BySystemdStub, "command line console=ttyS0"},
		{13, IPL, wide("System extension initrd"), BySystemdStub, "System extension initrd"},
		{9, EventTag, tag(0x8f3b22ec, "Linux initrd"), ByKernel, "initrd"},
		{9, EventTag, tag(0x8f3b22ed, "x"), ByKernel, "load options"},
		{5, EventTag, tag(0xf5bc582a, "x"), BySystemdBoot, "loader.conf"},
		{12, EventTag, tag(0x49dffe0f, "x"), BySystemdStub, "initrd add-on"},
		{12, EventTag, tag(0x40010001, "x"), ByWindows, "configuration"},
		{4, EFIAction, []byte("Calling EFI Application from Boot Option"), ByFirmware, "Calling EFI Application from Boot Option"},
		{0, SCRTMVersion, wide("1.0"), ByFirmware, "1.0"},
		{0, EventType(0x7777), []byte("x"), ByFirmware, ""},
	} {
		e := Event{PCR: c.pcr, Type: c.kind, Data: c.data}
		by, what := e.Describe()
		require.Equal(t, [2]string{c.by, c.what}, [2]string{by, what}, "%q", c.data)
		for n := range c.data { // every prefix
			e.Data = c.data[:n]
			e.Describe()
		}
	}
	e := Event{PCR: 7, Type: EFIVariableAuthority, Data: bytes.Repeat([]byte{0xFF}, 40)}
	_, what := e.Describe()
	require.Empty(t, what)
	e = Event{PCR: 9, Type: IPL, Data: bytes.Repeat([]byte("/a"), 1<<16)}
	_, what = e.Describe()
	require.LessOrEqual(t, len(what), maxText)
}

func FuzzDescribe(f *testing.F) {
	f.Add(uint32(7), uint32(EFIVariableAuthority), variable("SbatLevel"))
	f.Add(uint32(12), uint32(IPL), wide("quiet"))
	f.Fuzz(func(t *testing.T, index, kind uint32, data []byte) {
		e := Event{PCR: index, Type: EventType(kind), Data: data}
		by, what := e.Describe()
		require.NotEmpty(t, by)
		require.LessOrEqual(t, len(what), 4*maxText+len("command line "))
	})
}
