#!/bin/sh
# Records the netlink requests of iproute2 that request_test.go compares ours
# with. Nothing is changed: it runs in a network namespace of its own.
# Needs strace and iproute2. Usage: cd testdata && sh record.sh
set -eu
record() {
	name=$1
	shift
	{
		echo "# ip xfrm $*"
		unshare -n strace -e trace=sendmsg -e write=all ip xfrm "$@" 2>&1 |
			sed -n 's/^ | [0-9a-f]*  \(.\{49\}\).*/\1/p'
	} >"$name.hex"
}
gcm=0x000102030405060708090a0b0c0d0e0f10111213
aes=0x000102030405060708090a0b0c0d0e0f
sha=0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f
record state-gcm-udp state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0xc0000001 reqid 7 mode tunnel replay-window 32 flag af-unspec aead 'rfc4106(gcm(aes))' $gcm 128 encap espinudp 4500 4500 0.0.0.0
record state-cbc-mark state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0xc0000001 mark 0x2a mask 0xff reqid 7 mode tunnel replay-window 32 flag af-unspec enc 'cbc(aes)' $aes auth-trunc 'hmac(sha256)' $sha 128 if_id 0x11
record state-esn6 state add src 2001:db8::1 dst 2001:db8::2 proto esp spi 0xc0000001 reqid 7 mode tunnel replay-window 64 flag af-unspec flag esn aead 'rfc4106(gcm(aes))' $gcm 128
record state-outer state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0xc0000001 reqid 7 mode tunnel replay-window 32 flag af-unspec flag noecn flag decap-dscp flag nopmtudisc extra-flag dont-encap-dscp aead 'rfc4106(gcm(aes))' $gcm 128
record state-delete state delete src 192.0.2.1 dst 192.0.2.2 proto esp spi 0xc0000001
record policy-out policy update src 10.3.0.1/32 dst 10.1.0.0/16 dir out priority 1000 tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 7 mode tunnel
record policy-fwd-tcp policy update src 10.1.0.0/16 dst 10.3.0.1/32 proto tcp sport 443 dir fwd priority 1000 mark 0x2a mask 0xff if_id 0x11 tmpl src 192.0.2.2 dst 192.0.2.1 proto esp reqid 7 mode tunnel
record policy-delete policy delete src 10.3.0.1/32 dst 10.1.0.0/16 dir out
