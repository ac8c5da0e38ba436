package settings

import (
	"math"

	"github.com/gotnc/gotnc/internal/base/config"
)

// Sections are where an IMC's settings are looked up in turn when tnc loads it.
// In another host its own name is in front: charon, charon-systemd, …
var Sections = []string{"tnc", "charon", "libimcv"}

// Where the settings of the Attestation IMC are looked up.
var (
	attestation = scope{group: IMC, sections: Sections, prefix: "plugins.imc-attestation."}
	measuring   = scope{group: Measuring, sections: Sections, prefix: "plugins.imc-attestation.", own: true}
	imcOS       = scope{group: IMC, sections: Sections, prefix: "plugins.imc-os."}
	tcti        = scope{group: IMC, sections: Sections, prefix: "plugins.tpm.tcti."}
	osInfo      = scope{group: IMC, sections: []string{"tnc.imcv", "charon.imcv", "libimcv"}, prefix: "os_info.", alias: "imcv."}
	libimcv     = scope{group: IMC, sections: []string{"libimcv"}}
)

const hex20 = "20 octets in hex"

// Of the Attestation IMC.
var (
	HashAlgorithm     = attestation.textOf("text", "hash_algorithm", "sha384", "Strongest measurement algorithm that is offered: sha1, sha256, sha384 or sha512.").mustBe(oneWord("sha1", "sha256", "sha384", "sha512"))
	MandatoryDHGroups = attestation.yesNo("mandatory_dh_groups", true, "Insist on the D-H group ecp256.")
	NonceLen          = attestation.number("nonce_len", "octets", 20, math.MinInt, math.MaxInt, "Length of the D-H nonce.")
	AIKHandle         = attestation.textOf("handle in hex", "aik_handle", "", "Attestation key of a TPM 2.0.").mustBe(handleHex)
	AIKBlob           = attestation.textOf("file", "aik_blob", "", "Attestation key of a TPM 1.2.")
	AIKCert           = attestation.textOf("file", "aik_cert", "", "Certificate of the attestation key, PEM or DER.")
	AIKPubkey         = attestation.textOf("file", "aik_pubkey", "", "Public key of the attestation key, for a TPM 1.2 without certificate.")
	UseQuote2         = attestation.yesNo("use_quote2", true, "Quote with TPM_Quote2 on a TPM 1.2.")
	UseVersionInfo    = attestation.yesNo("use_version_info", false, "Include the version of a TPM 1.2 in such a quote.")
	PCRInfo           = attestation.yesNo("pcr_info", false, "Report the PCR before and after each event.")
	PCRPadding        = attestation.yesNo("pcr_padding", false, "Say that the kernel pads SHA-1 digests into larger PCR banks; the TPM's PCRs overrule it.")
	PCR17Before       = attestation.textOf(hex20, "pcr17_before", "", "PCR 17 before Trusted Boot extended it.").mustBe(octets(20))
	PCR17Meas         = attestation.textOf(hex20, "pcr17_meas", "", "What Trusted Boot extended PCR 17 with.").mustBe(octets(20))
	PCR17After        = attestation.textOf(hex20, "pcr17_after", "", "PCR 17 after Trusted Boot extended it.").mustBe(octets(20))
	PCR18Before       = attestation.textOf(hex20, "pcr18_before", "", "PCR 18 before Trusted Boot extended it.").mustBe(octets(20))
	PCR18Meas         = attestation.textOf(hex20, "pcr18_meas", "", "What Trusted Boot extended PCR 18 with.").mustBe(octets(20))
	PCR18After        = attestation.textOf(hex20, "pcr18_after", "", "PCR 18 after Trusted Boot extended it.").mustBe(octets(20))
	DHGroups          = attestation.mine().textOf("list", "dh_groups", "all", "D-H groups that may be used: modp1024, modp1536, modp2048, ecp256, ecp384, ecp521.").mustBe(listOf("modp1024", "modp1536", "modp2048", "ecp256", "ecp384", "ecp521"))
	OSInfo            = attestation.mine().yesNo("os_info", true, "Report the platform where the IMC imc-os is not loaded.")
	IMASaved          = attestation.mine().textOf("files", "ima_saved", "", "Parts of IMA's list that the kernel exported and deleted, oldest first.").mustBe(eachOf(absolutePath))
	Retry             = attestation.mine().yesNo("retry", false, "Ask for one more handshake after access was refused or isolated.")
	Segmentation      = attestation.mine().yesNo("segmentation", false, "Ask verifiers for segments.")
	Language          = attestation.mine().textOf("text", "language", "that of the locale", "Language of texts for the user, as in RFC 5646.").mustBe(language)

	TCTIName = tcti.textOf("text", "name", "device", "The TPM: device, swtpm or mssim.").mustBe(oneWord("device", "swtpm", "mssim"))
	TCTIOpts = tcti.textOf("text", "opts", "/dev/tpmrm0, else /dev/tpm0", "Where it is: a device, or host=127.0.0.1,port=2321.")

	PushInfo     = imcOS.yesNo("push_info", true, "Report the platform without being asked.")
	DeviceID     = imcOS.textOf("text", "device_id", "the machine ID", "The Device ID itself.")
	DeviceHandle = imcOS.textOf("handle in hex", "device_handle", "", "Key of a TPM 2.0 that the Device ID is taken from.").mustBe(handleHex)
	DevicePubkey = imcOS.textOf("file", "device_pubkey", "", "Public key that the Device ID is taken from.")
	DeviceCert   = imcOS.textOf("file", "device_cert", "", "Certificate that the Device ID is taken from.")

	OSName                 = osInfo.textOf("text", "name", "that of /etc/os-release", "Name of the platform.")
	OSVersion              = osInfo.textOf("text", "version", "that of /etc/os-release", "Version of the platform.")
	DefaultPasswordEnabled = osInfo.yesNo("default_password_enabled", false, "Report that a factory's password still works.")

	DebugLevel  = libimcv.number("debug_level", "", 1, math.MinInt, math.MaxInt, "How much is logged, from -1 to 4, in hosts that do not log through libstrongswan.")
	StderrQuiet = libimcv.yesNo("stderr_quiet", false, "Do not log to stderr in such hosts.")
)

// What a verifier may ask the Attestation IMC for.
var (
	MeasureAllow      = measuring.textOf("list", "measure_allow", "all", "Patterns of paths that a verifier may ask for.").mustBe(eachOf(absolutePattern))
	MeasureDeny       = measuring.textOf("list", "measure_deny", "", "Patterns of paths that it may not ask for.").mustBe(eachOf(absolutePattern))
	MeasureMaxFiles   = measuring.textOf("number", "measure_max_files", "100000", "Most files and links of one directory, at most 10,000,000.").mustBe(between(1, 10_000_000))
	MeasureMaxBytes   = measuring.textOf("number", "measure_max_bytes", "68719476736", "Most octets read for one request.").mustBe(between(1, 1<<62))
	MeasureMaxSeconds = measuring.textOf("number", "measure_max_seconds", "60", "Seconds until the answer, at most 86,400.").mustBe(between(1, 86_400))
)

// TCTI returns where the TPM is in one piece, as in "swtpm:port=2321".
func TCTI(c *config.Config) string {
	name := TCTIName.In(c)
	if opts := TCTIOpts.In(c); opts != "" {
		return name + ":" + opts
	}
	return name
}
