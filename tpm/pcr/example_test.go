package pcr_test

import (
	"fmt"

	"github.com/gotnc/gotnc/tpm/pcr"
)

// A verifier computes what PCR 10 holds after two measurements, and which values a
// quote of it covers.
func ExampleBank() {
	b := pcr.NewBank(pcr.SHA256)
	for _, what := range []string{"/usr/bin/init", "/etc/passwd"} {
		b.Extend(10, pcr.SHA256.Sum([]byte(what)))
	}
	values := pcr.Values{0: b.Value(0), 10: b.Value(10)}
	fmt.Println("PCRs", values.Selection())
	fmt.Printf("PCR 10 %x\n", values[10])
	fmt.Printf("digest %x\n", pcr.SHA256.Sum(values.Concat()))
	// Output:
	// PCRs 0,10
	// PCR 10 81e3e92ee9fd0c31cf89579eb498e9b967d449d9d1f63a78a14420d61e1e28c4
	// digest c0f4f2728412e8b44ea03df6f25c02462935a0ce753a4c14e74b76ad9ee1a9e5
}
