#!/bin/sh
# Installs the Debian packages that tests run as peers, where this is root on
# Debian and one is missing; elsewhere says what the skipped tests would need.
#
# It removes no package, starts no service, and stops none. Where a VPN runs nothing is
# installed: an IKE daemon's package would meet the one that carries it.
set -eu
packages="strongswan-charon libcharon-extra-plugins libcharon-extauth-plugins libstrongswan-extra-plugins libstrongswan-standard-plugins strongswan-swanctl
hostapd eapoltest dbus-daemon swtpm swtpm-tools gnutls-bin tpm2-tools nftables iperf3 iproute2 iputils-ping procps openssl pkg-config
libpolkit-gobject-1-0 libduktape207 musl-tools"

# peers.sh vm: what make vmtest needs; the libraries of the gateways that it unpacks
if [ "${1:-}" = vm ]; then
	packages="linux-image-cloud-amd64 qemu-system-x86 swtpm nftables iproute2 iputils-ping
libnss3-tools libldns3 libunbound8 libcap-ng0 libcurl3-nss libevent-core-2.1-7 libevent-pthreads-2.1-7 libevent-2.1-7"
fi

# unpack_peers vm leaves the files of gateways in build/peers: libreswan and
# strongSwan cannot be installed beside each other, and no service is started.
unpack_peers() {
	[ "$1" = vm ] && command -v apt-get >/dev/null && command -v dpkg >/dev/null || return 0
	cd "$(dirname "$0")/../.."
	unpack libreswan usr/libexec/ipsec/pluto libreswan && unpack openiked usr/sbin/iked openiked ||
		echo "could not download libreswan or openiked: their tests are skipped, or fail where CI is set" >&2
	# Without KVM a kernel that is a program is faster than an emulated machine.
	# Debian's has NAT for iptables only.
	[ -w /dev/kvm ] || [ -e build/kernel/linux.uml ] ||
		{ unpack uml usr/bin/linux.uml user-mode-linux && unpack iptables usr/sbin/xtables-legacy-multi iptables libip4tc2 libip6tc2; } ||
		echo "could not download user-mode-linux or iptables: the gateways run in an emulated machine, which may be too slow" >&2
}

# unpack FOLDER FILE PACKAGE... leaves the files of packages in build/peers/FOLDER,
# unless FILE is there.
unpack() {
	to=build/peers/$1 file=$2
	shift 2
	[ ! -e "$to/$file" ] || return 0
	rm -rf "$to" && mkdir -p "$to"
	(cd "$to" && apt-get -o APT::Sandbox::User=root download -qq "$@" && for p in *.deb; do dpkg -x "$p" . || exit; done && rm -f ./*.deb)
}

# Unpacked, not installed: they take resolv.conf over, start a service, or confine programs.
unpacked=${GOTNC_UNPACKED:-/var/cache/gotnc/unpacked}
unpack_resolvers() {
	for p in systemd-resolved openresolv polkitd apparmor; do
		[ ! -d "$unpacked/$p" ] || continue
		(cd "$(mktemp -d)" && { apt-get download -qq "$p" || { apt-get update -qq && apt-get download -qq "$p"; }; } && mkdir -p "$unpacked" && dpkg -x "$p"_*.deb "$unpacked/$p") >/dev/null 2>&1 ||
			echo "could not unpack $p: the tests that need it are skipped, or fail where CI is set" >&2
	done
}
if [ "${1:-}" != vm ] && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then unpack_resolvers; fi

missing=
for p in $packages; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
if [ -z "$missing" ]; then
	unpack_peers "${1:-}"
	exit 0
fi

if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
	echo "tests against real peers will be skipped: they need root and, on Debian, apt-get install$missing"
	exit 0
fi

# vpn says what of this machine is a VPN at work; nothing where there is none.
vpn() {
	for f in "${GOTNC_PROC:-/proc}"/[0-9]*/comm; do
		{ read -r name <"$f"; } 2>/dev/null || continue
		case $name in
		charon | charon-* | pluto | iked | openvpn | openconnect | vpnc | tailscaled | starter) echo "$name runs" ;;
		tnc) ! tr '\0' ' ' 2>/dev/null <"${f%comm}cmdline" | grep -q ' up ' || echo "tnc up runs" ;;
		esac
	done | sort -u
	command -v ip >/dev/null || return 0
	ip -o link show type wireguard 2>/dev/null | cut -d: -f2 | sed 's/^ *\(.*\)/the WireGuard device \1 is there/'
	[ -z "$(ip xfrm policy 2>/dev/null | grep -m1 tmpl)" ] || echo "the kernel has IPsec policies"
}
at_work=$(vpn | sed 'N;s/\n/, /')
if [ -n "$at_work" ]; then
	echo "this machine is at work as a VPN ($at_work): nothing is installed; tests that need$missing are skipped, or fail where CI is set"
	exit 0
fi
echo "installing the tests' peers:$missing"
# Packages with a service that are installed already.
before=" "
for p in strongswan-starter hostapd; do
	! dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || before="$before$p "
done
log=$(mktemp)
# While policy-rc.d says so no service is started, so that none has to be stopped: one
# that was there before goes on. A file of that name is the administrator's: it stays.
policy=${GOTNC_POLICY:-/usr/sbin/policy-rc.d}
if [ -e "$policy" ]; then
	policy=
else
	printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy"
	trap 'rm -f "$policy"' EXIT INT TERM HUP
fi
if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-remove --no-install-recommends $missing; } >"$log" 2>&1; then
	tail -n 20 "$log"
	rm -f "$log"
	echo "could not install$missing: the tests that need them are skipped, or fail where CI is set" >&2
	exit 0
fi
rm -f "$log"
[ -z "$policy" ] || rm -f "$policy"
# What came now is not to start with the machine either; what was there stays as it was.
for p in strongswan-starter hostapd; do
	case $before in *" $p "*) continue ;; esac
	systemctl disable "$p" >/dev/null 2>&1 || true
done
unpack_peers "${1:-}"
