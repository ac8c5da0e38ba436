//go:build linux

package confine

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Calls is what a process may ask of the kernel beside what every program needs.
type Calls struct {
	Netlink bool // ask for addresses and routes (NETLINK_ROUTE, NETLINK_SOCK_DIAG)
	TCP     bool // make TCP connections
	Unix    bool // connect to Unix sockets
	Code    bool // make memory executable that is no file
	Groups  bool // leave its process group
	// Signals to other processes, and truncating files, which are left out where
	// something else keeps the process from it.
	Signals, Truncate bool
}

// Results of a filter.
const (
	allow = unix.SECCOMP_RET_ALLOW
	kill  = unix.SECCOMP_RET_KILL_PROCESS
	errno = unix.SECCOMP_RET_ERRNO
)

// Offsets in seccomp_data. All architectures with a filter are little-endian.
const (
	dataNr   = 0
	dataArch = 4
	dataArgs = 16
)

func argLow(i int) uint32  { return uint32(dataArgs + 8*i) }
func argHigh(i int) uint32 { return uint32(dataArgs + 8*i + 4) }

// insn is an instruction with labels of the instructions to jump to, counted from
// the one that follows.
type insn = unix.SockFilter

func load(offset uint32) insn {
	return insn{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
}
func ret(v uint32) insn { return insn{Code: unix.BPF_RET | unix.BPF_K, K: v} }
func and(v uint32) insn { return insn{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: v} }
func equal(v uint32, yes, no uint8) insn {
	return insn{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: v, Jt: yes, Jf: no}
}
func anyOf(v uint32, yes, no uint8) insn {
	return insn{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: v, Jt: yes, Jf: no}
}
func atLeast(v uint32, yes, no uint8) insn {
	return insn{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: v, Jt: yes, Jf: no}
}

// refuse is the answer to what is not allowed.
func refuse(e unix.Errno) insn { return ret(errno | uint32(e)) }

// selfPID stands for the number of the process, which only that knows.
const selfPID = 0x7e110f5e

// namespaces are the flags of clone that make new namespaces.
const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWCGROUP | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET

// filter returns the program for the calls, nil on an architecture without one.
func filter(c Calls) []insn {
	if auditArch == 0 {
		return nil
	}
	f := []insn{load(dataArch), equal(auditArch, 1, 0), ret(kill), load(dataNr)}
	if x32Bit != 0 {
		f = append(f, atLeast(x32Bit, 0, 1), refuse(unix.ENOSYS))
	}
	on := func(nr uint32, body ...insn) {
		f = append(f, equal(nr, 0, uint8(len(body))))
		f = append(f, body...)
	}
	for _, nr := range refused {
		on(nr, refuse(unix.EPERM))
	}
	for _, nr := range unknown { // programs then take the older call, whose arguments can be seen
		on(nr, refuse(unix.ENOSYS))
	}
	on(unix.SYS_CLONE, load(argLow(0)), anyOf(namespaces, 0, 1), refuse(unix.EPERM), ret(allow))
	on(unix.SYS_PRLIMIT64, load(argLow(2)), equal(0, 0, 2), load(argHigh(2)), equal(0, 1, 0), refuse(unix.EPERM), ret(allow))
	on(unix.SYS_PERSONALITY, load(argLow(0)), equal(0xffffffff, 2, 0), equal(0, 1, 0), refuse(unix.EPERM), ret(allow))
	on(unix.SYS_IOCTL, load(argLow(1)), equal(unix.TIOCSTI, 2, 0), equal(unix.TIOCLINUX, 1, 0), ret(allow), refuse(unix.EPERM))
	on(unix.SYS_MMAP, mapping(c.Code)...)
	if !c.Code {
		for _, nr := range []uint32{unix.SYS_MPROTECT, unix.SYS_PKEY_MPROTECT} {
			on(nr, load(argLow(2)), anyOf(unix.PROT_EXEC, 0, 1), refuse(unix.EACCES), ret(allow))
		}
	}
	if !c.Groups {
		on(unix.SYS_SETPGID, refuse(unix.EPERM))
		on(unix.SYS_SETSID, refuse(unix.EPERM))
	}
	if !c.Signals {
		on(unix.SYS_KILL, load(argLow(0)), equal(0, 2, 0), equal(selfPID, 1, 0), refuse(unix.EPERM), ret(allow))
		on(unix.SYS_TGKILL, load(argLow(0)), equal(selfPID, 1, 0), refuse(unix.EPERM), ret(allow))
		for _, nr := range []uint32{unix.SYS_TKILL, unix.SYS_RT_SIGQUEUEINFO, unix.SYS_RT_TGSIGQUEUEINFO, unix.SYS_PIDFD_SEND_SIGNAL} {
			on(nr, refuse(unix.EPERM))
		}
	}
	if !c.Truncate {
		on(unix.SYS_TRUNCATE, refuse(unix.EPERM))
		on(unix.SYS_OPENAT, truncating(2)...)
		for _, nr := range legacyOpen {
			on(nr, truncating(1)...)
		}
	}
	f = append(f, sockets(c)...)
	return append(f, ret(allow))
}

// mapping refuses memory that is shared and no file, which no limit of the process
// counts, and, where code is false, executable memory that is no file.
func mapping(code bool) []insn {
	const shared = unix.MAP_SHARED | unix.MAP_ANONYMOUS
	body := []insn{load(argLow(3)), and(shared), equal(shared, 0, 1), refuse(unix.EPERM)}
	if !code {
		body = append(body, load(argLow(2)), anyOf(unix.PROT_EXEC, 0, 3), load(argLow(3)), anyOf(unix.MAP_ANONYMOUS, 0, 1), refuse(unix.EACCES))
	}
	return append(body, ret(allow))
}

// truncating refuses to truncate a file that is opened for reading, which needs no
// right of Landlock before its version 3. arg is the argument with the flags.
func truncating(arg int) []insn {
	return []insn{load(argLow(arg)), and(unix.O_ACCMODE | unix.O_TRUNC), equal(unix.O_TRUNC, 0, 1), refuse(unix.EACCES), ret(allow)}
}

// sockets allows the sockets of c, and connections only of those.
func sockets(c Calls) (f []insn) {
	const typeMask = 0xf
	no := refuse(unix.EACCES)
	on := func(nr uint32, body ...insn) {
		f = append(f, equal(nr, 0, uint8(len(body))))
		f = append(f, body...)
	}
	var body []insn
	if c.Netlink {
		body = append(body, load(argLow(0)), equal(unix.AF_NETLINK, 0, 5),
			load(argLow(2)), equal(unix.NETLINK_ROUTE, 1, 0), equal(unix.NETLINK_SOCK_DIAG, 0, 1), ret(allow), no)
	}
	if c.Unix {
		body = append(body, load(argLow(0)), equal(unix.AF_UNIX, 0, 1), ret(allow))
	}
	if c.TCP {
		body = append(body, load(argLow(0)), equal(unix.AF_INET, 1, 0), equal(unix.AF_INET6, 0, 7),
			load(argLow(1)), and(typeMask), equal(unix.SOCK_STREAM, 0, 4), load(argLow(2)), equal(0, 1, 0), equal(unix.IPPROTO_TCP, 0, 1), ret(allow))
	}
	on(unix.SYS_SOCKET, append(body, no)...)
	// A pair of datagram sockets could be connected to others.
	on(unix.SYS_SOCKETPAIR, load(argLow(0)), equal(unix.AF_UNIX, 0, 4),
		load(argLow(1)), and(typeMask), equal(unix.SOCK_STREAM, 2, 0), equal(unix.SOCK_SEQPACKET, 1, 0), no, ret(allow))
	if !c.TCP && !c.Unix {
		on(unix.SYS_CONNECT, no)
	}
	for _, nr := range []uint32{unix.SYS_LISTEN, unix.SYS_ACCEPT, unix.SYS_ACCEPT4} {
		on(nr, no)
	}
	if c.TCP { // a connection that Landlock does not see
		for _, call := range []struct {
			nr    uint32
			flags int // the argument
		}{{unix.SYS_SENDTO, 3}, {unix.SYS_SENDMSG, 2}, {unix.SYS_SENDMMSG, 3}} {
			on(call.nr, load(argLow(call.flags)), anyOf(unix.MSG_FASTOPEN, 0, 1), no, ret(allow))
		}
	}
	return f
}

// seccomp adds the filter for c.
func (p *Plan) seccomp(c Calls) bool {
	f := filter(c)
	if f == nil {
		return false
	}
	var b []byte
	for _, i := range f {
		b = binary.NativeEndian.AppendUint16(b, i.Code)
		b = append(b, i.Jt, i.Jf)
		b = binary.NativeEndian.AppendUint32(b, i.K)
	}
	p.step(stepFilter, b)
	return true
}
