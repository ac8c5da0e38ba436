//go:build linux && (amd64 || arm64)

package confine

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// run is the classic BPF of a filter, on one call.
func run(t *testing.T, f []insn, arch, nr uint32, args ...uint64) uint32 {
	t.Helper()
	data := binary.LittleEndian.AppendUint32(nil, nr)
	data = binary.LittleEndian.AppendUint32(data, arch)
	data = append(data, make([]byte, 8)...)
	for i := range 6 {
		var v uint64
		if i < len(args) {
			v = args[i]
		}
		data = binary.LittleEndian.AppendUint64(data, v)
	}
	var a uint32
	for pc := 0; ; pc++ {
		require.Less(t, pc, len(f), "the program ends")
		i := f[pc]
		var yes bool
		switch i.Code {
		case unix.BPF_LD | unix.BPF_W | unix.BPF_ABS:
			a = binary.LittleEndian.Uint32(data[i.K:])
			continue
		case unix.BPF_ALU | unix.BPF_AND | unix.BPF_K:
			a &= i.K
			continue
		case unix.BPF_RET | unix.BPF_K:
			return i.K
		case unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K:
			yes = a == i.K
		case unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K:
			yes = a&i.K != 0
		case unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K:
			yes = a >= i.K
		default:
			t.Fatalf("instruction %d: %#x", pc, i.Code)
		}
		if yes {
			pc += int(i.Jt)
		} else {
			pc += int(i.Jf)
		}
	}
}

