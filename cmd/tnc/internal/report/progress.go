package report

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/gotnc/gotnc/internal/base/text"

	"golang.org/x/term"
)

// Progress shows on a terminal what is going on, from the first second of
// waiting on, in one line that disappears at the end. On anything else it is
// silent.
type Progress struct {
	w     io.Writer
	mu    sync.Mutex
	text  string
	start time.Time
	stop  chan struct{}
	done  chan struct{}
}

const progressDelay = time.Second

// NewProgress starts showing; on a w that is nil or no terminal it returns nil,
// which shows nothing.
func NewProgress(w io.Writer) *Progress {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	p := &Progress{w: w, start: time.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	go p.run()
	return p
}

// Note sets the text; a nil progress takes it too.
func (p *Progress) Note(format string, args ...any) {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.text = text.Printable(fmt.Sprintf(format, args...))
	p.mu.Unlock()
}

// End removes the line. It may be called more than once, and on nil.
func (p *Progress) End() {
	if p == nil {
		return
	}
	p.mu.Lock()
	select {
	case <-p.stop:
	default:
		close(p.stop)
	}
	p.mu.Unlock()
	<-p.done
}

func (p *Progress) run() {
	defer close(p.done)
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	shown := false
	for {
		select {
		case <-p.stop:
			if shown {
				fmt.Fprint(p.w, "\r\x1b[K")
			}
			return
		case now := <-tick.C:
			if now.Sub(p.start) < progressDelay {
				continue
			}
			p.mu.Lock()
			text := p.text
			p.mu.Unlock()
			if r := []rune(text); len(r) > 70 {
				text = string(r[:69]) + "…"
			}
			fmt.Fprintf(p.w, "\r\x1b[K%4.0fs %s", now.Sub(p.start).Seconds(), text)
			shown = true
		}
	}
}
