package imc

import "github.com/gotnc/gotnc/internal/base/config/settings"

// options are the settings that an Agent itself uses. They are all read when the
// library is loaded, so that a wrong value is logged then.
type options struct {
	hashAlgorithm string
	nonceLength   int
	dhGroups      []string
	mandatory     bool // the mandatory D-H group must be there
	osInfo        bool
	pushInfo      bool
	retry         bool
	segmentation  bool
}

func readOptions(s Settings) options {
	return options{
		hashAlgorithm: settings.HashAlgorithm.Read(s),
		nonceLength:   settings.NonceLen.Read(s),
		dhGroups:      settings.Words(settings.DHGroups.Read(s)),
		mandatory:     settings.MandatoryDHGroups.Read(s),
		osInfo:        settings.OSInfo.Read(s),
		pushInfo:      settings.PushInfo.Read(s),
		retry:         settings.Retry.Read(s),
		segmentation:  settings.Segmentation.Read(s),
	}
}
