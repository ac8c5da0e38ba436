package crypto

import "fmt"

// PPK returns the keys of an IKE SA with a post-quantum preshared key mixed in
// (RFC 8784 section 3): SK_d, SK_pi and SK_pr become prf+(PPK, SK_x) of the same
// length. The other keys are copied. The result is the caller's to Zero.
func (k *IKEKeys) PPK(prf PRF, ppk []byte) (*IKEKeys, error) {
	out := &IKEKeys{}
	for _, x := range []struct {
		to   *[]byte
		from []byte
		mix  bool
	}{{&out.D, k.D, true}, {&out.Ai, k.Ai, false}, {&out.Ar, k.Ar, false}, {&out.Ei, k.Ei, false}, {&out.Er, k.Er, false},
		{&out.Pi, k.Pi, true}, {&out.Pr, k.Pr, true}} {
		if !x.mix {
			*x.to = append([]byte(nil), x.from...)
			continue
		}
		b, err := prf.Plus(ppk, x.from, len(x.from))
		if err != nil {
			return nil, fmt.Errorf("mix the PPK in: %w", err)
		}
		*x.to = b
	}
	return out, nil
}
