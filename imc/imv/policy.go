package imv

import (
	"encoding/hex"
	"fmt"
	"sort"
	"strings"
)

// Recommendation is what the verifier advises the gateway to do with a client.
type Recommendation int

const (
	None    Recommendation = iota // not decided; enforced as Deny
	Allow                         // access to everything
	Isolate                       // access to the quarantine network only
	Deny                          // no access
)

func (r Recommendation) String() string {
	switch r {
	case Allow:
		return "allow"
	case Isolate:
		return "isolate"
	case Deny:
		return "deny"
	}
	return "none"
}

// Access returns the recommendation as PB-TNC numbers it (RFC 5793 section 4.7).
func (r Recommendation) Access() uint16 {
	switch r {
	case Allow:
		return 1
	case Isolate:
		return 3
	}
	return 2
}

// Policy says what the verifier wants to know and what it then recommends.
// The zero value asks only for platform attributes and PTS negotiation, and
// allows.
type Policy struct {
	// Hash is the strongest measurement algorithm offered to the client: sha1,
	// sha256, sha384 or sha512; empty means sha256. The weaker ones are offered
	// with it unless OnlyHash is set.
	Hash     string
	OnlyHash bool

	// Files maps an absolute path on the client to the digest its content must
	// have, in hex. Several digests, one an algorithm, are separated by
	// spaces; the one whose length fits the negotiated algorithm counts. An
	// empty text measures without comparing.
	Files map[string]string

	// Directories maps an absolute path of a directory to the digests of the
	// files in it, by file name. Names the client does not report are missing
	// and count as a mismatch; files it reports beside them do not, unless
	// Strict is set. A nil map measures without comparing.
	Directories map[string]map[string]string

	// Strict makes a file that a directory's reference does not name a mismatch.
	Strict bool

	// Metadata lists paths whose metadata are asked for; a path that ends in
	// "/" asks for the metadata of the directory's files.
	Metadata []string

	// Product, when not empty, is what the client's product name must start
	// with ("Debian").
	Product string

	// Devices, when not empty, lists the device IDs that may connect.
	Devices []string

	// OnMismatch is recommended when a measurement differs or is missing; None
	// means Isolate. OnSilence is recommended when the client has no
	// Attestation IMC or does not answer; None means Deny.
	OnMismatch Recommendation
	OnSilence  Recommendation

	// Force, unless None, is recommended whatever was measured.
	Force Recommendation

	// Reason replaces the sentence sent to a client that is not allowed;
	// Language is its tag (RFC 4646), "en" where empty. Remediation, when not
	// empty, is a URI sent along.
	Reason      string
	Language    string
	Remediation string

	// SegmentSize is the largest PA-TNC segment asked for in the segmentation
	// contract; 0 derives it from the connection's maximum message size.
	// NoSegmentation leaves the contract out.
	SegmentSize    uint32
	NoSegmentation bool

	// MaxRounds ends an assessment that goes on for longer, in batches of the
	// client; 0 means 4096.
	MaxRounds int
}

// Validate reports the first thing in p that cannot be used.
func (p *Policy) Validate() error {
	if _, err := hashes(p.Hash); err != nil {
		return err
	}
	check := func(where, digests string) error {
		for _, d := range strings.Fields(digests) {
			b, err := hex.DecodeString(d)
			if err != nil {
				return fmt.Errorf("policy for %s: digest %q is not hexadecimal", where, d)
			}
			switch len(b) {
			case 20, 32, 48, 64:
			default:
				return fmt.Errorf("policy for %s: a digest of %d octets fits no measurement algorithm", where, len(b))
			}
		}
		return nil
	}
	for _, path := range sortedKeys(p.Files) {
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("policy: path %q is not absolute", path)
		}
		if err := check(path, p.Files[path]); err != nil {
			return err
		}
	}
	for _, dir := range sortedKeys(p.Directories) {
		if !strings.HasPrefix(dir, "/") {
			return fmt.Errorf("policy: path %q is not absolute", dir)
		}
		for _, name := range sortedKeys(p.Directories[dir]) {
			if err := check(dir+"/"+name, p.Directories[dir][name]); err != nil {
				return err
			}
		}
	}
	for _, path := range p.Metadata {
		if !strings.HasPrefix(path, "/") {
			return fmt.Errorf("policy: path %q is not absolute", path)
		}
	}
	if n := len(p.Files) + len(p.Directories) + len(p.Metadata); n > maxRequests {
		return fmt.Errorf("policy: %d measurements, at most %d fit one assessment", n, maxRequests)
	}
	return nil
}

// maxRequests bounds the measurements of one assessment: request IDs have 16 bits.
const maxRequests = 60000

// reference returns the digest among digests that has size octets.
func reference(digests string, size int) ([]byte, bool) {
	for _, d := range strings.Fields(digests) {
		if b, err := hex.DecodeString(d); err == nil && len(b) == size {
			return b, true
		}
	}
	return nil, false
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}
