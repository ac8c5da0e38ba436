package ima_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/gotnc/gotnc/imc/evidence/ima"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// list is a measurement list of two entries of template ima-ng, as the kernel
// writes it on a little-endian machine.
const list = "0a000000" + "adf817b690b2a46b0a9f76d073afedcad1c0b44a" + // PCR 10, template digest
	"06000000" + "696d612d6e67" + // "ima-ng"
	"31000000" + // octets of the fields
	"1a000000" + "736861313a00" + "f572d396fae9206628714fb2ce00f72e94f2258f" + // "sha1:", digest of the file
	"0f000000" + "2f7573722f62696e2f68656c6c6f00" + // "/usr/bin/hello"
	"0a000000" + "adf817b690b2a46b0a9f76d073afedcad1c0b44a" +
	"06000000" + "696d612d6e67" +
	"31000000" +
	"1a000000" + "736861313a00" + "f572d396fae9206628714fb2ce00f72e94f2258f" +
	"0f000000" + "2f7573722f62696e2f68656c6c6f00"

// A list is read entry by entry and replayed into a simulated SHA-256 bank: the
// value is the one that PCR 10 of the TPM has, unless the list was altered.
func Example() {
	log, err := hex.DecodeString(list)
	if err != nil {
		fmt.Println(err)
		return
	}
	bank := pcr.NewBank(pcr.SHA256)
	r := ima.NewReader(bytes.NewReader(log), ima.Config{})
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			fmt.Println(err)
			return
		}
		f := e.Fields()
		fmt.Printf("PCR %d, %s, intact %t: %s %x\n", e.PCR, e.Template, e.Intact(), f.Name, f.FileDigest[:4])
		bank.Extend(e.PCR, e.AppendMeasurement(nil, bank.Hash(), ima.PadNone))
	}
	fmt.Printf("PCR 10 after %d entries: %x…\n", r.Count(), bank.Value(10)[:8])
	// Output:
	// PCR 10, ima-ng, intact true: /usr/bin/hello f572d396
	// PCR 10, ima-ng, intact true: /usr/bin/hello f572d396
	// PCR 10 after 2 entries: 941607962baad802…
}
