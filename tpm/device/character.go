package device

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/command"
)

// character is a character device of the kernel's TPM driver. It is opened
// non-blocking: a write then only queues the command (Linux 4.20 and later) and
// poll says when there is a reply. The Go runtime's poller must not have the
// descriptor: it reads before it waits, and the driver answers that read with an
// end of file.
type character struct {
	fd      int
	path    string
	timeout time.Duration
	dead    error              // why the transport is unusable; nil while it is good
	close   func(fd int) error // close(2); tests delay it
}

// openCharacter opens the device. /dev/tpm0 serves one program at a time: a device
// that is busy is tried again for two seconds.
func openCharacter(ctx context.Context, path string, timeout time.Duration) (tpm.Transport, error) {
	for try := 1; ; try++ {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err == nil {
			var st unix.Stat_t
			if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFCHR {
				unix.Close(fd)
				return nil, fmt.Errorf("%w: %s is not a character device", ErrNotDevice, path)
			}
			return &character{fd: fd, path: path, timeout: timeout, close: unix.Close}, nil
		}
		pe := &fs.PathError{Op: "open", Path: path, Err: err}
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EBUSY) && try < busyTries:
			select {
			case <-ctx.Done():
				return nil, fmt.Errorf("%w: %w: %w", tpm.ErrInUse, pe, context.Cause(ctx))
			case <-time.After(busyWait):
			}
			continue
		case errors.Is(err, unix.EBUSY):
			return nil, fmt.Errorf("%w: %w", tpm.ErrInUse, pe)
		case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
			return nil, fmt.Errorf("%w: %w", ErrPermission, pe)
		case errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENOENT):
			return nil, fmt.Errorf("%w: %w", tpm.ErrNoTPM, pe)
		}
		return nil, pe
	}
}

// Exchange writes one command and reads its reply.
func (d *character) Exchange(ctx context.Context, cmd []byte) ([]byte, error) {
	if d.dead != nil {
		return nil, fmt.Errorf("%w: after: %w", tpm.ErrGone, d.dead)
	}
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	type result struct {
		reply []byte
		err   error
	}
	// A driver older than Linux 4.20 blocks the write until the TPM is done. So the
	// system calls run in a goroutine, and one that hangs keeps the descriptor.
	done := make(chan result, 1)
	quit := make(chan struct{})
	deadline := time.Now().Add(d.timeout)
	go func() {
		reply, err := transceive(d.fd, cmd, deadline, quit)
		done <- result{reply, err}
	}()
	timer := time.NewTimer(d.timeout + pollSlice)
	defer timer.Stop()
	var err error
	select {
	case r := <-done:
		if r.err == nil {
			return r.reply, nil
		}
		// Nobody waits for close: the driver's release returns when the TPM is done
		// with the command, which takes minutes where it hangs.
		go d.close(d.fd)
		d.dead = fmt.Errorf("%s: %w", d.path, r.err)
		return nil, d.dead
	case <-ctx.Done():
		err = fmt.Errorf("%w: %w", tpm.ErrTimeout, context.Cause(ctx))
	case <-timer.C:
		err = fmt.Errorf("%w: %v passed", tpm.ErrTimeout, d.timeout)
	}
	d.dead = fmt.Errorf("%s: %w", d.path, err)
	close(quit)
	go func() { // the descriptor is closed when the system call is done with it
		<-done
		d.close(d.fd)
	}()
	return nil, d.dead
}

// pollSlice is how soon a wait for the reply notices that the caller gave up.
const pollSlice = 100 * time.Millisecond

// transceive writes the command in one call, as the driver requires, waits for the
// reply and reads it.
func transceive(fd int, cmd []byte, deadline time.Time, quit <-chan struct{}) ([]byte, error) {
	for {
		n, err := unix.Write(fd, cmd)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%w: write: %w", tpm.ErrGone, err)
		}
		if n != len(cmd) {
			return nil, fmt.Errorf("%w: it took %d of %d octets", tpm.ErrGone, n, len(cmd))
		}
		break
	}
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return nil, tpm.ErrTimeout
		}
		select {
		case <-quit:
			return nil, tpm.ErrTimeout
		default:
		}
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(max(1, min(left, pollSlice).Milliseconds())))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return nil, fmt.Errorf("%w: poll: %w", tpm.ErrGone, err)
		}
		if n <= 0 {
			continue
		}
		if fds[0].Revents&(unix.POLLERR|unix.POLLNVAL) != 0 && fds[0].Revents&unix.POLLIN == 0 {
			return nil, fmt.Errorf("%w: the device reports an error", tpm.ErrGone)
		}
		buf := make([]byte, command.MaxReply)
		m, err := unix.Read(fd, buf)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return nil, fmt.Errorf("%w: read: %w", tpm.ErrGone, err)
		case m == 0:
			return nil, fmt.Errorf("%w: it gave no reply", tpm.ErrGone)
		}
		return buf[:m], nil
	}
}

// Close closes the device.
func (d *character) Close() error {
	if d.dead != nil {
		return nil
	}
	d.dead = errors.New("closed")
	return unix.Close(d.fd)
}
