package pts

import (
	"fmt"
	"hash"
	"strings"

	"github.com/gotnc/gotnc/imc/patnc"
	"github.com/gotnc/gotnc/internal/base/wire"
	"github.com/gotnc/gotnc/tpm/pcr"
)

// HashAlgorithms is a set of measurement algorithms, most significant bit
// first (TCG PTS Protocol Binding section 3.8); one bit names one algorithm.
type HashAlgorithms uint16

// Measurement algorithms, strongest last.
const (
	SHA1   HashAlgorithms = 0x8000 // mandatory
	SHA256 HashAlgorithms = 0x4000 // mandatory
	SHA384 HashAlgorithms = 0x2000
	SHA512 HashAlgorithms = 0x1000 // reserved by the specification, used by strongSwan
)

// hashes by falling strength.
var hashes = [...]struct {
	alg  HashAlgorithms
	bank pcr.Hash
}{
	{SHA512, pcr.SHA512},
	{SHA384, pcr.SHA384},
	{SHA256, pcr.SHA256},
	{SHA1, pcr.SHA1},
}

// Bank returns the TPM's name of the algorithm, by which it names a bank of PCRs;
// 0 for an empty set, a set of more than one, and an unknown algorithm.
func (a HashAlgorithms) Bank() pcr.Hash {
	for _, e := range hashes {
		if e.alg == a {
			return e.bank
		}
	}
	return 0
}

// HashAlgorithmOf returns the set of the one algorithm of a bank, the empty set
// for a bank that PTS has no algorithm for.
func HashAlgorithmOf(bank pcr.Hash) HashAlgorithms {
	for _, e := range hashes {
		if e.bank == bank {
			return e.alg
		}
	}
	return 0
}

// New returns a hash of the algorithm; ok is false for an empty set, a set of
// more than one, and an unknown one.
func (a HashAlgorithms) New() (h hash.Hash, ok bool) {
	if c := a.Bank().Crypto(); c != 0 {
		return c.New(), true
	}
	return nil, false
}

// Size returns the octets of a digest, 0 where New has none.
func (a HashAlgorithms) Size() int { return a.Bank().Size() }

// Strongest returns the strongest algorithm of the set, 0 for the empty set.
func (a HashAlgorithms) Strongest() HashAlgorithms {
	for _, e := range hashes {
		if a&e.alg != 0 {
			return e.alg
		}
	}
	return 0
}

// String lists the algorithms as strongSwan names them: "HASH_SHA2_256".
func (a HashAlgorithms) String() string {
	var s []string
	for _, e := range hashes {
		if a&e.alg != 0 {
			s = append(s, e.bank.String())
		}
	}
	if len(s) == 0 {
		return fmt.Sprintf("0x%04x", uint16(a))
	}
	return strings.Join(s, "|")
}

// HashAlgorithmsUpTo returns the set of the algorithm that name means and all
// weaker ones: sha1, sha256, sha384, sha512, also written sha2_256 …
// Another name gives the empty set and false.
func HashAlgorithmsUpTo(name string) (HashAlgorithms, bool) {
	switch strings.ToLower(name) {
	case "sha1":
		return SHA1, true
	case "sha256", "sha2_256":
		return SHA1 | SHA256, true
	case "sha384", "sha2_384":
		return SHA1 | SHA256 | SHA384, true
	case "sha512", "sha2_512":
		return SHA1 | SHA256 | SHA384 | SHA512, true
	}
	return 0, false
}

// MeasurementAlgorithm is the PTS Measurement Algorithm Request: u16 0 | u16
// offered set.
type MeasurementAlgorithm struct{ Algorithms HashAlgorithms }

// MeasurementAlgorithmSelection answers with exactly one algorithm.
type MeasurementAlgorithmSelection struct{ Algorithm HashAlgorithms }

// Type returns TCG type 0x06000000.
func (MeasurementAlgorithm) Type() patnc.Type { return TypeMeasurementAlgorithm }

// Type returns TCG type 0x07000000.
func (MeasurementAlgorithmSelection) Type() patnc.Type { return TypeMeasurementAlgorithmSelection }

// AppendValue appends the value.
func (v MeasurementAlgorithm) AppendValue(b []byte) ([]byte, error) {
	return wire.AppendU16(append(b, 0, 0), uint16(v.Algorithms)), nil
}

// AppendValue appends the value.
func (v MeasurementAlgorithmSelection) AppendValue(b []byte) ([]byte, error) {
	return wire.AppendU16(append(b, 0, 0), uint16(v.Algorithm)), nil
}

func parseMeasurementAlgorithm(b []byte) (patnc.Value, error) {
	r := reader(TypeMeasurementAlgorithm, b)
	r.Skip(2)
	v := MeasurementAlgorithm{HashAlgorithms(r.U16())}
	return v, r.Finish()
}

func parseMeasurementAlgorithmSelection(b []byte) (patnc.Value, error) {
	r := reader(TypeMeasurementAlgorithmSelection, b)
	r.Skip(2)
	v := MeasurementAlgorithmSelection{HashAlgorithms(r.U16())}
	return v, r.Finish()
}
