#!/bin/sh
# Builds a kernel with ESP in TCP (RFC 9329), which Debian's have not, from Debian's
# sources as a program: build/kernel/linux.uml (User-mode Linux). It takes ten
# minutes or more and needs a compiler, flex, bison, bc, and 2 GB. Then:
# GOTNC_VM_KERNEL=$PWD/build/kernel/linux.uml make vmtest
set -eu
cd "$(dirname "$0")/../../.."
version=${1:-6.1}
out=$PWD/build/kernel
mkdir -p "$out"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
(cd "$work" && apt-get download -qq "linux-source-$version" && dpkg -x linux-source-*.deb . && tar -xf usr/src/linux-source-*.tar.xz)
cd "$work/linux-source-$version"
make ARCH=um defconfig >/dev/null
for o in \
	INET IPV6 IPV6_MULTIPLE_TABLES IP_ADVANCED_ROUTER IP_MULTIPLE_TABLES NAMESPACES NET_NS UTS_NS IPC_NS PID_NS \
	XFRM XFRM_USER XFRM_INTERFACE XFRM_MIGRATE XFRM_STATISTICS INET_ESP INET_ESPINTCP INET6_ESP INET6_ESPINTCP INET_XFRM_TUNNEL NET_KEY \
	VETH TUN NETFILTER NETFILTER_ADVANCED NF_CONNTRACK NF_NAT NF_TABLES NF_TABLES_INET NF_TABLES_IPV4 NF_TABLES_IPV6 NFT_CT NFT_NAT NFT_MASQ NFT_COMPAT \
	NET_SCHED NET_SCH_NETEM PACKET UNIX TMPFS DEVTMPFS BLK_DEV_INITRD \
	CRYPTO_AES CRYPTO_CBC CRYPTO_CTR CRYPTO_GCM CRYPTO_CCM CRYPTO_CMAC CRYPTO_XCBC CRYPTO_HMAC CRYPTO_SHA1 CRYPTO_SHA256 CRYPTO_SHA512 \
	CRYPTO_AUTHENC CRYPTO_AUTHENCESN CRYPTO_ECHAINIV CRYPTO_SEQIV CRYPTO_NULL CRYPTO_CHACHA20POLY1305 HIGH_RES_TIMERS; do
	scripts/config --enable "$o"
done
for o in SOUND WLAN DEBUG_KERNEL GCOV EXT4_FS REISERFS_FS ISO9660_FS AUTOFS_FS QUOTA; do
	scripts/config --disable "$o"
done
make ARCH=um olddefconfig >/dev/null
grep -q CONFIG_INET_ESPINTCP=y .config || { echo "this kernel has no ESP in TCP" >&2; exit 1; }
make ARCH=um -j"$(nproc)" linux >/dev/null
cp linux "$out/linux.uml"
echo "$out/linux.uml"
