package tutorial

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// shell is one bash that runs the commands of a page one after the other.
type shell struct {
	cmd   *exec.Cmd
	in    io.WriteCloser
	dir   string // scripts of the steps
	lines chan string
	n     int
}

// mark begins the line that the shell prints after each step: ASCII's record separator.
const mark = "\x1e"

// newShell starts bash by argv, which ends with bash's own arguments, in the folder home.
func newShell(home string, env, argv []string) (*shell, error) {
	dir, err := os.MkdirTemp("", "tutorial-steps")
	if err != nil {
		return nil, err
	}
	s := &shell{cmd: exec.Command(argv[0], argv[1:]...), dir: dir, lines: make(chan string)}
	s.cmd.Dir, s.cmd.Env = home, env
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	r, w, err := os.Pipe() // not StdoutPipe: what runs in the background keeps it open
	if err != nil {
		return nil, err
	}
	s.cmd.Stdout, s.cmd.Stderr = w, w
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	w.Close()
	go func() {
		defer r.Close()
		defer close(s.lines)
		for b := bufio.NewReader(r); ; {
			l, err := b.ReadString('\n')
			if err != nil {
				return
			}
			s.lines <- l
		}
	}()
	return s, nil
}

// run runs one command and returns what it printed and its exit code.
func (s *shell) run(text string, patience time.Duration) (out string, code int, err error) {
	s.n++
	file := filepath.Join(s.dir, strconv.Itoa(s.n))
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return "", 0, err
	}
	// $? of the step before is there for the next one.
	if _, err := fmt.Fprintf(s.in, ". %s </dev/null; _s=$?; printf '\\n%s%%d\\n' $_s; (exit $_s)\n", file, mark); err != nil {
		return "", 0, err
	}
	var b strings.Builder
	for timer := time.NewTimer(patience); ; {
		select {
		case l, ok := <-s.lines:
			if !ok {
				return b.String(), 0, fmt.Errorf("the shell ended")
			}
			if status, ok := strings.CutPrefix(l, mark); ok {
				code, err := strconv.Atoi(strings.TrimSpace(status))
				return strings.TrimSuffix(b.String(), "\n"), code, err
			}
			b.WriteString(l)
		case <-timer.C:
			return b.String(), 0, fmt.Errorf("no end after %v", patience)
		}
	}
}

// close ends the shell and all that it left running.
func (s *shell) close() {
	s.in.Close()
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL)
	go func() {
		for range s.lines {
		}
	}()
	_ = s.cmd.Wait()
	os.RemoveAll(s.dir)
}
