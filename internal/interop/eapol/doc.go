// Package eapol has Debian's eapol_test (wpa_supplicant's client side) load
// imc-attestation.so and attest to Debian's hostapd over RADIUS, EAP-TTLS and
// IF-TNCCS 1.1. The verifier is testdata/imv.c, which hostapd loads.
package eapol
