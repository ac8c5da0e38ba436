package device

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/command"
)

func TestParseTCTI(t *testing.T) {
	for in, want := range map[string]Config{
		"":                               {},
		"device":                         {Name: "device"},
		"device:/dev/tpm1":               {Name: "device", Opts: "/dev/tpm1"},
		"/dev/tpm1":                      {Name: "device", Opts: "/dev/tpm1"},
		" swtpm:host=h,port=1 ":          {Name: "swtpm", Opts: "host=h,port=1"},
		"mssim:host=localhost,port=2321": {Name: "mssim", Opts: "host=localhost,port=2321"},
	} {
		got := ParseTCTI(in)
		assert.Equal(t, want, got, in)
		assert.Equal(t, got, ParseTCTI(map[bool]string{true: "", false: got.String()}[got.String() == "default"]), "its own words")
	}
}

func TestParseAddress(t *testing.T) {
	for in, want := range map[string]address{
		"":                      {host: "localhost", port: 2321},
		"port=2421":             {host: "localhost", port: 2421},
		"host=10.0.0.1,port=17": {host: "10.0.0.1", port: 17},
		" host = h , port = 5":  {host: "h", port: 5},
		"tpm.example":           {host: "tpm.example", port: 2321},
		"tpm.example:99":        {host: "tpm.example", port: 99},
		"[::1]:99":              {host: "::1", port: 99},
		"path=/run/x":           {path: "/run/x", host: "localhost", port: 2321},
		"/run/x":                {path: "/run/x", host: "localhost", port: 2321},
	} {
		got, err := parseAddress(in)
		require.NoError(t, err, in)
		assert.Equal(t, want, got, in)
	}
	for _, in := range []string{"port=0", "port=65536", "port=x", "h:x", "pot=1"} {
		_, err := parseAddress(in)
		assert.ErrorContains(t, err, "plugins.tpm.tcti.opts", in)
	}
}

func TestBadConfig(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	for _, c := range []struct {
		s     Config
		says  string
		is    error
		noTPM bool
	}{
		{Config{Name: "tabrmd"}, "tabrmd is not supported", ErrBroker, false},
		{Config{Name: "usb"}, "must be device, swtpm or mssim", nil, false},
		{Config{Name: "mssim", Opts: "path=/x"}, "no option path", nil, false},
		{Config{Name: "swtpm", Opts: "port=none"}, "bad port", nil, false},
		{Config{Name: "swtpm", Opts: "path=" + filepath.Join(dir, "none")}, "no such file", ErrNoEmulator, true},
		{Config{Name: "device", Opts: filepath.Join(dir, "none")}, "no such file", nil, true},
		{Config{Name: "device", Opts: file}, "not a character device", ErrNotDevice, true},
	} {
		_, err := Open(t.Context(), c.s)
		assert.ErrorContains(t, err, c.says, "%v", c.s)
		assert.Equal(t, c.noTPM, errors.Is(err, tpm.ErrNoTPM), "%v", err)
		if c.is != nil {
			assert.ErrorIs(t, err, c.is)
		}
	}
}

func TestFound(t *testing.T) {
	old := devices
	defer func() { devices = old }()
	dir := t.TempDir()
	devices = []string{filepath.Join(dir, "tpmrm0"), filepath.Join(dir, "tpm0")}
	_, err := find()
	require.ErrorIs(t, err, tpm.ErrNoTPM)
	require.ErrorIs(t, err, ErrNoDevice)
	require.NoError(t, os.WriteFile(devices[1], nil, 0o600))
	got, err := find()
	require.NoError(t, err)
	require.Equal(t, devices[1], got)
	require.NoError(t, os.WriteFile(devices[0], nil, 0o600))
	got, err = find()
	require.NoError(t, err)
	require.Equal(t, devices[0], got, "the resource manager first")
}

// answer is what the TPMs of these tests say to every command.
var answer = []byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0, 0, 0xca, 0xfe}

// testCommand is one that carries octets, so that the frame is seen to hold it whole.
func testCommand(n int) []byte {
	b := append([]byte{0x80, 0x01}, binary.BigEndian.AppendUint32(nil, uint32(10+n))...)
	return append(append(b, 0, 0, 1, 0x7a), make([]byte, n)...)
}

// readCommand reads one command by its header.
func readCommand(r io.Reader) ([]byte, error) { return plainFrame{}.read(r) }

