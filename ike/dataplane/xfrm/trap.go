package xfrm

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/ike"
	"github.com/gotnc/gotnc/ike/esp"
	"github.com/gotnc/gotnc/ike/message"
)

// trap installs the policies of a CHILD_SA without its states: the kernel asks
// for them when packets fit. The policies stay until close, or until the outer
// addresses change.
func (d *databases) trap(c entry) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return esp.ErrClosed
	}
	for _, l := range c.localTS {
		for _, r := range c.remoteTS {
			if err := d.pair(c, l, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// acquires is a socket on which the kernel asks for states.
type acquires struct {
	fd   int
	end  int // written to at the end
	done chan struct{}
	once sync.Once
}

func listenAcquires(reqID uint32, f func(ike.Trigger)) (*acquires, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_XFRM)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: 1 << (nl.XFRMNLGRP_ACQUIRE - 1)}); err != nil {
		unix.Close(fd)
		return nil, err
	}
	end, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	a := &acquires{fd: fd, end: end, done: make(chan struct{})}
	go a.read(reqID, f)
	return a, nil
}

func (a *acquires) read(reqID uint32, f func(ike.Trigger)) {
	defer close(a.done)
	buf := make([]byte, 65536)
	for {
		fds := []unix.PollFd{{Fd: int32(a.fd), Events: unix.POLLIN}, {Fd: int32(a.end), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		if fds[1].Revents != 0 {
			return
		}
		if fds[0].Revents == 0 {
			continue
		}
		n, from, err := unix.Recvfrom(a.fd, buf, 0)
		if err != nil {
			continue // ENOBUFS: some were lost, others come
		}
		if k, ok := from.(*unix.SockaddrNetlink); !ok || k.Pid != 0 {
			continue // not from the kernel
		}
		if id, ok := acquired(buf[:n]); ok && id&childMask == reqID {
			f(acquiredPacket(buf[:n]))
		}
	}
}

func (a *acquires) close() {
	a.once.Do(func() {
		_, _ = unix.Write(a.end, []byte{1, 0, 0, 0, 0, 0, 0, 0})
		<-a.done
		unix.Close(a.fd)
		unix.Close(a.end)
	})
}

// Sizes of struct xfrm_user_acquire, and the offset of the ReqID in struct
// xfrm_user_tmpl (linux/xfrm.h).
const (
	sizeofAcquire   = nl.SizeofXfrmId + nl.SizeofXfrmAddress + nl.SizeofXfrmSelector + nl.SizeofXfrmUserpolicyInfo + 16
	templateReqID   = nl.SizeofXfrmId + 4 + nl.SizeofXfrmAddress
	sizeofAttribute = unix.SizeofRtAttr
)

// Offsets in struct xfrm_user_acquire: of its selector, and in that.
const (
	acquireSelector = nl.SizeofXfrmId + nl.SizeofXfrmAddress
	selectorDport   = 2 * nl.SizeofXfrmAddress
	selectorSport   = selectorDport + 4
	selectorFamily  = selectorSport + 4
	selectorProto   = selectorFamily + 4
)

// acquiredPacket returns the packet that an XFRM_MSG_ACQUIRE is for, which acquired
// has accepted.
func acquiredPacket(b []byte) (t ike.Trigger) {
	sel := b[unix.SizeofNlMsghdr+acquireSelector:]
	size := net4
	switch binary.NativeEndian.Uint16(sel[selectorFamily:]) {
	case unix.AF_INET:
	case unix.AF_INET6:
		size = nl.SizeofXfrmAddress
	default:
		return t
	}
	end := func(address []byte) message.TrafficSelector {
		a, _ := netip.AddrFromSlice(address[:size])
		return message.SelectorFromAddr(a)
	}
	t.Remote, t.Local = end(sel), end(sel[nl.SizeofXfrmAddress:])
	protocol := sel[selectorProto]
	t.Remote.Protocol, t.Local.Protocol = protocol, protocol
	dport, sport := binary.BigEndian.Uint16(sel[selectorDport:]), binary.BigEndian.Uint16(sel[selectorSport:])
	switch protocol {
	case unix.IPPROTO_ICMP, unix.IPPROTO_ICMPV6: // type and code
		sport = sport<<8 | dport&0xff
		dport = sport
	case unix.IPPROTO_TCP, unix.IPPROTO_UDP, unix.IPPROTO_SCTP, unix.IPPROTO_DCCP, unix.IPPROTO_UDPLITE:
	default:
		return t
	}
	t.Remote.StartPort, t.Remote.EndPort = dport, dport
	t.Local.StartPort, t.Local.EndPort = sport, sport
	return t
}

// net4 is the size of an IPv4 address in octets.
const net4 = 4

// acquired returns the ReqID of the policy that an XFRM_MSG_ACQUIRE is for.
func acquired(b []byte) (reqID uint32, ok bool) {
	if len(b) < unix.SizeofNlMsghdr || binary.NativeEndian.Uint16(b[4:]) != nl.XFRM_MSG_ACQUIRE {
		return 0, false
	}
	n := int(binary.NativeEndian.Uint32(b))
	if n > len(b) || n < unix.SizeofNlMsghdr+sizeofAcquire {
		return 0, false
	}
	b = b[unix.SizeofNlMsghdr+sizeofAcquire : n]
	for len(b) >= sizeofAttribute {
		l, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if l < sizeofAttribute || l > len(b) {
			return 0, false
		}
		if kind == nl.XFRMA_TMPL && l >= sizeofAttribute+templateReqID+4 {
			return binary.NativeEndian.Uint32(b[sizeofAttribute+templateReqID:]), true
		}
		b = b[min(len(b), (l+3)&^3):]
	}
	return 0, false
}
