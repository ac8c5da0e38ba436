// Package tpm speaks to Trusted Platform Modules of both generations through
// one interface: version information, PCR banks and values, the Attestation
// Identity Key and quotes, in the forms that PTS attributes carry (TCG PTS
// Protocol Binding to TNC IF-M sections 3.18 and 4.2, and strongSwan's extension
// of it for TPM 2.0).
//
// # Usage
//
// Package device finds and opens the machine's TPM, or an emulator:
//
//	t, err := device.Open(ctx, device.Config{})
//	if err != nil {
//		return err // errors.Is(err, tpm.ErrNoTPM): the machine has none
//	}
//	defer t.Close()
//	quote, err := t.Quote(ctx, tpm.QuoteRequest{
//		AIK:      tpm.AIK{Handle: tpm20.FirstAKHandle},
//		Bank:     pcr.SHA256,
//		PCRs:     pcr.Select(0, 1, 2, 3, 4, 5, 6, 7, 10),
//		External: nonce,
//	})
//
// Open does the same over any other Transport.
//
// What only one generation can do is a method of *tpm20.TPM or *tpm12.TPM, which
// Open returns as a TPM: making keys, endorsement keys, activating credentials.
//
//	if t, ok := t.(*tpm20.TPM); ok {
//		key, err := t.CreateAK(ctx, tpm20.AKRequest{}, tpm20.Auth{})
//		…
//	}
//
// # Packages
//
//	tpm/pcr        hash algorithms of banks, selections, values, replay
//	tpm/attest     AIK, QuoteRequest, Quote: the types that this package aliases
//	tpm/command    Transport, and how a busy TPM is asked again
//	tpm/tpm12      TPM 1.2, over commands that it encodes itself: strongSwan's
//	               verifier wants quotes over exactly the octets that TPM Main
//	               Part 3 describes
//	tpm/tpm20      TPM 2.0, over github.com/google/go-tpm
//	tpm/device     character devices of the kernel and emulators
//	tpm/privacyca  certificates of attestation keys
//	tpm/tpmtest    emulators, fakes and recorded conversations, for tests
package tpm
