package dlimc

import (
	"time"

	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tnccs"
)

// Initialize implements tnccs.IMC.
func (c *remote) Initialize(id uint32, host tnccs.TNCC) error {
	c.mu.Lock()
	c.host = host
	c.mu.Unlock()
	a, err := c.ask(opInitialize, u32s(id), c.cfg.InitTimeout)
	if err != nil {
		return loadError(c.entry, err, "")
	}
	if a.Result != uint32(tnccs.ResultSuccess) {
		return c.loadError(a)
	}
	r := wire.NewReader("answer", a.Data)
	c.mu.Lock()
	c.initDone = true
	c.offers = tnccs.Interface{Version: r.U32(), Long: r.U8() != 0}
	c.mu.Unlock()
	return nil
}

// NotifyConnectionChange implements tnccs.IMC.
func (c *remote) NotifyConnectionChange(connection uint32, state tnccs.ConnectionState) error {
	return c.call(opNotify, u32s(connection, uint32(state)))
}

// BeginHandshake implements tnccs.IMC.
func (c *remote) BeginHandshake(connection uint32) error {
	return c.call(opBegin, u32s(connection))
}

// ReceiveMessage implements tnccs.IMC.
func (c *remote) ReceiveMessage(connection uint32, m tnccs.Message) error {
	b := make([]byte, 0, 21+len(m.Data))
	b = wire.AppendU32(b, connection)
	if m.Exclusive {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	for _, v := range []uint32{m.Vendor, m.Subtype, m.SourceIMV, m.DestIMC} {
		b = wire.AppendU32(b, v)
	}
	return c.call(opReceive, append(b, m.Data...))
}

// BatchEnding implements tnccs.IMC.
func (c *remote) BatchEnding(connection uint32) error {
	return c.call(opEnding, u32s(connection))
}

// Terminate implements tnccs.IMC: it ends the IMC and its process, whatever
// state they are in, within twice TerminateTimeout.
func (c *remote) Terminate() error {
	c.mu.Lock()
	ending, initDone := c.ending, c.initDone
	c.ending = true
	c.mu.Unlock()
	if ending {
		<-c.ended
		return nil
	}
	var err error
	if initDone && c.link.Cause() == nil {
		var a answer
		if a, err = c.ask(opTerminate, nil, c.cfg.TerminateTimeout); err == nil {
			err = tnccs.ErrorOf(tnccs.Result(a.Result))
		}
	}
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.conn.Close()
	select {
	case <-c.ended:
	case <-time.After(c.cfg.TerminateTimeout):
		c.kill(nil)
		<-c.ended
	}
	return err
}

// Source implements tnccs.Library.
func (c *remote) Source() string { return c.entry.Path }

// Interface implements tnccs.Library.
func (c *remote) Interface() tnccs.Interface {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.offers
}

// Outdated reports whether files were made or replaced where the child sees only
// those that were there when it started: tnccs.Client loads it again then.
func (c *remote) Outdated() bool { return c.plan.Stale() }
