#!/usr/bin/env bash
# cross.sh: builds the products for arm64 in BUILD/arm64 with Debian's cross compiler,
# says what they are, and runs tnc and the stub's loader under qemu where it is there.
set -euo pipefail
: "${BUILD:?}" "${MAKE:?}" "${GO:?}"
cc=aarch64-linux-gnu-gcc out=$BUILD/arm64
if ! command -v $cc >/dev/null; then
	echo "cross: needs $cc: apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross" >&2
	exit 1
fi
mkdir -p "$out"
# tnc without cgo is a static program; it cannot load libraries, all else works.
CGO_ENABLED=0 GOARCH=arm64 "$GO" build -trimpath -ldflags "-s -w -X main.version=${VERSION-unknown}" -o "$out/tnc" ./cmd/tnc
GOARCH=arm64 "$MAKE" -s lib BUILD="$out" CC=$cc VERSION="${VERSION-unknown}"

# is FILE PATTERN: what readelf says of the file.
is() { LC_ALL=C readelf -hd "$1" 2>/dev/null | grep -E "$2" >/dev/null || { echo "cross: $1 is not $2" >&2; exit 1; }; }
for f in tnc imc-attestation.so imc-attestation-stub.so libtnccs.so; do is "$out/$f" 'Machine: +AArch64'; done
for f in imc-attestation.so imc-attestation-stub.so libtnccs.so; do is "$out/$f" 'NEEDED.*libc\.so\.6'; done
if LC_ALL=C readelf -l "$out/tnc" | grep INTERP >/dev/null; then echo "cross: $out/tnc is not static" >&2; exit 1; fi
diff -u capi/attestation/abi.golden <(aarch64-linux-gnu-nm -D --defined-only "$out/imc-attestation-stub.so" | awk '{print $3}' | LC_ALL=C sort)
diff -u capi/attestation/abi.golden <(aarch64-linux-gnu-nm -D --defined-only "$out/imc-attestation.so" | awk '{print $3}' | LC_ALL=C sort)
diff -u capi/tnccs/abi.golden <(aarch64-linux-gnu-nm -D --defined-only "$out/libtnccs.so" | awk '{print $3}' | LC_ALL=C sort)

qemu=$(command -v qemu-aarch64 || command -v qemu-aarch64-static || true)
if [ -z "$qemu" ]; then
	echo "cross: built for arm64; nothing was run: apt-get install qemu-user"
	exit 0
fi
"$qemu" "$out/tnc" version
# A C host that opens the stub, which starts tnc imc-host: the kernel must know how to
# run arm64 for that (binfmt_misc), so only the load is tried here.
$cc -Iinclude -o "$out/host" capi/attestation/example/host.c -ldl
root=/usr/aarch64-linux-gnu
for f in imc-attestation.so imc-attestation-stub.so; do
	"$qemu" -L $root "$out/host" "$(realpath "$out/$f")" >"$out/host.log" 2>&1 || true
	if grep -qE 'cannot open|undefined symbol|wrong ELF' "$out/host.log"; then cat "$out/host.log" >&2; exit 1; fi
done
echo "cross: arm64 built and run"
