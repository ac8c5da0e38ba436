// Package hostapd runs our EAP peer, with EAP-TTLS, EAP-MD5 and EAP-TNC, over
// RADIUS against Debian's hostapd, whose TNC server speaks TNCCS 1.1.
package hostapd
