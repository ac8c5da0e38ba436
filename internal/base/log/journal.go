package log

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"
)

// Line is r as a line of a log: "[IKE] text".
func (r Record) Line() string { return fmt.Sprintf("[%s] %s", r.Group, r) }

// JournalLine is Line with the priority in front that journald takes off
// (sd-daemon(3)): 3 error, 4 warning, 6 information, 7 debugging.
func (r Record) JournalLine() string {
	priority := 7
	switch {
	case r.Level >= slog.LevelError:
		priority = 3
	case r.Level >= slog.LevelWarn:
		priority = 4
	case r.Level >= slog.LevelInfo:
		priority = 6
	}
	return fmt.Sprintf("<%d>%s", priority, r.Line())
}

// LineFor is the form of lines for w: for journald where w is its stream
// (JOURNAL_STREAM, systemd.exec(5)).
func LineFor(w io.Writer) func(Record) string {
	if f, ok := w.(*os.File); ok && f != nil && isJournal(f, os.Getenv("JOURNAL_STREAM")) {
		return Record.JournalLine
	}
	return Record.Line
}

// isJournal reports whether f is the stream with that device and inode.
func isJournal(f *os.File, stream string) bool {
	var st unix.Stat_t
	return stream != "" && unix.Fstat(int(f.Fd()), &st) == nil && stream == fmt.Sprintf("%d:%d", st.Dev, st.Ino)
}
