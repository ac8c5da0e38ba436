package settings

import "strings"

// unread lists settings of strongSwan that nothing here reads, and why. Names
// that end in ".*" cover all below; an element <name> stands for any name.
var unread = []struct {
	names string // separated by blanks
	why   string
}{
	{"charon.load charon.load_modular", "there are no plugins to load"},
	{"charon.filelog.* charon.syslog.*", "what is logged follows the flags -v and --log, and goes to stderr"},
	{"charon.accept_unencrypted_mainmode_messages charon.max_ikev1_exchanges charon.cisco_unity" +
		" charon.i_dont_care_about_security_and_use_aggressive_mode_psk", "IKEv1 is not spoken"},
	{"charon.block_threshold charon.cookie_threshold charon.cookie_threshold_ip charon.dos_protection charon.half_open_timeout" +
		" charon.ikesa_limit charon.init_limit_half_open charon.init_limit_job_load charon.initiator_only" +
		" charon.dns1 charon.dns2 charon.nbns1 charon.nbns2 charon.reject_trusted_end_entity", "only a gateway has it"},
	{"charon.threads charon.processor.* charon.host_resolver.* charon.ikesa_table_segments charon.ikesa_table_size charon.cert_cache",
		"there is no such pool or table"},
	{"charon.crypto_test.* charon.integrity_test charon.leak_detective.* charon.dlopen_use_rtld_now charon.dh_exponent_ansi_x9_42",
		"there are no libraries of strongSwan to test or tune"},
	{"charon.user charon.group charon.start-scripts.* charon.stop-scripts.*", "there is no daemon"},
	{"charon.receive_delay charon.receive_delay_response charon.receive_delay_request charon.receive_delay_type" +
		" charon.send_delay charon.send_delay_response charon.send_delay_request charon.send_delay_type", "it is for tests of charon"},
	{"charon.check_current_path charon.cisco_flexvpn charon.close_ike_on_child_failure charon.delete_rekeyed charon.delete_rekeyed_delay" +
		" charon.flush_auth_cfg charon.ignore_acquire_ts charon.ignore_routing_tables charon.inactivity_close_ike" +
		" charon.install_virtual_ip_on charon.interfaces_ignore charon.interfaces_use charon.iptfs.* charon.keep_alive_dpd_margin" +
		" charon.make_before_break charon.multiple_authentication charon.ocsp_nonce_len charon.prefer_best_path" +
		" charon.prefer_configured_proposals charon.prefer_temporary_addrs charon.process_route charon.rdn_matching charon.replay_window" +
		" charon.reqid_base charon.reuse_ikesa charon.rsa_pss_trailerfield charon.send_vendor_id" +
		" charon.signature_authentication_constraints charon.spi_label charon.spi_mask charon.spi_min charon.spi_max" +
		" charon.x509.enforce_critical", ""},
	{"charon.retry_initiate_interval", "a name that does not resolve is a try of keyingtries, after 1 s and up to a minute"},
	{"charon.force_eap_only_authentication", "only a gateway has it: strongSwan's client does not read it either"},
	{"charon.accept_private_algs", "no algorithm of private use is implemented, so none is offered or accepted"},
	{"charon.tls.cipher charon.tls.key_exchange charon.tls.mac charon.tls.suites charon.tls.ke_group charon.tls.signature" +
		" charon.tls.send_certreq_authorities libtls.cipher libtls.key_exchange libtls.mac libtls.suites libtls.ke_group" +
		" libtls.signature libtls.send_certreq_authorities", "Go's crypto/tls decides"},
	{"charon.plugins.eap-ttls.phase2_method charon.plugins.eap-ttls.phase2_piggyback charon.plugins.eap-ttls.phase2_tnc" +
		" charon.plugins.eap-ttls.phase2_tnc_method charon.plugins.eap-ttls.request_peer_auth" +
		" charon.plugins.eap-peap.phase2_method charon.plugins.eap-peap.phase2_piggyback charon.plugins.eap-peap.phase2_tnc" +
		" charon.plugins.eap-peap.request_peer_auth", "only a gateway has it"},
	{"charon.plugins.stroke.ignore_missing_ca_basic_constraint charon.plugins.stroke.max_concurrent" +
		" charon.plugins.stroke.prevent_loglevel_changes charon.plugins.stroke.socket charon.plugins.stroke.timeout", "there is no daemon"},
	{"charon.plugins.tnc-imc.dlclose charon.plugins.resolve.resolvconf.iface", ""},
	{"charon.plugins.tpm.use_rng charon.plugins.tpm.fips_186_4 charon.plugins.tpm.ek_handle", "the TPM serves attestation only"},
	{"charon.imcv.assessment_result charon.imcv.database charon.imcv.policy_script charon.imcv.swid_gen.* libimcv.assessment_result" +
		" libimcv.database libimcv.policy_script libimcv.swid_gen.*", "only a verifier has it"},
}

// plugins are those whose settings are looked at one by one: of others nothing
// is read.
var plugins = map[string]bool{
	"resolve": true, "stroke": true, "revocation": true, "eap-tls": true, "eap-ttls": true, "eap-peap": true, "eap-tnc": true,
	"tnc-imc": true, "tnccs-20": true, "tnccs-11": true, "tpm": true, "imc-attestation": true, "imc-os": true,
}

// whyUnread returns the reason why nothing reads the setting of strongSwan of
// that full name, "" where there is none to give; ok is false where the name is
// not one of them.
func whyUnread(name string) (why string, ok bool) {
	for _, u := range unread {
		for pattern := range strings.FieldsSeq(u.names) {
			below, all := strings.CutSuffix(pattern, "*")
			if all && strings.HasPrefix(name, below) || matches(pattern, name) {
				return u.why, true
			}
		}
	}
	return "", false
}
