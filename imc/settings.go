package imc

import "github.com/gotnc/gotnc/imc/pts"

// options are the settings that an Agent itself uses. They are all read when the
// library is loaded, so that a wrong value is logged then.
type options struct {
	hashAlgorithm string
	nonceLength   int
	dhGroups      string
	mandatory     bool // the mandatory D-H group must be there
	osInfo        bool
	pushInfo      bool
	retry         bool
	segmentation  bool
}

func readOptions(s Settings) options {
	const attestation = "plugins.imc-attestation."
	return options{
		hashAlgorithm: s.String(attestation+"hash_algorithm", ""),
		nonceLength:   s.Int(attestation+"nonce_len", pts.DefaultNonce),
		dhGroups:      s.String(attestation+"dh_groups", ""),
		mandatory:     s.Bool(attestation+"mandatory_dh_groups", true),
		osInfo:        s.Bool(attestation+"os_info", true),
		pushInfo:      s.Bool("plugins.imc-os.push_info", true),
		retry:         s.Bool(attestation+"retry", false),
		segmentation:  s.Bool(attestation+"segmentation", false),
	}
}
