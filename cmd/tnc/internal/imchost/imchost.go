// Package imchost is the process that imc-attestation-stub.so starts: `tnc imc-host`,
// which holds the Attestation IMC for a host that shall hold no Go runtime. The stub
// (capi/stub) is the other end of the socket, and there the host's functions are
// called.
package imchost

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"sync/atomic"

	"github.com/gotnc/gotnc/imc"
	"github.com/gotnc/gotnc/imc/attestation"
	"github.com/gotnc/gotnc/internal/base/imclink"
	"github.com/gotnc/gotnc/internal/base/log"
	"github.com/gotnc/gotnc/internal/base/wire"
)

const (
	variable = "GOTNC_IMC_HOST" // set to protocol by the stub
	protocol = "stub-1"

	command   = "imc-host"
	childName = "tnc-imc-host" // for ps
)

// Operations of the stub, those of IF-IMC with all their arguments.
const (
	opStart imclink.Op = iota + 1
	opInitialize
	opProvide
	opNotify
	opBegin
	opReceive
	opReceiveSOH
	opReceiveLong
	opEnding
	opTerminate
)

// Operations that this process asks of the stub, and opLog, which it tells.
const (
	opReportTypes imclink.Op = iota + 64
	opReportTypesLong
	opRetry
	opSend
	opSendLong
	opGetAttribute
	opSetAttribute
	opReserve
	opUserMessage
	opLoaded

	opLog imclink.Op = 80
)

// Main holds the IMC and does not return in a process that the stub started; in all
// others it returns at once. version is the release.
func Main(version string) {
	if len(os.Args) < 2 || os.Args[1] != command || os.Getenv(variable) != protocol {
		return
	}
	// A program that the IMC starts is no process of this kind.
	os.Unsetenv(variable)
	conn, err := imclink.Inherited()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", command, err)
		os.Exit(2)
	}
	_ = os.WriteFile("/proc/self/comm", []byte(childName), 0) // it is only a name
	go endWithHost(os.Getppid())
	serve(conn, version)
	imclink.EndGroup()
	os.Exit(0)
}

// serve answers the stub until the socket ends.
func serve(conn net.Conn, version string) {
	p := &process{version: version}
	p.link = imclink.New(conn, true, p.serve)
	err := p.link.Run()
	p.link.Fail(err)
	if made := p.imc.Load(); made != nil {
		made.Terminate(p.id.Load())
		made.Close()
	}
}

// process is the IMC of one TNC_IMC_Initialize.
type process struct {
	link    *imclink.Link
	version string
	imc     atomic.Pointer[attestation.IMC] // nil before opStart
	id      atomic.Uint32                   // of the IMC
	ended   atomic.Bool                     // opTerminate began: the host is not called
}

// serve runs one call of the stub.
func (p *process) serve(o imclink.Op, payload []byte) (a imclink.Answer) {
	defer func() {
		if v := recover(); v != nil {
			p.say(slog.LevelError, fmt.Sprintf("%v\n%s", v, debug.Stack()))
			a = imclink.Answer{Result: uint32(imc.ResultFatal)}
		}
	}()
	r := wire.NewReader("call", payload)
	if o == opStart {
		return p.start(r)
	}
	made := p.imc.Load()
	if made == nil {
		return imclink.Answer{Result: uint32(imc.ResultNotInitialized)}
	}
	return p.call(made, o, r)
}

// start makes the IMC for the host that the stub is in: u8 whether the host logs, its
// program, its libstrongswan, each ended by NUL.
func (p *process) start(r *wire.Reader) imclink.Answer {
	hostLogs := r.U8() != 0
	program, rest := untilNUL(r.Rest())
	library, _ := untilNUL(rest)
	if r.Err() != nil || p.imc.Load() != nil {
		return imclink.Answer{Result: uint32(imc.ResultInvalidParameter)}
	}
	p.imc.Store(attestation.New(attestation.Config{
		Version: p.version, Program: program, Library: library,
		Logger: func(least slog.Level, quiet bool) *slog.Logger {
			if hostLogs { // and has levels of its own
				least, quiet = attestation.LevelPrivate, false
			}
			return slog.New(log.NewConcurrentHandler(least, func(r log.Record) { p.log(r, quiet) }))
		},
		SiblingLoaded: func(file string) bool {
			return p.ask(opLoaded, payload(0, imc.AnyConnection, []byte(file))).Result == uint32(imc.ResultSuccess)
		},
	}))
	return imclink.Answer{}
}

