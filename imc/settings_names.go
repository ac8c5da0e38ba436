package imc

// AttestationSettings lists the names of the settings below
// plugins.imc-attestation, for programs that look for mistyped ones.
var AttestationSettings = []string{
	"aik_blob", "aik_cert", "aik_handle", "aik_pubkey", "dh_groups", "hash_algorithm", "language", "mandatory_dh_groups",
	"measure_allow", "measure_deny", "measure_max_bytes", "measure_max_files", "measure_max_seconds", "nonce_len", "os_info",
	"pcr17_after", "pcr17_before", "pcr17_meas", "pcr18_after", "pcr18_before", "pcr18_meas", "pcr_info", "pcr_padding",
	"retry", "segmentation", "use_quote2", "use_version_info",
}
