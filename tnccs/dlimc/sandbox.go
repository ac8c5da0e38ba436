package dlimc

import (
	"debug/buildinfo"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/internal/base/confine"
	"github.com/gotnc/gotnc/internal/base/secrets"
)

// SandboxLevel says how far the child of an IMC is confined.
type SandboxLevel string

// The levels. At all but the last the child has a user that no other process has
// (where this process is root), no capability but to read every file, no new
// privileges, no network, and limits; it sees no secret, writes no file, and
// reaches no other process.
const (
	// SandboxDefault is SandboxStrict for this module's imc-attestation.so, and
	// SandboxReadonly for others.
	SandboxDefault SandboxLevel = ""
	// SandboxStrict starts no program but rpm, asks nothing of netlink, and makes no
	// memory executable that is no file.
	SandboxStrict SandboxLevel = "strict"
	// SandboxReadonly may run programs and ask for the addresses of this machine.
	SandboxReadonly SandboxLevel = "readonly"
	// SandboxOff confines nothing.
	SandboxOff SandboxLevel = "off"
)

// Limits of a child by default.
const (
	DefaultMemory    = 1 << 30 // octets of private memory, each process
	DefaultProcesses = 256     // threads of all processes
	maxOpen          = 4096    // descriptors, each process
)

// Sandbox is what a child may do. The zero value is usable.
type Sandbox struct {
	Level SandboxLevel
	// Levels are those of single IMCs by their names in tnc_config.
	Levels map[string]SandboxLevel
	// Hidden are files and folders that an IMC does not see, beside secrets.Places.
	// What a pattern (filepath.Match) of Shown names, it sees all the same.
	Hidden, Shown []string
	// TPM is where the TPM is, as in "device:/dev/tpmrm0" or
	// "swtpm:host=127.0.0.1,port=2321": the child reaches that. "" means the devices
	// /dev/tpmrm0 and /dev/tpm0.
	TPM string
	// Memory limits the private memory of each process in octets, Processes the
	// threads of all processes of one IMC; 0 means the defaults.
	Memory    uint64
	Processes int
}

// level returns the level for the IMC of e.
func (s Sandbox) level(e Entry) SandboxLevel {
	l := s.Level
	if own, ok := s.Levels[e.Name]; ok {
		l = own
	}
	switch {
	case l != SandboxDefault:
		return l
	case isOurs(e.Path):
		return SandboxStrict
	}
	return SandboxReadonly
}

// ours is the package of this module's library.
const ours = "github.com/gotnc/gotnc/capi/attestation"

// isOurs reports whether a file says that it is this module's library. One that
// lies about it gets less.
func isOurs(path string) bool {
	info, err := buildinfo.ReadFile(path)
	return err == nil && info.Path == ours
}

// hidden returns the paths of s.Hidden and secrets.Places, those that lead nowhere yet
// included, without those of s.Shown.
func (s Sandbox) hidden() []string {
	var out []string
	for _, pattern := range slices.Concat(secrets.Places, s.Hidden) {
		found, err := filepath.Glob(pattern)
		if err != nil || !strings.ContainsAny(pattern, "*?[") {
			found = []string{pattern}
		}
		if file := strings.TrimSuffix(pattern, "*"); !strings.ContainsAny(file, "*?[") {
			found = append(found, file) // with those that are not there yet
		}
		out = append(out, found...)
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), s.shows)
}

// shows reports whether s.Shown names a path, or what is below it. A pattern whose
// last component is all special characters names nothing.
func (s Sandbox) shows(path string) bool {
	return slices.ContainsFunc(s.Shown, func(shown string) bool {
		if strings.Trim(filepath.Base(shown), "*?") == "" {
			return false
		}
		ok, _ := filepath.Match(shown, path)
		return ok || strings.HasPrefix(shown, path+"/")
	})
}

// tpm adds what reaches the TPM to f and c.
func (s Sandbox) tpm(f *confine.Files, c *confine.Calls) {
	name, opts, _ := strings.Cut(s.TPM, ":")
	switch {
	case name == "" || name == "device" && opts == "":
		f.Write = append(f.Write, "/dev/tpmrm0", "/dev/tpm0")
		return
	case name == "device":
		f.Write = append(f.Write, opts)
		return
	}
	port := 2321
	for opt := range strings.SplitSeq(opts, ",") {
		key, value, _ := strings.Cut(strings.TrimSpace(opt), "=")
		switch key {
		case "path":
			c.Unix = true
			f.Write = append(f.Write, value)
			return
		case "port":
			n, err := strconv.ParseUint(value, 10, 16)
			if err != nil {
				return // the IMC says what is wrong with it
			}
			port = int(n)
		}
	}
	c.TCP = true
	f.Ports = append(f.Ports, uint16(port))
	if port < 65535 {
		f.Ports = append(f.Ports, uint16(port+1)) // of a simulator's platform
	}
}

// plan returns how the child of e is confined; nil is not at all.
func (s Sandbox) plan(e Entry) (*confine.Plan, SandboxLevel, error) {
	level := s.level(e)
	if level == SandboxOff {
		return nil, level, nil
	}
	l := confine.Library{
		Name:   childName,
		Files:  confine.Files{Hidden: s.hidden()},
		Memory: s.Memory, Processes: s.Processes, Open: maxOpen,
		Keep: confine.CapSet(unix.CAP_DAC_READ_SEARCH),
	}
	if l.Memory == 0 {
		l.Memory = DefaultMemory
	}
	if l.Processes == 0 {
		l.Processes = DefaultProcesses
	}
	switch level {
	case SandboxReadonly:
		l.Files.Execute = []string{"/"}
		l.Calls = confine.Calls{Netlink: true, Code: true}
	case SandboxStrict:
		l.Files.Execute = programs()
		l.Calls.Groups = l.Files.Execute != nil // rpm has one of its own
	default:
		return nil, level, loadError(e, ErrLevel, strconv.Quote(string(level)))
	}
	s.tpm(&l.Files, &l.Calls)
	return confine.NewLibrary(l), level, nil
}

// rpm is the one program that this module's library runs.
const rpm = "/usr/bin/rpm"

// programs returns what is executed where rpm is: it, and what loads it.
func programs() []string {
	if _, err := os.Stat(rpm); err != nil {
		return nil
	}
	out := []string{rpm}
	for _, pattern := range []string{"/lib/ld-*.so*", "/lib64/ld-*.so*"} {
		found, _ := filepath.Glob(pattern)
		out = append(out, found...)
	}
	return out
}