// pty is a character device whose other end f serves.
func pty(t *testing.T, f func(master *os.File)) (path string, master *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("SKIP needs /dev/ptmx: %v", err)
	}
	fd := int(master.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	path = fmt.Sprintf("/dev/pts/%d", n)
	// A slave that stays open keeps the settings: raw, no echo.
	slave, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	require.NoError(t, err)
	raw, err := unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS)
	require.NoError(t, err)
	raw.Iflag, raw.Oflag, raw.Lflag = 0, 0, 0
	raw.Cflag |= unix.CS8
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	require.NoError(t, unix.IoctlSetTermios(int(slave.Fd()), unix.TCSETS, raw))
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(master)
	}()
	t.Cleanup(func() {
		master.Close()
		slave.Close()
		<-done
	})
	return path, master
}

func serve(master *os.File) {
	for {
		if _, err := readCommand(master); err != nil {
			return
		}
		if _, err := master.Write(answer); err != nil {
			return
		}
	}
}

func TestCharacterDevice(t *testing.T) {
	path, _ := pty(t, serve)
	x, err := OpenTransport(t.Context(), Config{Opts: path})
	require.NoError(t, err)
	for _, n := range []int{0, 12, 1000} {
		reply, err := x.Exchange(t.Context(), testCommand(n))
		require.NoError(t, err)
		assert.Equal(t, answer, reply)
	}
	require.NoError(t, x.Close())
	require.NoError(t, x.Close(), "closing again does nothing")
	_, err = x.Exchange(t.Context(), testCommand(0))
	assert.ErrorIs(t, err, tpm.ErrGone)
}

// A device that does not answer costs its time limit, one that vanishes none;
// it is of no more use then.
func TestCharacterDeviceHangs(t *testing.T) {
	silent := make(chan struct{})
	path, _ := pty(t, func(master *os.File) {
		_, _ = readCommand(master)
		<-silent
	})
	defer close(silent)
	x, err := OpenTransport(t.Context(), Config{Opts: path, Timeout: 200 * time.Millisecond})
	require.NoError(t, err)
	_, err = x.Exchange(t.Context(), testCommand(0))
	assert.ErrorIs(t, err, tpm.ErrTimeout)
	_, err = x.Exchange(t.Context(), testCommand(0))
	assert.ErrorIs(t, err, tpm.ErrGone)

	x, err = OpenTransport(t.Context(), Config{Opts: path, Timeout: time.Hour})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = x.Exchange(ctx, testCommand(0))
	assert.ErrorIs(t, err, tpm.ErrTimeout)
	assert.ErrorIs(t, err, context.DeadlineExceeded)
}

// The kernel's driver holds close(2) until the TPM is done with the command, minutes
// for one that hangs: nobody waits for that.
func TestCloseOfHangingDevice(t *testing.T) {
	silent, closed, hold := make(chan struct{}), make(chan struct{}), make(chan struct{})
	path, _ := pty(t, func(master *os.File) {
		_, _ = readCommand(master)
		<-silent
	})
	defer close(silent)
	x, err := OpenTransport(t.Context(), Config{Opts: path, Timeout: 50 * time.Millisecond})
	require.NoError(t, err)
	x.(*character).close = func(fd int) error {
		<-hold
		defer close(closed)
		return unix.Close(fd)
	}
	returned := make(chan error, 1)
	go func() {
		_, err := x.Exchange(context.Background(), testCommand(0))
		returned <- err
	}()
	select {
	case err = <-returned:
		assert.ErrorIs(t, err, tpm.ErrTimeout)
	case <-time.After(5 * time.Second):
		t.Error("Exchange waits for close")
	}
	close(hold)
	<-closed
}

func TestCharacterDeviceGoes(t *testing.T) {
	path, _ := pty(t, func(master *os.File) {
		_, _ = readCommand(master)
		master.Close()
	})
	x, err := OpenTransport(t.Context(), Config{Opts: path})
	require.NoError(t, err)
	_, err = x.Exchange(t.Context(), testCommand(0))
	assert.ErrorIs(t, err, tpm.ErrGone)
}

// listener serves every connection with f.
func listener(t *testing.T, l net.Listener, f func(net.Conn)) {
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c)
			}()
		}
	}()
}

func unixSocket(t *testing.T, f func(net.Conn)) Config {
	t.Helper()
	dir, err := os.MkdirTemp("", "tpm") // short: a Unix socket's path fits 107 octets
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	listener(t, l, f)
	return Config{Name: "swtpm", Opts: "path=" + path, Timeout: 10 * time.Second}
}

