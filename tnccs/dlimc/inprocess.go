package dlimc

import (
	"sync"

	"github.com/gotnc/gotnc/tnccs"
)

// opening is locked while a library is opened and initialized in this process.
var opening sync.Mutex

// inProcess is an IMC in this process.
type inProcess struct {
	entry Entry
	cfg   Config

	mu     sync.Mutex
	imc    tnccs.IMC // nil before Initialize
	closed bool
}

// Source implements tnccs.Library.
func (p *inProcess) Source() string { return p.entry.Path }

// Interface implements tnccs.Library.
func (p *inProcess) Interface() tnccs.Interface {
	if l, ok := p.loaded().(interface{ Interface() tnccs.Interface }); ok {
		return l.Interface()
	}
	return tnccs.Interface{}
}

// Initialize opens the library and initializes it.
func (p *inProcess) Initialize(id uint32, host tnccs.TNCC) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ErrGone
	}
	if p.imc != nil {
		return tnccs.ResultAlreadyInitialized
	}
	opening.Lock()
	defer opening.Unlock()
	done, err := setEnvironment(p.entry, p.cfg)
	if err != nil {
		return loadError(p.entry, ErrNotLoadable, err.Error())
	}
	defer done()
	m, err := openModule(p.entry, false, p.cfg.Logger)
	if err != nil {
		return err
	}
	p.imc = m
	return m.Initialize(id, host)
}

// loaded returns the library, or notInitialized.
func (p *inProcess) loaded() tnccs.IMC {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.imc == nil || p.closed {
		return notInitialized{}
	}
	return p.imc
}

// NotifyConnectionChange implements tnccs.IMC.
func (p *inProcess) NotifyConnectionChange(connection uint32, state tnccs.ConnectionState) error {
	return p.loaded().NotifyConnectionChange(connection, state)
}

// BeginHandshake implements tnccs.IMC.
func (p *inProcess) BeginHandshake(connection uint32) error {
	return p.loaded().BeginHandshake(connection)
}

// ReceiveMessage implements tnccs.IMC.
func (p *inProcess) ReceiveMessage(connection uint32, m tnccs.Message) error {
	return p.loaded().ReceiveMessage(connection, m)
}

// BatchEnding implements tnccs.IMC.
func (p *inProcess) BatchEnding(connection uint32) error { return p.loaded().BatchEnding(connection) }

// Terminate implements tnccs.IMC.
func (p *inProcess) Terminate() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	if p.imc == nil {
		return nil
	}
	return p.imc.Terminate()
}

// notInitialized is an IMC that has not been opened.
type notInitialized struct{}

func (notInitialized) Initialize(uint32, tnccs.TNCC) error { return tnccs.ResultNotInitialized }
func (notInitialized) NotifyConnectionChange(uint32, tnccs.ConnectionState) error {
	return tnccs.ResultNotInitialized
}
func (notInitialized) BeginHandshake(uint32) error { return tnccs.ResultNotInitialized }
func (notInitialized) ReceiveMessage(uint32, tnccs.Message) error {
	return tnccs.ResultNotInitialized
}
func (notInitialized) BatchEnding(uint32) error { return tnccs.ResultNotInitialized }
func (notInitialized) Terminate() error         { return nil }
