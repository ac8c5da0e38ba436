//go:build linux

package confine

import (
	"encoding/binary"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Variable is the environment variable with the descriptor of the plan.
const Variable = "GOTNC_CONFINE"

// magic begins a plan, with the version of its layout.
const magic = "GTNC\x00\x00\x00\x01"

// Steps of a plan. Each is u32 kind, u32 length, and octets in the byte order of
// the machine, padded to 8 (apply_linux.c).
const (
	stepLimit    = iota + 1 // u64 resource, soft, hard
	stepOOMScore            // text
	stepName                // text: the name of the process
	stepBounding            // u64 the capabilities that programs may be given
	stepUser                // u64 uid, gid, then group IDs
	stepCaps                // u64 the capabilities that stay
	stepNoNew               // no_new_privs
	stepRuleset             // u64 size, then landlock_ruleset_attr
	stepPath                // u64 access, path with NUL
	stepPort                // u64 access, port
	stepRestrict            // puts the rules in force
	stepFilter              // sock_filter…
	stepNoDump              // PR_SET_DUMPABLE 0
)

// stepNames are what a failure is called.
var stepNames = map[int]string{
	stepLimit: "setrlimit", stepOOMScore: "oom_score_adj", stepName: "PR_SET_NAME", stepBounding: "PR_CAPBSET_DROP", stepUser: "setresuid", stepCaps: "capset",
	stepNoNew: "PR_SET_NO_NEW_PRIVS", stepRuleset: "landlock_create_ruleset", stepPath: "landlock_add_rule", stepPort: "landlock_add_rule",
	stepRestrict: "landlock_restrict_self", stepFilter: "seccomp", stepNoDump: "PR_SET_DUMPABLE",
}

// Plan is what one process loses at its start. A nil Plan takes nothing.
type Plan struct {
	steps []byte
	force []string // what is in force, for the log
	lacks []string // what this kernel or this process cannot do
	seen  []folder // whose entries were listed

	uid    uint32 // whose processes KillUser ends; 0 = none
	memory uint64 // limit in octets; 0 = none
}

func newPlan() *Plan { return &Plan{steps: []byte(magic)} }

func (p *Plan) step(kind int, data []byte) {
	p.steps = binary.NativeEndian.AppendUint32(p.steps, uint32(kind))
	p.steps = binary.NativeEndian.AppendUint32(p.steps, uint32(len(data)))
	p.steps = append(p.steps, data...)
	for len(p.steps)%8 != 0 {
		p.steps = append(p.steps, 0)
	}
}

func u64s(vs ...uint64) []byte {
	var b []byte
	for _, v := range vs {
		b = binary.NativeEndian.AppendUint64(b, v)
	}
	return b
}

// Force returns what is in force in a process with this plan, in a few words each.
func (p *Plan) Force() []string { return p.force }

// Lacks returns what cannot be taken from it here, and why.
func (p *Plan) Lacks() []string { return p.lacks }

// Memory returns the limit of the process's private memory in octets, 0 for none.
func (p *Plan) Memory() uint64 {
	if p == nil {
		return 0
	}
	return p.memory
}

// File returns the plan as a file for the process, which inherits it under some
// descriptor that Variable names. The caller closes it.
func (p *Plan) File() (*os.File, error) {
	fd, err := unix.MemfdCreate("confine", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create a file in memory: %w", err)
	}
	f := os.NewFile(uintptr(fd), "confine")
	if _, err := f.Write(p.steps); err != nil {
		f.Close()
		return nil, fmt.Errorf("write a file in memory: %w", err)
	}
	return f, nil
}

// StepError is the error of a step that the kernel refused.
type StepError struct {
	Step string // the system call
	Err  error
}

func (e *StepError) Error() string { return e.Step + ": " + e.Err.Error() }
func (e *StepError) Unwrap() error { return e.Err }

// Was reports whether this process was started with a plan. The error is that of
// the first step that failed; the steps after it were not tried.
func Was() (confined bool, err error) {
	state, kind, errno := applied()
	switch {
	case !state:
		return false, nil
	case errno != 0:
		name := stepNames[kind]
		if name == "" {
			name = "read the plan"
		}
		return true, &StepError{Step: name, Err: unix.Errno(errno)}
	}
	return true, nil
}
