package crypto

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/gotnc/gotnc/ike/message"
)

// keywords are strongSwan's names of the algorithms that are implemented.
var keywords = func() map[string]message.Transform {
	m := map[string]message.Transform{
		"aes":                    encr(message.EncrAESCBC, 128),
		"chacha20poly1305":       encr(message.EncrChaCha20Poly1305, 0),
		"chacha20poly1305compat": encr(message.EncrChaCha20Poly1305, 256),
		"sha":                    integ(message.IntegHMACSHA196), "sha1": integ(message.IntegHMACSHA196),
		"sha256": integ(message.IntegHMACSHA256128), "sha2_256": integ(message.IntegHMACSHA256128),
		"sha384": integ(message.IntegHMACSHA384192), "sha2_384": integ(message.IntegHMACSHA384192),
		"sha512": integ(message.IntegHMACSHA512256), "sha2_512": integ(message.IntegHMACSHA512256),
		"aesxcbc": integ(message.IntegAESXCBC96), "aescmac": integ(message.IntegAESCMAC96),
		"prfaesxcbc": prf(message.PRFAESXCBC), "prfaescmac": prf(message.PRFAESCMAC),
		"prfsha1":   prf(message.PRFHMACSHA1),
		"prfsha256": prf(message.PRFHMACSHA256), "prfsha2_256": prf(message.PRFHMACSHA256),
		"prfsha384": prf(message.PRFHMACSHA384), "prfsha2_384": prf(message.PRFHMACSHA384),
		"prfsha512": prf(message.PRFHMACSHA512), "prfsha2_512": prf(message.PRFHMACSHA512),
		"none": kex(message.KENone), "modpnone": kex(message.KENone),
		"modp1024": kex(message.KEMODP1024), "modp1536": kex(message.KEMODP1536), "modp2048": kex(message.KEMODP2048),
		"modp3072": kex(message.KEMODP3072), "modp4096": kex(message.KEMODP4096), "modp6144": kex(message.KEMODP6144),
		"modp8192": kex(message.KEMODP8192), "ecp256": kex(message.KEECP256), "ecp384": kex(message.KEECP384),
		"ecp521": kex(message.KEECP521), "curve25519": kex(message.KECurve25519), "x25519": kex(message.KECurve25519),
		"mlkem768": kex(message.KEMLKEM768), "mlkem1024": kex(message.KEMLKEM1024),
		"noesn": esn(message.ESNNo), "esn": esn(message.ESNYes),
	}
	for _, bits := range aesBits {
		aes := fmt.Sprintf("aes%d", bits)
		m[aes] = encr(message.EncrAESCBC, bits)
		for suffix, id := range map[string]uint16{
			"gcm8": message.EncrAESGCM8, "gcm64": message.EncrAESGCM8,
			"gcm12": message.EncrAESGCM12, "gcm96": message.EncrAESGCM12,
			"gcm16": message.EncrAESGCM16, "gcm128": message.EncrAESGCM16, "gcm": message.EncrAESGCM16,
			"ccm8": message.EncrAESCCM8, "ccm64": message.EncrAESCCM8,
			"ccm12": message.EncrAESCCM12, "ccm96": message.EncrAESCCM12,
			"ccm16": message.EncrAESCCM16, "ccm128": message.EncrAESCCM16, "ccm": message.EncrAESCCM16,
			"ctr": message.EncrAESCTR,
		} {
			m[aes+suffix] = encr(id, bits)
		}
	}
	return m
}()

// knownUnsupported matches strongSwan's further names.
var knownUnsupported = regexp.MustCompile(`^(null|3des|des|(blowfish|serpent|twofish|camellia)(128|192|256)?|cast128` +
	`|camellia(128|192|256)(ctr|ccm(8|12|16|64|96|128)?)|aes(128|192|256)gmac|md5(_128)?|camelliaxcbc|prfmd5|prfcamelliaxcbc` +
	`|sha256_96|sha2_256_96|sha1_160|modp768|modpnull|modp1024s160|modp2048s224|modp2048s256|ecp(192|224)|ecp(224|256|384|512)bp` +
	`|curve448|x448|gost(256|512)|mlkem512)$`)

// AlgorithmError is a word of a proposal that cannot be used.
type AlgorithmError struct {
	Word string
	// Known is set where strongSwan has an algorithm of that name.
	Known bool
	why   string
}

// Error says what is wrong with the word.
func (e *AlgorithmError) Error() string {
	switch {
	case e.why != "":
		return e.why
	case e.Known:
		return fmt.Sprintf("%q is not implemented", e.Word)
	}
	return fmt.Sprintf("no algorithm is called %q", e.Word)
}

// Is makes ErrUnsupported the cause.
func (e *AlgorithmError) Is(target error) bool { return target == ErrUnsupported }

// Keywords returns the names of the algorithms that are implemented, sorted.
func Keywords() []string { return slices.Sorted(maps.Keys(keywords)) }

// keyword returns the algorithm that word, in lower case, names.
func keyword(word string) (message.Transform, error) {
	name, number := word, 0
	if len(word) > 4 && strings.HasPrefix(word, "ke") && word[2] >= '1' && word[2] <= '7' && word[3] == '_' {
		name, number = word[4:], int(word[2]-'0')
	}
	t, ok := keywords[name]
	switch {
	case ok && number == 0:
		return t, nil
	case ok && t.Type == message.KEXCH:
		return addKE(number, message.KEMethod(t.ID)), nil
	case ok:
		return t, &AlgorithmError{Word: word, why: fmt.Sprintf("%q is no key exchange method; after ke%d_ comes one such as mlkem768", word, number)}
	case name == "mlkem512":
		return t, &AlgorithmError{Word: word, Known: true,
			why: fmt.Sprintf("%q is not implemented, because Go's standard library has ML-KEM-768 and ML-KEM-1024 only", word)}
	}
	return t, &AlgorithmError{Word: word, Known: knownUnsupported.MatchString(name)}
}
