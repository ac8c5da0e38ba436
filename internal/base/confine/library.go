//go:build linux

package confine

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Library is what a process gets that holds a library of somebody.
type Library struct {
	Name  string // of the process, at most 15 octets
	Files Files
	Calls Calls
	// Memory limits the private memory of each process in octets, Processes the
	// threads of them all, Open the descriptors of each; 0 sets no limit.
	Memory          uint64
	Processes, Open int
	// Keep are the capabilities that stay, where this process has them.
	Keep Caps
}

// NewLibrary returns the plan for a process with a library.
func NewLibrary(l Library) *Plan {
	p := newPlan()
	abi := LandlockABI()
	p.step(stepName, append([]byte(l.Name), 0))
	p.step(stepOOMScore, []byte("1000\x00"))
	groups, caps := access(l.Files.Write)
	p.memory = l.Memory
	own := users.take()
	uid := p.user(own, l.Keep|caps, groups)
	if l.Calls.Groups && uid != nobody {
		p.uid = uid
	} else {
		users.release(own)
	}
	p.limits(l, uid)
	p.step(stepNoNew, nil)
	p.force = append(p.force, "no new privileges")
	if abi > 0 {
		p.landlock(l.Files, abi)
		p.force = append(p.force, fmt.Sprintf("Landlock %d", abi))
	} else {
		p.lacks = append(p.lacks, "Landlock, which keeps files from it")
	}
	p.step(stepNoDump, nil)
	l.Calls.Signals = uid != 0 || abi >= withScopes
	l.Calls.Truncate = abi >= withTruncate
	if len(l.Files.Ports) > 0 && abi < withTCP {
		p.lacks = append(p.lacks, "the limit to some TCP ports")
	}
	if p.seccomp(l.Calls) {
		p.force = append(p.force, "seccomp")
	} else {
		p.lacks = append(p.lacks, "seccomp, which keeps the network from it")
	}
	return p
}

// limits adds the limits of l. A user of its own has no other processes; else
// those that are there count, too.
func (p *Plan) limits(l Library, uid uint32) {
	limit := func(resource int, n uint64) { p.step(stepLimit, u64s(uint64(resource), n, n)) }
	limit(unix.RLIMIT_CORE, 0)
	limit(unix.RLIMIT_FSIZE, 0)
	limit(unix.RLIMIT_MSGQUEUE, 0)
	if l.Memory > 0 {
		limit(unix.RLIMIT_DATA, l.Memory)
		p.force = append(p.force, fmt.Sprintf("%d MiB", l.Memory>>20))
	}
	if l.Open > 0 {
		limit(unix.RLIMIT_NOFILE, clamp(unix.RLIMIT_NOFILE, uint64(l.Open)))
	}
	if l.Processes > 0 {
		n := uint64(l.Processes)
		if uid == 0 {
			n += uint64(tasks())
		}
		limit(unix.RLIMIT_NPROC, clamp(unix.RLIMIT_NPROC, n))
		p.force = append(p.force, fmt.Sprintf("%d processes", l.Processes))
	}
}

// clamp returns n, or the hard limit that this process has, if that is lower.
func clamp(resource int, n uint64) uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(resource, &l) == nil {
		n = min(n, l.Max)
	}
	return n
}