func TestFilter(t *testing.T) {
	const (
		eperm  = errno | uint32(unix.EPERM)
		eacces = errno | uint32(unix.EACCES)
		enosys = errno | uint32(unix.ENOSYS)
		none   = ^uint64(0)
		anon   = unix.MAP_ANONYMOUS
	)
	everything := Calls{Netlink: true, TCP: true, Unix: true, Code: true, Groups: true, Signals: true, Truncate: true}
	for _, c := range []struct {
		name  string
		calls Calls
		nr    uint32
		args  []uint64
		want  uint32
	}{
		{"read", Calls{}, unix.SYS_READ, nil, allow},
		{"openat", Calls{Truncate: true}, unix.SYS_OPENAT, []uint64{0, 0, unix.O_TRUNC}, allow},
		{"openat truncating", Calls{}, unix.SYS_OPENAT, []uint64{0, 0, unix.O_TRUNC | unix.O_CLOEXEC}, eacces},
		{"openat truncating for writing", Calls{}, unix.SYS_OPENAT, []uint64{0, 0, unix.O_TRUNC | unix.O_WRONLY}, allow},
		{"truncate", Calls{}, unix.SYS_TRUNCATE, nil, eperm},
		{"openat2", everything, unix.SYS_OPENAT2, nil, enosys},
		{"clone3", everything, unix.SYS_CLONE3, nil, enosys},
		{"thread", Calls{}, unix.SYS_CLONE, []uint64{unix.CLONE_THREAD | unix.CLONE_VM}, allow},
		{"new user", everything, unix.SYS_CLONE, []uint64{unix.CLONE_NEWUSER | uint64(unix.SIGCHLD)}, eperm},
		{"ptrace", everything, unix.SYS_PTRACE, nil, eperm},
		{"read a limit", Calls{}, unix.SYS_PRLIMIT64, []uint64{0, 7, 0, 1}, allow},
		{"set a limit", everything, unix.SYS_PRLIMIT64, []uint64{0, 7, 0x10, 0}, eperm},
		{"set a limit, high address", everything, unix.SYS_PRLIMIT64, []uint64{0, 7, 1 << 40, 0}, eperm},
		{"personality", Calls{}, unix.SYS_PERSONALITY, []uint64{0xffffffff}, allow},
		{"personality of another", everything, unix.SYS_PERSONALITY, []uint64{0x0400000}, eperm},
		{"ioctl", Calls{}, unix.SYS_IOCTL, []uint64{0, unix.TCGETS}, allow},
		{"push into a terminal", everything, unix.SYS_IOCTL, []uint64{0, unix.TIOCSTI}, eperm},
		{"paste into a terminal", everything, unix.SYS_IOCTL, []uint64{0, unix.TIOCLINUX}, eperm},
		{"memory", Calls{}, unix.SYS_MMAP, []uint64{0, 1, unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | anon}, allow},
		{"shared memory", everything, unix.SYS_MMAP, []uint64{0, 1, unix.PROT_READ, unix.MAP_SHARED | anon}, eperm},
		{"shared file", Calls{}, unix.SYS_MMAP, []uint64{0, 1, unix.PROT_READ, unix.MAP_SHARED}, allow},
		{"code of a file", Calls{}, unix.SYS_MMAP, []uint64{0, 1, unix.PROT_EXEC, unix.MAP_PRIVATE}, allow},
		{"code", Calls{}, unix.SYS_MMAP, []uint64{0, 1, unix.PROT_EXEC, unix.MAP_PRIVATE | anon}, eacces},
		{"code allowed", Calls{Code: true}, unix.SYS_MMAP, []uint64{0, 1, unix.PROT_EXEC, unix.MAP_PRIVATE | anon}, allow},
		{"make code", Calls{}, unix.SYS_MPROTECT, []uint64{0, 1, unix.PROT_READ | unix.PROT_EXEC}, eacces},
		{"read-only", Calls{}, unix.SYS_MPROTECT, []uint64{0, 1, unix.PROT_READ}, allow},
		{"setpgid", Calls{}, unix.SYS_SETPGID, nil, eperm},
		{"setpgid allowed", Calls{Groups: true}, unix.SYS_SETPGID, nil, allow},
		{"kill the group", Calls{}, unix.SYS_KILL, []uint64{0, 9}, allow},
		{"kill itself", Calls{}, unix.SYS_KILL, []uint64{selfPID, 9}, allow},
		{"kill another", Calls{}, unix.SYS_KILL, []uint64{1, 9}, eperm},
		{"kill all", Calls{}, unix.SYS_KILL, []uint64{none, 9}, eperm},
		{"kill by user", Calls{Signals: true}, unix.SYS_KILL, []uint64{1, 9}, allow},
		{"tgkill itself", Calls{}, unix.SYS_TGKILL, []uint64{selfPID, 5, 6}, allow},
		{"tgkill another", Calls{}, unix.SYS_TGKILL, []uint64{1, 1, 6}, eperm},
		{"tcp", Calls{Netlink: true, Unix: true}, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM}, eacces},
		{"tcp allowed", Calls{TCP: true}, unix.SYS_SOCKET, []uint64{unix.AF_INET6, unix.SOCK_STREAM | unix.SOCK_CLOEXEC, unix.IPPROTO_TCP}, allow},
		{"mptcp", everything, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_STREAM, unix.IPPROTO_MPTCP}, eacces},
		{"udp", everything, unix.SYS_SOCKET, []uint64{unix.AF_INET, unix.SOCK_DGRAM}, eacces},
		{"unix", Calls{Netlink: true, TCP: true}, unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, eacces},
		{"unix allowed", Calls{Unix: true}, unix.SYS_SOCKET, []uint64{unix.AF_UNIX, unix.SOCK_STREAM}, allow},
		{"routes", Calls{Netlink: true}, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_ROUTE}, allow},
		{"sockets", Calls{Netlink: true}, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_SOCK_DIAG}, allow},
		{"audit", everything, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW, unix.NETLINK_AUDIT}, eacces},
		{"routes of strict", Calls{}, unix.SYS_SOCKET, []uint64{unix.AF_NETLINK, unix.SOCK_RAW}, eacces},
		{"packet", everything, unix.SYS_SOCKET, []uint64{unix.AF_PACKET, unix.SOCK_RAW}, eacces},
		{"pair", Calls{}, unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_STREAM | unix.SOCK_CLOEXEC}, allow},
		{"pair of datagrams", everything, unix.SYS_SOCKETPAIR, []uint64{unix.AF_UNIX, unix.SOCK_DGRAM}, eacces},
		{"connect", Calls{Netlink: true}, unix.SYS_CONNECT, nil, eacces},
		{"connect allowed", Calls{TCP: true}, unix.SYS_CONNECT, nil, allow},
		{"listen", everything, unix.SYS_LISTEN, nil, eacces},
		{"fast open", Calls{TCP: true}, unix.SYS_SENDTO, []uint64{3, 0, 0, unix.MSG_FASTOPEN}, eacces},
		{"send", Calls{TCP: true}, unix.SYS_SENDTO, []uint64{3, 0, 0, unix.MSG_NOSIGNAL}, allow},
		{"keyctl", everything, unix.SYS_KEYCTL, nil, eperm},
		{"mount", everything, unix.SYS_MOUNT, nil, eperm},
		{"a call of tomorrow", Calls{}, 4000, nil, allow},
	} {
		require.Equal(t, c.want, run(t, filter(c.calls), auditArch, c.nr, c.args...), c.name)
	}
	require.EqualValues(t, uint32(kill), run(t, filter(everything), unix.AUDIT_ARCH_I386, unix.SYS_READ), "32 bits")
	if x32Bit != 0 {
		require.EqualValues(t, enosys, run(t, filter(everything), auditArch, x32Bit|unix.SYS_READ))
	}
	for _, c := range []Calls{{}, everything} {
		require.Less(t, len(filter(c)), unix.BPF_MAXINSNS)
	}
}

// Every call that is refused is so at every level.
func TestRefusedCalls(t *testing.T) {
	f := filter(Calls{Netlink: true, TCP: true, Unix: true, Code: true, Groups: true, Signals: true, Truncate: true})
	seen := map[uint32]bool{}
	for _, nr := range refused {
		require.False(t, seen[nr], "%d is there twice", nr)
		seen[nr] = true
		require.EqualValues(t, errno|uint32(unix.EPERM), run(t, f, auditArch, nr), nr)
	}
}
