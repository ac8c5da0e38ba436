package ike

import (
	"fmt"

	"github.com/gotnc/gotnc/ike/message"
)

// Wireshark's names of algorithms, in its ikev2_decryption_table.
var (
	wiresharkIntegrity = map[uint16]string{
		0: "NONE [RFC4306]", 1: "HMAC_MD5_96 [RFC2403]", 2: "HMAC_SHA1_96 [RFC2404]", 12: "HMAC_SHA2_256_128 [RFC4868]",
		13: "HMAC_SHA2_384_192 [RFC4868]", 14: "HMAC_SHA2_512_256 [RFC4868]",
	}
	wiresharkCiphers = map[uint16]string{
		12: "AES-CBC-%d [RFC3602]", 13: "AES-CTR-%d [RFC5930]", 14: "AES-CCM-%d with 8 octet ICV [RFC5282]", 15: "AES-CCM-%d with 12 octet ICV [RFC5282]",
		16: "AES-CCM-%d with 16 octet ICV [RFC5282]", 18: "AES-GCM-%d with 8 octet ICV [RFC5282]", 19: "AES-GCM-%d with 12 octet ICV [RFC5282]",
		20: "AES-GCM-%d with 16 octet ICV [RFC5282]",
	}
)

// logKeys tells Config.KeyLog of keys that are new, as a line of Wireshark's
// ikev2_decryption_table.
func (m *Machine) logKeys() {
	if m.cfg.KeyLog == nil || m.keys == nil || m.keys == m.loggedKeys {
		return
	}
	m.loggedKeys = m.keys
	cipher, ok1 := wiresharkCiphers[m.suite.Encr.ID]
	integrity, ok2 := wiresharkIntegrity[m.suite.Integ.ID]
	if m.suite.Encr.Type != message.ENCR || !ok1 || !ok2 {
		m.cfg.KeyLog(fmt.Sprintf("# %s: Wireshark has no name for %s", m.name(), m.suite))
		return
	}
	m.cfg.KeyLog(fmt.Sprintf("%x,%x,%x,%x,%q,%x,%x,%q", m.spii.Bytes(), m.spir.Bytes(), m.keys.Ei, m.keys.Er,
		fmt.Sprintf(cipher, m.suite.Encr.KeyBits), m.keys.Ai, m.keys.Ar, integrity))
}
