// Package imc is the Attestation Integrity Measurement Collector behind the
// IF-IMC 1.3 interface, without any C: the Agent answers the calls that a TNC
// client makes (Initialize, NotifyConnectionChange, BeginHandshake,
// ReceiveMessage …) and calls back through a Host.
//
// It holds no file, socket, clock or goroutine: what it measures it asks of a
// Measurer (imc/pts) and a Platform, both injected.
//
// # Usage
//
// A library or a test makes an Agent with New and calls it as a TNC client would:
// Initialize and ProvideHost once, NotifyConnectionChange and BeginHandshake for
// each connection, ReceiveMessageLong for each message, Terminate at the end. The
// Agent answers by calling the Host. capi/attestation is the C library around it.
//
// # Settings
//
// In strongswan.conf, below NAME, the host (charon, charon-systemd, …), else below
// libimcv. Those of strongSwan's imc-attestation and imc-os mean what they mean
// there:
//
//	plugins.imc-attestation.
//	  hash_algorithm       the strongest that is offered: sha1, sha256, sha384 (default), sha512
//	  mandatory_dh_groups  whether D-H group ecp256 must be there (yes)
//	  nonce_len            octets of the D-H nonce (20; at least 17)
//	  aik_handle           handle in hex of the attestation key of a TPM 2.0 (none)
//	  aik_blob             file with the attestation key of a TPM 1.2 (none)
//	  aik_cert             file with the key's certificate, PEM or DER (none)
//	  aik_pubkey           file with its public key, for a TPM 1.2 without certificate (none)
//	  use_quote2           whether a TPM 1.2 quotes with Quote2 (yes)
//	  use_version_info     whether such a quote holds the TPM's version (no)
//	  pcr_info             whether evidence has the PCR before and after each event (no)
//	  pcr_padding          whether the kernel pads SHA-1 digests into larger PCR banks (no; the
//	                       TPM's PCRs overrule it)
//	  pcr17_before, pcr17_meas, pcr17_after, pcr18_before, pcr18_meas, pcr18_after
//	                       what Trusted Boot measured, 20 octets in hex (none)
//	plugins.tpm.tcti.
//	  name, opts           the TPM: device, swtpm or mssim, and its address, as in
//	                       host=127.0.0.1,port=2321 (/dev/tpmrm0, else /dev/tpm0)
//	plugins.imc-os.
//	  push_info            whether the platform is sent unasked (yes)
//	  device_id, device_handle, device_pubkey, device_cert
//	                       what the Device ID is taken from, in this order (the machine ID)
//	imcv.os_info.
//	  name, version        the platform, where it is not to be found out (/etc/os-release)
//	  default_password_enabled
//	                       whether a factory's password still works (no)
//
// libimcv.debug_level (1) and libimcv.stderr_quiet (no) count in hosts that do not
// log through libstrongswan. Of this library alone are, in
// plugins.imc-attestation:
//
//	dh_groups            D-H groups that may be used (all): modp1024, modp1536, modp2048,
//	                     ecp256, ecp384, ecp521
//	os_info              whether this IMC sends the platform where imc-os is not loaded (yes)
//	retry                whether one more handshake is asked for after access was refused or
//	                     isolated (no)
//	ima_saved            parts of IMA's list that the kernel exported and deleted ()
//	segmentation         whether segments are asked of verifiers (no)
//	language             of texts for the user, as in RFC 5646 (that of the locale)
//	measure_allow, measure_deny, measure_max_files, measure_max_bytes, measure_max_seconds
//	                     what a verifier may ask for (imc/measure)
package imc
