package ike

import (
	"fmt"

	"github.com/gotnc/gotnc/ike/crypto"
	"github.com/gotnc/gotnc/ike/message"
)

// Wireshark's names of algorithms, in its ikev2_decryption_table.
var (
	wiresharkIntegrity = map[uint16]string{
		message.IntegNone: "NONE [RFC4306]", message.IntegHMACMD596: "HMAC_MD5_96 [RFC2403]", message.IntegHMACSHA196: "HMAC_SHA1_96 [RFC2404]",
		message.IntegHMACSHA256128: "HMAC_SHA2_256_128 [RFC4868]", message.IntegHMACSHA384192: "HMAC_SHA2_384_192 [RFC4868]",
		message.IntegHMACSHA512256: "HMAC_SHA2_512_256 [RFC4868]",
	}
	wiresharkCiphers = map[uint16]string{
		message.EncrAESCBC: "AES-CBC-%d [RFC3602]", message.EncrAESCTR: "AES-CTR-%d [RFC5930]",
		message.EncrAESCCM8: "AES-CCM-%d with 8 octet ICV [RFC5282]", message.EncrAESCCM12: "AES-CCM-%d with 12 octet ICV [RFC5282]",
		message.EncrAESCCM16: "AES-CCM-%d with 16 octet ICV [RFC5282]", message.EncrAESGCM8: "AES-GCM-%d with 8 octet ICV [RFC5282]",
		message.EncrAESGCM12: "AES-GCM-%d with 12 octet ICV [RFC5282]", message.EncrAESGCM16: "AES-GCM-%d with 16 octet ICV [RFC5282]",
	}
)

// keyLog writes keys for Config.KeyLog.
type keyLog struct {
	logged *crypto.IKEKeys // the last ones
}

// log writes the keys of sa where they are new, as a line of Wireshark's
// ikev2_decryption_table.
func (k *keyLog) log(sa *ikeSA) {
	write := sa.cfg.KeyLog
	if write == nil || sa.keys == nil || sa.keys == k.logged {
		return
	}
	k.logged = sa.keys
	cipher, ok1 := wiresharkCiphers[sa.suite.Encr.ID]
	integrity, ok2 := wiresharkIntegrity[sa.suite.Integ.ID]
	if sa.suite.Encr.Type != message.ENCR || !ok1 || !ok2 {
		write(fmt.Sprintf("# %s: Wireshark has no name for %s", sa.name(), sa.suite))
		return
	}
	write(fmt.Sprintf("%x,%x,%x,%x,%q,%x,%x,%q", sa.spii.Bytes(), sa.spir.Bytes(), sa.keys.Ei, sa.keys.Er,
		fmt.Sprintf(cipher, sa.suite.Encr.KeyBits), sa.keys.Ai, sa.keys.Ar, integrity))
}
