package dlimc

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/gotnc/gotnc/internal/base/confine"
	"github.com/gotnc/gotnc/internal/base/imclink"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tnccs"
)

// ChildArg is the first argument of a child process.
const ChildArg = "imc-host"

const (
	childEnv = "GOTNC_IMC_HOST" // set to protocol for a child
	protocol = "3"

	childName = "tnc-imc-host" // for ps
)

// Exit codes of a child.
const (
	exitParentGone = 0
	exitUsage      = 2
)

// childMainCalled is set by ChildMain: this program may be started as a child.
var childMainCalled atomic.Bool

// ChildMain runs the child that holds an IMC, and does not return, in a process
// that was started as one; in all others it returns at once. Call it at the
// start of main: Load refuses to start a program as a child that has not called
// it, which would run its whole main again.
func ChildMain() {
	childMainCalled.Store(true)
	if len(os.Args) > 1 && os.Args[1] == ChildArg {
		os.Exit(runChild())
	}
}

// runChild serves the parent over descriptor 3 until that is closed, and returns
// the exit code.
func runChild() int {
	if os.Getenv(childEnv) != protocol {
		fmt.Fprintf(os.Stderr, "%s: this command holds an IMC for the program that started it; it is not meant to be called\n", ChildArg)
		return exitUsage
	}
	// A program that the IMC starts is no child of this kind.
	os.Unsetenv(childEnv)
	conn, err := imclink.Inherited()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", ChildArg, err)
		return exitUsage
	}
	_ = os.WriteFile("/proc/self/comm", []byte(childName), 0) // it is only a name
	prepareChild()
	c := &hosted{}
	_, c.unconfined = confine.Was()
	c.link = imclink.New(conn, true, c.serve)
	err = c.link.Run()
	c.link.Fail(err)
	// The parent has ended or closed the socket. The IMC ends now, and with it the
	// processes that it started: a parent that was killed cannot end those.
	imclink.EndGroup()
	return exitParentGone
}

// hosted is the IMC in the child, and its TNCC there, which asks the parent.
type hosted struct {
	link  *imclink.Link
	marks atomic.Uint32

	unconfined error // what of Config.Sandbox could not be done

	mu  sync.Mutex
	mod tnccs.IMC // nil before opLoad
}

// imc returns the IMC, nil before opLoad.
func (c *hosted) imc() tnccs.IMC {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mod
}

// serve runs one call of the parent.
func (c *hosted) serve(o op, payload []byte) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "panic in %s: %v\n%s", opName(o), p, debug.Stack())
			a = answer{Result: uint32(tnccs.ResultFatal)}
		}
		c.mark(&a)
	}()
	r := wire.NewReader("question", payload)
	if o == opLoad {
		return c.load(r)
	}
	imc := c.imc()
	if imc == nil {
		return answer{Result: uint32(tnccs.ResultNotInitialized)}
	}
	var err error
	switch o {
	case opInitialize:
		return c.initialize(imc, r.U32())
	case opNotify:
		err = imc.NotifyConnectionChange(r.U32(), tnccs.ConnectionState(r.U32()))
	case opBegin:
		err = imc.BeginHandshake(r.U32())
	case opReceive:
		conn := r.U32()
		err = imc.ReceiveMessage(conn, tnccs.Message{
			Exclusive: r.U8() != 0, Vendor: r.U32(), Subtype: r.U32(), SourceIMV: r.U32(), DestIMC: r.U32(), Data: r.Rest(),
		})
	case opEnding:
		err = imc.BatchEnding(r.U32())
	case opTerminate:
		err = imc.Terminate()
	default:
		return answer{Result: uint32(tnccs.ResultInvalidParameter)}
	}
	var res tnccs.Result
	if errors.As(err, &res) {
		return answer{Result: uint32(res)}
	}
	if err != nil {
		return answer{Result: uint32(tnccs.ResultOther)}
	}
	return answer{}
}

// load opens the library of opLoad.
func (c *hosted) load(r *wire.Reader) answer {
	if c.unconfined != nil {
		return loadAnswer(loadError(Entry{}, ErrSandbox, c.unconfined.Error()))
	}
	m, err := openModule(Entry{Path: string(r.Rest())}, true, log.NewWriter(os.Stderr, slog.LevelWarn))
	if err != nil {
		return loadAnswer(err)
	}
	c.mu.Lock()
	c.mod = m
	c.mu.Unlock()
	return answer{}
}

// initialize answers with what the library offers: u32 version, u8 long messages.
func (c *hosted) initialize(imc tnccs.IMC, id uint32) answer {
	if err := imc.Initialize(id, c); err != nil {
		return loadAnswer(err)
	}
	var o tnccs.Interface
	if l, ok := imc.(interface{ Interface() tnccs.Interface }); ok {
		o = l.Interface()
	}
	a := answer{Data: append(u32s(o.Version), 0)}
	if o.Long {
		a.Data[4] = 1
	}
	return a
}

