#!/bin/sh
# Installs the Debian packages that tests run as peers, where this is root on
# Debian and one is missing; elsewhere says what the skipped tests would need.
set -eu
packages="strongswan-charon libcharon-extra-plugins libcharon-extauth-plugins libstrongswan-extra-plugins libstrongswan-standard-plugins strongswan-swanctl
hostapd eapoltest swtpm swtpm-tools gnutls-bin tpm2-tools nftables iperf3 iproute2 iputils-ping procps openssl"

# peers.sh vm: what make vmtest needs
[ "${1:-}" != vm ] || packages="linux-image-cloud-amd64 qemu-system-x86 swtpm"

missing=
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "tests against real peers will be skipped: they need root and, on Debian, apt-get install$missing"
	exit 0
fi
echo "installing the tests' peers:$missing"
log=$(mktemp)
if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -n 20 "$log"
	rm -f "$log"
	echo "could not install$missing: the tests that need them are skipped, or fail where CI is set" >&2
	exit 0
fi
rm -f "$log"
# The packages start services that the tests do not want.
for s in strongswan-starter hostapd; do
	systemctl disable --now "$s" >/dev/null 2>&1 || true
done
