package bios

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
)

// Who measures.
const (
	ByFirmware    = "firmware"
	ByShim        = "shim"
	ByGRUB        = "GRUB"
	BySystemdBoot = "systemd-boot"
	BySystemdStub = "systemd-stub"
	ByKernel      = "Linux EFI stub"
	ByWindows     = "Windows"
	ByLoader      = "boot loader"
)

// maxText is the most octets of an event that are shown.
const maxText = 256

// stubSections are the sections of a unified kernel image that systemd-stub measures
// into PCR 11 (UAPI.5 Unified Kernel Image).
var stubSections = map[string]bool{".linux": true, ".osrel": true, ".cmdline": true, ".initrd": true, ".ucode": true,
	".splash": true, ".dtb": true, ".dtbauto": true, ".hwids": true, ".uname": true, ".sbat": true, ".pcrpkey": true,
	".profile": true, ".efifw": true}

// shimNames are what shim measures beside programs (README.tpm of shim).
var shimNames = map[string]bool{"MokList": true, "MokListX": true, "MokListTrusted": true, "MokSBState": true, "MokDBState": true,
	"SbatLevel": true, "Shim": true, "MokPolicy": true, "MokListRT": true, "MokListXRT": true, "SbatLevelRT": true}

// grubPrefixes begin what GRUB measures into PCR 8.
var grubPrefixes = []string{"grub_", "kernel_cmdline", "module_cmdline"}

// tags are those of EV_EVENT_TAG (TCG_PCClientTaggedEvent).
var tags = map[uint32][2]string{
	0xf5bc582a: {BySystemdBoot, "loader.conf"},
	0x6c46f751: {BySystemdStub, "devicetree add-on"},
	0x49dffe0f: {BySystemdStub, "initrd add-on"},
	0xdac08e1a: {BySystemdStub, "microcode add-on"},
	0x8f3b22ec: {ByKernel, "initrd"},
	0x8f3b22ed: {ByKernel, "load options"},
}

// Describe says who measured the event, as far as it can be told, and what. What is
// text of the log: it is not to be trusted, and may be empty.
func (e *Event) Describe() (by, what string) {
	switch e.Type {
	case IPL, IPLPartitionData:
		return e.describeIPL(plainText(e.Data))
	case EventTag:
		if len(e.Data) >= 8 {
			id := binary.LittleEndian.Uint32(e.Data)
			if t, ok := tags[id]; ok {
				return t[0], t[1]
			}
			if id>>16 == 0x4001 || e.PCR >= 12 && e.PCR <= 14 {
				return ByWindows, "configuration"
			}
		}
		return ByLoader, ""
	case EFIVariableDriverConfig, EFIVariableBoot, EFIVariableBoot2, EFIVariableAuthority:
		name := variableName(e.Data)
		if e.Type == EFIVariableAuthority && shimNames[name] {
			return ByShim, name
		}
		return ByFirmware, name
	case EFIBootServicesApplication:
		return ByFirmware, "EFI program"
	case EFIAction, Action, SCRTMVersion, PostCode, PostCode2, OmitBootDeviceEvents:
		return ByFirmware, plainText(e.Data)
	case CompactHash:
		if e.PCR == 11 {
			return ByWindows, "BitLocker"
		}
	case Separator:
		if e.PCR >= 8 {
			return ByLoader, "separator"
		}
		return ByFirmware, "separator"
	}
	return ByFirmware, ""
}

func (e *Event) describeIPL(text string) (by, what string) {
	for _, p := range grubPrefixes {
		if strings.HasPrefix(text, p) {
			return ByGRUB, text
		}
	}
	switch {
	case shimNames[text]:
		return ByShim, text
	case e.PCR == 11 && stubSections[text]:
		return BySystemdStub, text
	case e.PCR == 11 || e.PCR == 13:
		return BySystemdStub, text
	case e.PCR == 12:
		return BySystemdStub, strings.TrimSpace("command line " + text)
	case e.PCR == 8 && len(e.Data) > 1 && e.Data[1] == 0:
		return BySystemdBoot, "command line " + text
	case e.PCR == 9 && strings.ContainsAny(text, "/"):
		return ByGRUB, text
	}
	return ByLoader, text
}

// plainText returns the text of an event, which is UTF-16 or octets that end with NUL.
func plainText(b []byte) string {
	if len(b) >= 4 && len(b)%2 == 0 && b[0] != 0 && b[1] == 0 && b[3] == 0 {
		return utf16Text(b)
	}
	if i := strings.IndexByte(string(b[:min(len(b), maxText)]), 0); i >= 0 {
		b = b[:i]
	}
	return strings.ToValidUTF8(string(b[:min(len(b), maxText)]), "\uFFFD")
}

func utf16Text(b []byte) string {
	var units []uint16
	for ; len(b) >= 2 && len(units) < maxText; b = b[2:] {
		u := binary.LittleEndian.Uint16(b)
		if u == 0 {
			break
		}
		units = append(units, u)
	}
	return string(utf16.Decode(units))
}

// variableName returns the name in UEFI_VARIABLE_DATA: GUID, u64 characters of the
// name, u64 octets of data, name in UTF-16, data.
func variableName(b []byte) string {
	const header = 32
	if len(b) < header {
		return ""
	}
	n := binary.LittleEndian.Uint64(b[16:])
	if n > uint64(len(b)-header)/2 {
		return ""
	}
	return utf16Text(b[header : header+2*n])
}
