package tpm_test

import (
	"context"
	"fmt"
	"log"

	"github.com/gotnc/gotnc/tpm"
	"github.com/gotnc/gotnc/tpm/pcr"
	"github.com/gotnc/gotnc/tpm/tpm20"
	"github.com/gotnc/gotnc/tpm/tpmtest"
)

// A program opens the machine's TPM with device.Open. The example replays what an
// emulator answered, so that it runs without a TPM.
func Example() {
	recorded, err := tpmtest.ReadTranscript("testdata/tpm20-ecdsa-sha256.txt")
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	t, err := tpm.Open(ctx, recorded.Replay(), tpm.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer t.Close()
	version, err := t.VersionInfo(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("TPM %v, version information %x\n", t.Generation(), version)
	banks, err := t.Banks(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("banks", banks)

	aik := tpm.AIK{Handle: tpm20.FirstAKHandle + 3}
	id, err := t.Identity(ctx, aik)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("AIK without certificate: %t, key ID of %d octets\n", id.Naked, len(id.KeyID))

	nonce := make([]byte, 32) // the verifier's
	for i := range nonce {
		nonce[i] = byte(i + 1)
	}
	quote, err := t.Quote(ctx, tpm.QuoteRequest{
		AIK:      aik,
		Bank:     pcr.SHA256,
		PCRs:     pcr.Select(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 18, 23),
		External: nonce,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%v of PCRs %v, signed over %v: %d octets\n", quote.Kind, quote.Values.Selection(), quote.Hash, len(quote.Signature))
	fmt.Printf("PCR 10 %x\n", quote.Values[10])
	// Output:
	// TPM 2.0, version information 02000003000000a4000007e549424d00
	// banks [HASH_SHA1 HASH_SHA2_256 HASH_SHA2_384 HASH_SHA2_512]
	// AIK without certificate: true, key ID of 20 octets
	// TPMS_ATTEST of PCRs 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,16,17,18,23, signed over HASH_SHA2_256: 64 octets
	// PCR 10 8c374a53782642f7514d087d26a3e733f1b806009a03e04a43b288ef2fa9f9c0
}
