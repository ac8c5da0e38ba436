package tnccs

import (
	"errors"
	"fmt"

	"github.com/gotnc/gotnc/internal/base/log"
)

// handshake runs the beginning of a handshake in all IMCs.
func (s *Session) handshake() {
	s.notify(ConnectionHandshake)
	s.each(true, func(i IMC) error { return i.BeginHandshake(s.id) })
}

// notify tells all IMCs a state; they may not send meanwhile.
func (s *Session) notify(st ConnectionState) {
	s.each(false, func(i IMC) error { return i.NotifyConnectionChange(s.id, st) })
}

// each calls f for all IMCs in load order, with or without the right to send.
func (s *Session) each(window bool, f func(IMC) error) {
	for _, col := range s.imcs {
		if !col.lost.Load() {
			s.call(col, window, f)
		}
	}
}

// call calls f for one IMC. An IMC whose call fails with anything but a result
// code is lost: the client does not call it again before it is started anew.
func (s *Session) call(col *collector, window bool, f func(IMC) error) {
	s.setWindow(window)
	err := f(col.imc)
	s.setWindow(false)
	if err != nil {
		s.answered(col, err)
	}
}

func (s *Session) answered(col *collector, err error) {
	var r Result
	if errors.As(err, &r) {
		logAt(s.c.imc, log.LevelDetail, fmt.Sprintf("IMC %d %q answered %v", col.id, col.name, error(r)))
		return
	}
	err = fmt.Errorf("IMC %d %q is lost: %w", col.id, col.name, err)
	s.c.imc.Error(err.Error())
	col.lost.Store(true)
	s.mu.Lock()
	s.out.IMCErrors = append(s.out.IMCErrors, err)
	s.mu.Unlock()
}

func (s *Session) setWindow(open bool) {
	s.mu.Lock()
	s.window = open
	s.mu.Unlock()
}
