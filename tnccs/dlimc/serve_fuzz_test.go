package dlimc

import (
	"testing"

	"github.com/gotnc/gotnc/tnccs"
)

// silent is an IMC that starts and answers nothing else.
type silent struct{ notInitialized }

func (silent) Initialize(uint32, tnccs.TNCC) error { return nil }

// The calls of a child that is in the hands of somebody else.
func FuzzServeChild(f *testing.F) {
	for o := opReportTypes; o <= opReserve+1; o++ {
		f.Add(byte(o), u32s(0, 1, 1, 0, 0, 0x902a, 1, 0xffff))
		f.Add(byte(o), []byte{0, 0, 0})
	}
	client, err := tnccs.NewClient(tnccs.Config{})
	if err != nil {
		f.Fatal(err)
	}
	if err := client.Add("silent", silent{}); err != nil {
		f.Fatal(err)
	}
	if _, err := client.NewSession().Begin(0, tnccs.TransportEAP, "1.1"); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, o byte, payload []byte) {
		c := &remote{host: client, log: imcLogger(nil), lines: &lines{deaf: true}}
		if a := c.serve(op(o), payload); a.Result == uint32(tnccs.ResultFatal) {
			t.Fatal("it panicked")
		}
	})
}