// causes are the causes of a LoadError by their numbers on the link.
var causes = []error{ErrNotFound, ErrNotLibrary, ErrNotLoadable, ErrNoSymbol, ErrRefused, ErrSandbox}

// loadAnswer carries an error of loading: u8 cause, detail.
func loadAnswer(err error) answer {
	if err == nil {
		return answer{}
	}
	a := answer{Result: uint32(tnccs.ResultFatal), Data: []byte{2}}
	var res tnccs.Result
	if errors.As(err, &res) {
		a.Result = uint32(res)
	}
	detail := err.Error()
	var le *LoadError
	if errors.As(err, &le) {
		detail = le.Detail
		for i, c := range causes {
			if errors.Is(le.Err, c) {
				a.Data[0] = byte(i)
			}
		}
	}
	a.Data = append(a.Data, detail...)
	return a
}

// mark writes a mark to the log stream and puts its number before the octets of
// an answer or question. The parent waits for the mark, so that lines of the IMC
// are logged before their consequences.
func (c *hosted) mark(a *answer) { a.Data = append(c.markOctets(), a.Data...) }

// markOctets writes a mark and returns its number.
func (c *hosted) markOctets() []byte {
	n := c.marks.Add(1)
	fmt.Fprintf(os.Stderr, "\x00%08x\n", n)
	return wire.AppendU32(nil, n)
}

// ask asks the parent.
func (c *hosted) ask(o op, payload []byte) answer {
	a, err := c.link.Ask(o, append(c.markOctets(), payload...), 0)
	if err != nil {
		return answer{Result: uint32(tnccs.ResultFatal)}
	}
	return a
}

// u32s encodes values, big-endian.
func u32s(vs ...uint32) []byte {
	b := make([]byte, 0, 4*len(vs))
	for _, v := range vs {
		b = wire.AppendU32(b, v)
	}
	return b
}

// ReportMessageTypes implements tnccs.TNCC.
func (c *hosted) ReportMessageTypes(imc uint32, types []uint32) tnccs.Result {
	return tnccs.Result(c.ask(opReportTypes, append(u32s(imc), u32s(types...)...)).Result)
}

// ReportMessageTypesLong implements tnccs.TNCC.
func (c *hosted) ReportMessageTypesLong(imc uint32, vendors, subtypes []uint32) tnccs.Result {
	return tnccs.Result(c.ask(opReportTypesLong, append(append(u32s(imc), u32s(vendors...)...), u32s(subtypes...)...)).Result)
}

// RequestHandshakeRetry implements tnccs.TNCC.
func (c *hosted) RequestHandshakeRetry(imc, connection uint32, reason tnccs.RetryReason) tnccs.Result {
	return tnccs.Result(c.ask(opRetry, u32s(imc, connection, uint32(reason))).Result)
}

// SendMessage implements tnccs.TNCC.
func (c *hosted) SendMessage(imc, connection uint32, message []byte, messageType uint32) tnccs.Result {
	return tnccs.Result(c.ask(opSend, append(u32s(imc, connection, messageType), message...)).Result)
}

// SendMessageLong implements tnccs.TNCC.
func (c *hosted) SendMessageLong(imc, connection, flags uint32, message []byte, vendor, subtype, imv uint32) tnccs.Result {
	return tnccs.Result(c.ask(opSendLong, append(u32s(imc, connection, flags, vendor, subtype, imv), message...)).Result)
}

// GetAttribute implements tnccs.TNCC.
func (c *hosted) GetAttribute(imc, connection uint32, id tnccs.AttributeID) ([]byte, tnccs.Result) {
	a := c.ask(opGetAttribute, u32s(imc, connection, uint32(id)))
	return a.Data, tnccs.Result(a.Result)
}

// SetAttribute implements tnccs.TNCC.
func (c *hosted) SetAttribute(imc, connection uint32, id tnccs.AttributeID, value []byte) tnccs.Result {
	return tnccs.Result(c.ask(opSetAttribute, append(u32s(imc, connection, uint32(id)), value...)).Result)
}

// ReserveAdditionalIMCID implements tnccs.TNCC.
func (c *hosted) ReserveAdditionalIMCID(imc uint32) (uint32, tnccs.Result) {
	a := c.ask(opReserve, u32s(imc))
	if a.Result != uint32(tnccs.ResultSuccess) || len(a.Data) != 4 {
		return 0, max(tnccs.Result(a.Result), tnccs.ResultOther)
	}
	return wire.NewReader("answer", a.Data).U32(), tnccs.ResultSuccess
}
