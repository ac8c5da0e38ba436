//go:build linux

package confine

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Caps is a set of capabilities, bit by bit.
type Caps uint64

// CapSet returns the set of capabilities.
func CapSet(caps ...int) Caps {
	var s Caps
	for _, c := range caps {
		s |= 1 << c
	}
	return s
}

// Permitted returns what this process may do; tests replace it.
var Permitted = func() Caps {
	h := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var d [2]unix.CapUserData
	if unix.Capget(&h, &d[0]) != nil {
		return 0
	}
	return Caps(d[0].Permitted) | Caps(d[1].Permitted)<<32
}

func (s Caps) has(c int) bool { return s>>c&1 != 0 }

// names of the capabilities that are said in the log.
var capNames = map[int]string{
	unix.CAP_DAC_READ_SEARCH: "cap_dac_read_search", unix.CAP_DAC_OVERRIDE: "cap_dac_override",
}

func (s Caps) String() string {
	var names []string
	for c := range 64 {
		if n := capNames[c]; s.has(c) && n != "" {
			names = append(names, n)
		}
	}
	if len(names) == 0 {
		return "no capability"
	}
	return strings.Join(names, " ")
}

// Users that nobody has are chosen at random from here on: neither people nor
// systemd nor containers have them.
const (
	firstUser = 1_900_000_000
	userRange = 100_000_000
	nobody    = 65534
)

// userSet is the users that this program's processes have. No two have the same
// one at a time, since KillUser of one ends all processes of its user.
type userSet struct {
	mu    sync.Mutex
	taken map[uint32]bool
}

var users = userSet{taken: map[uint32]bool{}}

// take returns a user that is free until release.
func (u *userSet) take() uint32 {
	u.mu.Lock()
	defer u.mu.Unlock()
	for {
		uid := firstUser + rand.Uint32N(userRange)
		if !u.taken[uid] {
			u.taken[uid] = true
			return uid
		}
	}
}

func (u *userSet) release(uid uint32) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.taken, uid)
}

// user adds the change to the user uid, which no other process has, and to the
// capabilities keep. It returns the user that it came to: another one where uid
// has no number in this namespace, 0 where the process keeps its own.
func (p *Plan) user(uid uint32, keep Caps, groups []uint32) uint32 {
	own := Permitted()
	keep &= own
	if own.has(unix.CAP_SETPCAP) {
		p.step(stepBounding, u64s(uint64(keep)))
	}
	switch {
	case !own.has(unix.CAP_SETUID) || !own.has(unix.CAP_SETGID):
		uid = 0
	case !mapped("/proc/self/uid_map", uid) || !mapped("/proc/self/gid_map", uid):
		if uid = nobody; !mapped("/proc/self/uid_map", uid) || !mapped("/proc/self/gid_map", uid) {
			uid = 0
		}
	}
	if uid != 0 {
		v := u64s(uint64(uid), uint64(uid))
		for _, g := range groups {
			v = append(v, u64s(uint64(g))...)
		}
		p.step(stepUser, v)
	}
	p.step(stepCaps, u64s(uint64(keep)))
	switch {
	case uid != 0:
		p.force = append(p.force, fmt.Sprintf("user %d", uid))
	case os.Geteuid() == 0:
		p.lacks = append(p.lacks, "another user than root")
	}
	if own != 0 {
		p.force = append(p.force, keep.String())
	}
	return uid
}

// mapped reports whether a user or group has a number in this namespace.
func mapped(file string, id uint32) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		var first, outside, count uint64
		if _, err := fmt.Sscan(sc.Text(), &first, &outside, &count); err == nil && uint64(id) >= first && uint64(id) < first+count {
			return true
		}
	}
	return false
}

// access returns what a process of another user needs to open files for reading
// and writing: their groups, and capabilities where groups do not do.
func access(paths []string) (groups []uint32, caps Caps) {
	for _, path := range paths {
		var st unix.Stat_t
		if unix.Stat(path, &st) != nil {
			continue
		}
		switch {
		case st.Mode&0o006 == 0o006:
		case st.Mode&0o060 == 0o060:
			groups = append(groups, st.Gid)
		default:
			caps |= CapSet(unix.CAP_DAC_OVERRIDE)
		}
	}
	return groups, caps
}

// tasks counts the threads of this user's processes.
func tasks() int {
	uid := uint32(os.Getuid())
	procs, err := os.ReadDir("/proc")
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range procs {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		var st unix.Stat_t
		if unix.Stat("/proc/"+e.Name()+"/task", &st) == nil && st.Uid == uid {
			n += int(st.Nlink) - 2
		}
	}
	return n
}

// killRounds is how often KillUser looks for processes: they may start others
// while it ends them.
const killRounds = 100

// KillUser ends all processes of the user that the plan gave to its process alone,
// where they may have left its process group.
func (p *Plan) KillUser() {
	if p == nil || p.uid == 0 {
		return
	}
	for range killRounds {
		procs, _ := os.ReadDir("/proc")
		found := false
		for _, e := range procs {
			pid, err := strconv.Atoi(e.Name())
			if err != nil {
				continue
			}
			if state, uid := owner(pid); uid == p.uid && state != 'Z' && state != 'X' {
				found = true
				_ = unix.Kill(pid, unix.SIGKILL)
			}
		}
		if !found {
			break
		}
	}
	users.release(p.uid)
	p.uid = 0
}

// owner returns the state and the user of a process.
func owner(pid int) (state byte, uid uint32) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(b)) {
		if s, ok := strings.CutPrefix(line, "State:\t"); ok && s != "" {
			state = s[0]
		}
		if s, ok := strings.CutPrefix(line, "Uid:\t"); ok {
			_, _ = fmt.Sscan(s, &uid)
			return state, uid
		}
	}
	return 0, 0
}
