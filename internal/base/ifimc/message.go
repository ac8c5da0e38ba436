package ifimc

import "fmt"

var vendorNames = map[uint32]string{
	0x000000: "IETF",
	0x000137: "Microsoft",
	0x000908: "Red Hat",
	0x000a8b: "PWG",
	0x002358: "OSC",
	0x002572: "Debian",
	0x002b79: "Google",
	0x005597: "TCG",
	0x007132: "Canonical",
	0x0076c1: "Fedora",
	0x0080ab: "FHH",
	0x00902a: "ITA-HSR",
	0x00950e: "OpenPTS",
	0xffffff: "Unassigned",
}

// VendorName returns the name of a Private Enterprise Number as strongSwan
// logs it, or "(n)" in decimal.
func VendorName(vendor uint32) string {
	if n, ok := vendorNames[vendor]; ok {
		return n
	}
	return fmt.Sprintf("(%d)", vendor)
}

// subtypeNames are the names that strongSwan has for PA-TNC message subtypes.
var subtypeNames = map[uint32]map[uint32]string{
	0x000000: {
		0: "Testing", 1: "Operating System", 2: "Anti-Virus", 3: "Anti-Spyware", 4: "Anti-Malware",
		5: "Firewall", 6: "IDPS", 7: "VPN", 8: "NEA Client", 9: "SWIMA", 0xff: "Any",
	},
	0x005597: {1: "PTS", 2: "SCAP", 3: "SWID", 0xff: "Any"},
	0x000a8b: {
		0: "HCD Testing", 1: "HCD Other", 2: "HCD Unknown", 4: "HCD Console", 5: "HCD System", 6: "HCD Cover",
		8: "HCD Input Tray", 9: "HCD Output Tray", 10: "HCD Marker", 13: "HCD Media Path", 14: "HCD Channel",
		15: "HCD Interpreter", 30: "HCD Finisher", 40: "HCD Interface", 50: "HCD Scanner", 0xff: "Any",
	},
	0x0080ab: {0x30: "HostScanner", 0x31: "Dummy", 0x33: "PlatformID", 0x34: "Attestation", 0x41: "ClamAV", 0xff: "Any"},
	0x00902a: {1: "Test", 2: "Echo", 0xff: "Any"},
}

// MessageName describes the type of a PA-TNC message as strongSwan logs it:
// "'TCG/PTS' 0x005597/0x00000001".
func MessageName(vendor, subtype uint32) string {
	names, ok := subtypeNames[vendor]
	if !ok {
		return fmt.Sprintf("'%s' 0x%06x/0x%08x", VendorName(vendor), vendor, subtype)
	}
	n, ok := names[subtype]
	if !ok {
		n = fmt.Sprintf("(%d)", subtype)
	}
	return fmt.Sprintf("'%s/%s' 0x%06x/0x%08x", VendorName(vendor), n, vendor, subtype)
}