func TestStreamFaults(t *testing.T) {
	quiet := make(chan struct{})
	defer close(quiet)
	for name, c := range map[string]struct {
		f    func(net.Conn)
		want error
	}{
		"gone":            {func(net.Conn) {}, tpm.ErrGone},
		"gone in between": {func(c net.Conn) { _, _ = readCommand(c); _, _ = c.Write(answer[:5]) }, tpm.ErrGone},
		"short length":    {func(c net.Conn) { _, _ = readCommand(c); _, _ = c.Write([]byte{0x80, 1, 0, 0, 0, 9, 0, 0, 0, 0}) }, tpm.ErrReply},
		"4 GiB": {func(c net.Conn) {
			_, _ = readCommand(c)
			_, _ = c.Write([]byte{0x80, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0})
		}, tpm.ErrReply},
		"hangs": {func(c net.Conn) { _, _ = readCommand(c); <-quiet }, tpm.ErrTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			s := unixSocket(t, c.f)
			if c.want == tpm.ErrTimeout {
				s.Timeout = 100 * time.Millisecond
			}
			x, err := OpenTransport(t.Context(), s)
			require.NoError(t, err)
			_, err = x.Exchange(t.Context(), testCommand(0))
			require.ErrorIs(t, err, c.want)
			_, err = x.Exchange(t.Context(), testCommand(0))
			require.ErrorIs(t, err, tpm.ErrGone)
			require.NoError(t, x.Close())
		})
	}
}

// A context that has ended already sends nothing: the transport stays good.
func TestEndedContext(t *testing.T) {
	x, err := OpenTransport(t.Context(), unixSocket(t, func(c net.Conn) {
		for {
			if _, err := readCommand(c); err != nil {
				return
			}
			_, _ = c.Write(answer)
		}
	}))
	require.NoError(t, err)
	defer x.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = x.Exchange(ctx, testCommand(0))
	require.ErrorIs(t, err, context.Canceled)
	reply, err := x.Exchange(t.Context(), testCommand(0))
	require.NoError(t, err)
	require.Equal(t, answer, reply)
}

// simulator speaks Microsoft's protocol on two ports in a row; its commands f
// answers.
func simulator(t *testing.T, f func([]byte) []byte) Config {
	t.Helper()
	for range 20 {
		cmd, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		port := cmd.Addr().(*net.TCPAddr).Port
		platform, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		if errors.Is(err, syscall.EADDRINUSE) {
			cmd.Close()
			continue
		}
		require.NoError(t, err)
		on := make(chan struct{})
		listener(t, platform, func(c net.Conn) {
			var got []uint32
			for {
				v, err := readU32(c)
				if err != nil || v == simSessionEnd {
					break
				}
				got = append(got, v)
				_, _ = c.Write(make([]byte, 4))
			}
			if len(got) == 2 && got[0] == simPowerOn && got[1] == simNVOn {
				close(on)
			}
		})
		listener(t, cmd, func(c net.Conn) {
			<-on
			for {
				v, err := readU32(c)
				if err != nil || v != simSendCommand {
					return
				}
				var locality [1]byte
				if _, err := io.ReadFull(c, locality[:]); err != nil || locality[0] != 0 {
					return
				}
				n, err := readU32(c)
				if err != nil {
					return
				}
				b := make([]byte, n)
				if _, err := io.ReadFull(c, b); err != nil {
					return
				}
				_, _ = c.Write(f(b))
			}
		})
		return Config{Name: "mssim", Opts: fmt.Sprintf("host=127.0.0.1,port=%d", port), Timeout: 10 * time.Second}
	}
	t.Fatal("no two ports in a row")
	return Config{}
}

func simReply(reply []byte, code uint32) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(reply))), reply...)
	return binary.BigEndian.AppendUint32(b, code)
}

func TestSimulator(t *testing.T) {
	var got []byte
	x, err := OpenTransport(t.Context(), simulator(t, func(cmd []byte) []byte { got = cmd; return simReply(answer, 0) }))
	require.NoError(t, err)
	for range 2 {
		reply, err := x.Exchange(t.Context(), testCommand(30))
		require.NoError(t, err)
		require.Equal(t, answer, reply)
		require.Equal(t, testCommand(30), got)
	}
	require.NoError(t, x.Close())
	for _, bad := range [][]byte{simReply(answer, 1), simReply(nil, 0), {0xff, 0xff, 0xff, 0xff}} {
		x, err := OpenTransport(t.Context(), simulator(t, func([]byte) []byte { return bad }))
		require.NoError(t, err)
		_, err = x.Exchange(t.Context(), testCommand(0))
		require.ErrorIs(t, err, tpm.ErrReply)
		require.NoError(t, x.Close())
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(answer)
	f.Add(simReply(answer, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, fr := range []frame{plainFrame{}, simFrame{}} {
			reply, err := fr.read(&limited{b: b})
			if err == nil && (len(reply) < command.HeaderLen || len(reply) > command.MaxReply) {
				t.Fatalf("a reply of %d octets", len(reply))
			}
		}
	})
}

type limited struct{ b []byte }

func (l *limited) Read(p []byte) (int, error) {
	if len(l.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, l.b)
	l.b = l.b[n:]
	return n, nil
}
