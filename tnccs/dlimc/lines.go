package dlimc

import (
	"bufio"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/text"
)

const (
	maxLine = 4096 // octets of a line of an IMC; a longer one is split
	// markWait limits the wait for lines that precede a call or its return. It is
	// waited for once where an IMC has closed its standard error.
	markWait = 250 * time.Millisecond
)

// lines copies the output of an IMC to the log. A NUL and eight hexadecimal digits
// are a mark of the child, not text.
type lines struct {
	f      *os.File
	logger *slog.Logger
	done   chan struct{}

	mu   sync.Mutex
	seen uint32
	wake chan struct{} // closed and replaced when seen grows
	deaf bool          // marks do not arrive
}

func newLines(f *os.File, l *slog.Logger) *lines {
	return &lines{f: f, logger: l, done: make(chan struct{}), wake: make(chan struct{})}
}

func (l *lines) run() {
	defer close(l.done)
	r := bufio.NewReaderSize(l.f, maxLine)
	for {
		b, err := r.ReadSlice('\n') // a full buffer counts as a line
		if s := strings.TrimRight(string(b), "\r\n"); s != "" {
			l.line(s)
		}
		if err != nil && err != bufio.ErrBufferFull {
			return
		}
	}
}

func (l *lines) line(s string) {
	text, mark, ok := strings.Cut(s, "\x00")
	if text != "" {
		l.print(text)
	}
	if !ok {
		return
	}
	n, err := strconv.ParseUint(mark, 16, 32)
	if err != nil {
		if mark != "" {
			l.print(mark)
		}
		return
	}
	l.mu.Lock()
	l.seen = max(l.seen, uint32(n))
	close(l.wake)
	l.wake = make(chan struct{})
	l.mu.Unlock()
}

// groups are the tags that lines of an IMC may begin with. strongSwan's libimcv
// puts HSR before the lines that it prints.
var groups = map[string]string{
	"HSR": log.IMC,

	log.CFG: log.CFG, log.DMN: log.DMN, log.IMC: log.IMC, log.IMV: log.IMV, log.LIB: log.LIB,
	log.PTS: log.PTS, log.TLS: log.TLS, log.TNC: log.TNC,
}

// print logs a line under the group that it begins with: "[PTS] text".
func (l *lines) print(s string) {
	group := log.IMC
	if len(s) >= 6 && s[0] == '[' && s[4] == ']' && s[5] == ' ' {
		if g, ok := groups[s[1:4]]; ok {
			group, s = g, s[6:]
		}
	}
	log.Group(l.logger, group).Info(text.Printable(s))
}

// await waits until mark n has arrived, for a short time at most.
func (l *lines) await(n uint32) {
	var expired <-chan time.Time
	for {
		l.mu.Lock()
		seen, wake, deaf := l.seen, l.wake, l.deaf
		l.mu.Unlock()
		if seen >= n || deaf {
			return
		}
		if expired == nil {
			t := time.NewTimer(markWait)
			defer t.Stop()
			expired = t.C
		}
		select {
		case <-wake:
		case <-l.done:
			return
		case <-expired:
			l.mu.Lock()
			l.deaf = true
			l.mu.Unlock()
			return
		}
	}
}

// finish waits for the last lines, and closes the stream even where a process
// that the IMC left behind holds the other end.
func (l *lines) finish(grace time.Duration) {
	select {
	case <-l.done:
	case <-time.After(grace):
	}
	l.f.Close()
	<-l.done
}
