//go:build linux

package confine

import "golang.org/x/sys/unix"

// Service returns the plan for a process that keeps its user and nothing but the
// capabilities keep; neither it nor a program that it runs gets others. It may lock
// all of its memory, where this process may let it.
func Service(name string, keep Caps) *Plan {
	p := newPlan()
	p.step(stepName, append([]byte(name), 0))
	if Permitted().has(unix.CAP_SYS_RESOURCE) {
		p.step(stepLimit, u64s(unix.RLIMIT_MEMLOCK, unix.RLIM_INFINITY, unix.RLIM_INFINITY))
	}
	p.step(stepBounding, u64s(uint64(keep)))
	p.step(stepCaps, u64s(uint64(keep)))
	p.step(stepNoNew, nil)
	return p
}

// NoDump keeps the memory of this process from core dumps, debuggers and
// /proc/PID of all but root.
func NoDump() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

// LockMemory keeps the memory of this process, now and later, out of the swap
// area. It needs an unlimited RLIMIT_MEMLOCK or the right to set one, and reports
// whether it is done.
func LockMemory() bool {
	all := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if unix.Setrlimit(unix.RLIMIT_MEMLOCK, &all) != nil {
		return false
	}
	return unix.Mlockall(unix.MCL_CURRENT|unix.MCL_FUTURE|unix.MCL_ONFAULT) == nil
}
