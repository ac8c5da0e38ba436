package measure

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// kernelSettings are the files of the kernel whose content a verifier gets without
// a word in measure_allow: configuration and state that every user of the system
// sees as root does, without addresses of the kernel. A directory covers what lies
// below it.
var kernelSettings = mustPatterns(
	"/proc/cmdline", "/proc/cpuinfo", "/proc/crypto", "/proc/devices", "/proc/diskstats", "/proc/filesystems", "/proc/loadavg",
	"/proc/meminfo", "/proc/misc", "/proc/partitions", "/proc/stat", "/proc/swaps", "/proc/uptime", "/proc/version",
	"/proc/version_signature", "/proc/vmstat", "/proc/sys",
	"/sys/devices/virtual/dmi/id", "/sys/devices/**/net/*/address", "/sys/devices/**/net/*/carrier", "/sys/devices/**/net/*/flags",
	"/sys/devices/**/net/*/mtu", "/sys/devices/**/net/*/operstate", "/sys/devices/**/net/*/type", "/sys/devices/**/tpm/tpm*/tpm_version_major",
	"/sys/devices/system/cpu/vulnerabilities", "/sys/devices/system/cpu/smt", "/sys/devices/system/cpu/online",
	"/sys/devices/system/cpu/possible", "/sys/devices/system/cpu/present",
	"/sys/firmware/efi/fw_platform_size", "/sys/firmware/efi/efivars/SecureBoot-*", "/sys/firmware/efi/efivars/SetupMode-*",
	"/sys/fs/selinux/enforce", "/sys/fs/selinux/policyvers", "/sys/kernel/security/lockdown", "/sys/kernel/security/lsm",
	"/sys/module/*/parameters", "/sys/module/*/version", "/sys/power/state",
)

// networkSettings are the files of /proc/net that are settings in this sense. They
// lie in the directory of a process, that of the IMC.
var networkSettings = map[string]bool{
	"arp": true, "dev": true, "if_inet6": true, "ipv6_route": true, "netstat": true, "route": true, "snmp": true, "snmp6": true,
	"sockstat": true, "sockstat6": true, "wireless": true,
}

func mustPatterns(list ...string) (out []pattern) {
	for _, s := range list {
		p, err := parsePattern(s)
		if err != nil {
			panic(err)
		}
		out = append(out, p)
	}
	return out
}

var errKernelSetting = errors.New("a file of the kernel that is no setting")

// kernelSetting decides on a file that the kernel makes up, or that lies where such
// files do: name is the path that was asked for, lies where it is after all
// symbolic links, and kind the directory of pseudo that its file system counts as,
// "" for one that keeps files. An error wraps ErrRefused.
func (p Policy) kernelSetting(name, lies, kind string) error {
	if kind == "" && !within(lies, "/proc") && !within(lies, "/sys") {
		return nil
	}
	refused := fmt.Errorf("%w: %w", ErrRefused, errKernelSetting)
	if kind != "" && !within(lies, kind) {
		return refused // mounted elsewhere
	}
	if file, ok := ofProcess(lies); ok {
		inNet, isNet := strings.CutPrefix(file, "net/")
		asked, byName := strings.CutPrefix(name, "/proc/net/")
		if isNet && byName && asked == inNet && (networkSettings[inNet] || p.Check(name) == nil) {
			return nil
		}
		return refused
	}
	for _, q := range kernelSettings {
		if q.matches(lies) {
			return nil
		}
	}
	if p.Check(lies) == nil {
		return nil
	}
	return refused
}

// ofProcess returns the file in the directory of a process below /proc that a path
// without links names, such as the host's own memory map, which the kernel shows
// to nobody else whatever its mode says. /proc/net is one of them.
func ofProcess(path string) (file string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/proc/")
	if !ok {
		return "", false
	}
	pid, file, _ := strings.Cut(rest, "/")
	_, err := strconv.ParseUint(pid, 10, 32)
	return file, err == nil
}
