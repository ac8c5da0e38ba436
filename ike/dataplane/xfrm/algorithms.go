package xfrm

import "github.com/gotnc/gotnc/ike/message"

// algorithm is the kernel's name of a transform (net/xfrm/xfrm_algo.c).
type algorithm struct {
	name string
	icv  uint32 // bits
}

// aeads, ciphers and macs are by transform ID: those that ike/crypto implements.
var (
	aeads = map[uint16]algorithm{
		message.EncrAESCCM8:          {"rfc4309(ccm(aes))", 64},
		message.EncrAESCCM12:         {"rfc4309(ccm(aes))", 96},
		message.EncrAESCCM16:         {"rfc4309(ccm(aes))", 128},
		message.EncrAESGCM8:          {"rfc4106(gcm(aes))", 64},
		message.EncrAESGCM12:         {"rfc4106(gcm(aes))", 96},
		message.EncrAESGCM16:         {"rfc4106(gcm(aes))", 128},
		message.EncrChaCha20Poly1305: {"rfc7539esp(chacha20,poly1305)", 128},
	}
	ciphers = map[uint16]algorithm{
		message.EncrAESCBC: {"cbc(aes)", 0},
		message.EncrAESCTR: {"rfc3686(ctr(aes))", 0},
	}
	macs = map[uint16]algorithm{
		message.IntegHMACSHA196:    {"hmac(sha1)", 96},
		message.IntegAESXCBC96:     {"xcbc(aes)", 96},
		message.IntegAESCMAC96:     {"cmac(aes)", 96},
		message.IntegHMACSHA256128: {"hmac(sha256)", 128},
		message.IntegHMACSHA384192: {"hmac(sha384)", 192},
		message.IntegHMACSHA512256: {"hmac(sha512)", 256},
	}
)
