package service

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/cmd/tnc/internal/client"
	"github.com/gotnc/gotnc/cmd/tnc/internal/report"
	"github.com/gotnc/gotnc/internal/base/text"
)

// JournalSocket is where journald takes entries in its native protocol.
const JournalSocket = "/run/systemd/journal/socket"

// MessageID is MESSAGE_ID of the entries: journalctl MESSAGE_ID=… finds them all.
const MessageID = "7c1f0a5de2a94b6f8d3c9a40b1e75d22"

// Priorities of syslog(3).
const (
	priorityError   = 3
	priorityWarning = 4
	priorityNotice  = 5
)

// field is a field of a journal entry.
type field struct{ name, value string }

// WriteJournal writes an entry for an event of a connection to the journal behind the
// socket. Where there is none it does nothing.
func WriteJournal(socket string, e client.Event) error {
	return send(socket, encode(fields(e)))
}

// fields returns what an entry holds. Text of the gateway is printable.
func fields(e client.Event) []field {
	all := []field{
		{"MESSAGE", report.EventLine(e)},
		{"MESSAGE_ID", MessageID},
		{"PRIORITY", strconv.Itoa(priority(e))},
		{"SYSLOG_IDENTIFIER", "tnc"},
		{"TNC_CONNECTION", e.Connection},
		{"TNC_EVENT", string(e.Kind)},
		{"TNC_RECOMMENDATION", string(e.Recommendation)},
		{"TNC_ASSESSMENT", e.Assessment},
		{"TNC_GATEWAY", e.Gateway},
		{"TNC_GATEWAY_ID", e.GatewayID},
		{"TNC_IDENTITY", e.Identity},
		{"TNC_ERROR", e.Error},
		{"TNC_ERROR_CODE", e.ErrorCode},
	}
	for _, r := range e.Reasons {
		all = append(all, field{"TNC_REASON", r.Text})
	}
	for _, r := range e.Remediation {
		all = append(all, field{"TNC_REMEDIATION", r.Text})
	}
	return all
}

func priority(e client.Event) int {
	switch {
	case e.Recommendation == client.Denied:
		return priorityError
	case e.Recommendation == client.Isolated, e.Error != "":
		return priorityWarning
	}
	return priorityNotice
}

// encode writes fields in the native protocol: those of one line as NAME=VALUE, others
// with their length. Empty ones are left out.
func encode(all []field) []byte {
	var b bytes.Buffer
	for _, f := range all {
		value := text.Lines(f.value)
		switch {
		case value == "":
		case !strings.Contains(value, "\n"):
			b.WriteString(f.name + "=" + value + "\n")
		default:
			b.WriteString(f.name + "\n")
			_ = binary.Write(&b, binary.LittleEndian, uint64(len(value)))
			b.WriteString(value + "\n")
		}
	}
	return b.Bytes()
}

// send sends an entry as a datagram, or where that is too large in a sealed file in
// memory.
func send(socket string, entry []byte) error {
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: socket, Net: "unixgram"})
	if errors.Is(err, os.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED) {
		return nil // no journald
	}
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err = c.Write(entry); !errors.Is(err, unix.EMSGSIZE) && !errors.Is(err, unix.ENOBUFS) {
		return err
	}
	fd, err := unix.MemfdCreate("journal-entry", unix.MFD_ALLOW_SEALING|unix.MFD_CLOEXEC)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), "journal-entry")
	defer f.Close()
	if _, err := f.Write(entry); err != nil {
		return err
	}
	if _, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE|unix.F_SEAL_SEAL); err != nil {
		return err
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	rights, sent := unix.UnixRights(int(f.Fd())), error(nil)
	err = raw.Write(func(fd uintptr) bool {
		sent = unix.Sendmsg(int(fd), nil, rights, nil, 0)
		return !errors.Is(sent, unix.EAGAIN)
	})
	return errors.Join(err, sent)
}
