package tnccs

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/log"
)

// handshake begins a handshake in all IMCs.
func (s *Session) handshake() {
	s.notify(ConnectionHandshake)
	s.eachIMC(true, func(i IMC) error { return i.BeginHandshake(s.id) })
}

// notify reports a state to all IMCs, which may not send messages meanwhile.
func (s *Session) notify(st ConnectionState) {
	s.eachIMC(false, func(i IMC) error { return i.NotifyConnectionChange(s.id, st) })
}

// batchEnding tells all IMCs that the messages of a batch have been delivered.
func (s *Session) batchEnding() {
	s.eachIMC(true, func(i IMC) error { return i.BatchEnding(s.id) })
}

// eachIMC calls f for all IMCs in load order. Window says whether they may send
// messages meanwhile.
func (s *Session) eachIMC(window bool, f func(IMC) error) {
	for _, col := range s.imcs {
		if !col.lost.Load() {
			s.call(col, window, f)
		}
	}
}

// call calls f for one IMC.
func (s *Session) call(col *collector, window bool, f func(IMC) error) {
	s.setWindow(window)
	err := f(col.imc)
	s.setWindow(false)
	if err != nil {
		s.imcFailed(col, err)
	}
}

// imcFailed handles the error of a call. An IMC whose call fails with anything
// but a result code is lost: the client does not call it again before it has
// been restarted.
func (s *Session) imcFailed(col *collector, err error) {
	var r Result
	if errors.As(err, &r) {
		log.Detailf(s.c.imc, "IMC %d %q answered %v", col.id, col.name, error(r))
		return
	}
	err = fmt.Errorf("IMC %d %q is lost: %w", col.id, col.name, err)
	log.Errorf(s.c.imc, "%v", err)
	col.lost.Store(true)
	s.mu.Lock()
	s.out.IMCErrors = append(s.out.IMCErrors, err)
	s.mu.Unlock()
}

// setWindow allows or forbids SendMessage.
func (s *Session) setWindow(open bool) {
	s.mu.Lock()
	s.window = open
	s.mu.Unlock()
}