// untilNUL splits a string that is ended by NUL off.
func untilNUL(b []byte) (s string, rest []byte) {
	for i, c := range b {
		if c == 0 {
			return string(b[:i]), b[i+1:]
		}
	}
	return string(b), nil
}

// call runs one function of the IMC.
func (p *process) call(made *attestation.IMC, o imclink.Op, r *wire.Reader) imclink.Answer {
	id := r.U32()
	var res imc.Result
	var data []byte
	switch o {
	case opInitialize:
		var v uint32
		v, res = made.Initialize(id, r.U32(), r.U32())
		p.id.Store(id)
		data = wire.AppendU32(nil, v)
	case opProvide:
		res = made.ProvideHost(id, &host{process: p, functions: r.U32()})
	case opNotify:
		res = made.NotifyConnectionChange(id, r.U32(), imc.ConnectionState(r.U32()))
	case opBegin:
		res = made.BeginHandshake(id, r.U32())
	case opReceive:
		conn, typ := r.U32(), r.U32()
		res = made.ReceiveMessage(id, conn, r.Rest(), typ)
	case opReceiveSOH:
		res = made.ReceiveMessageSOH(id, r.U32())
	case opReceiveLong:
		conn, flags, vendor, subtype, source, destination := r.U32(), r.U32(), r.U32(), r.U32(), r.U32(), r.U32()
		res = made.ReceiveMessageLong(id, conn, flags, r.Rest(), vendor, subtype, source, destination)
	case opEnding:
		res = made.BatchEnding(id, r.U32())
	case opTerminate:
		p.ended.Store(true)
		res = made.Terminate(id)
	default:
		res = imc.ResultInvalidParameter
	}
	if r.Err() != nil {
		res = imc.ResultInvalidParameter
	}
	return imclink.Answer{Result: uint32(res), Data: data}
}

// ask asks the stub; the time of its call is the limit.
func (p *process) ask(o imclink.Op, payload []byte) imclink.Answer {
	a, err := p.link.Ask(o, payload, 0)
	if err != nil {
		return imclink.Answer{Result: uint32(imc.ResultFatal)}
	}
	return a
}

// payload begins with the IMC and the connection, as every question to the stub does.
func payload(id, connection uint32, more ...[]byte) []byte {
	b := wire.AppendU32(wire.AppendU32(nil, id), connection)
	for _, m := range more {
		b = append(b, m...)
	}
	return b
}

// u32s encodes values.
func u32s(vs ...uint32) (b []byte) {
	for _, v := range vs {
		b = wire.AppendU32(b, v)
	}
	return b
}

// quietLevel marks a line that is not for standard error.
const quietLevel = 0x80

// maxLine bounds a line of log, in octets.
const maxLine = 32 << 10

// log tells the stub a record, line by line.
func (p *process) log(r log.Record, quiet bool) {
	lines := attestation.Lines(r.Text)
	for i, line := range lines {
		var octets []byte
		if i == len(lines)-1 {
			octets = r.Octets
		}
		level := byte(attestation.Level(r.Level))
		if quiet {
			level |= quietLevel
		}
		b := append([]byte{level, byte(attestation.Severity(r.Level))}, (r.Group + "   ")[:3]...)
		line = line[:min(len(line), maxLine)]
		b = append(wire.AppendU32(b, uint32(len(line))), line...)
		// What cannot be told has nobody who reads it.
		_ = p.link.Tell(opLog, append(b, octets...))
	}
}

// say logs a line of this package.
func (p *process) say(level slog.Level, line string) {
	p.log(log.Record{Level: level, Group: log.IMC, Text: line}, false)
}
