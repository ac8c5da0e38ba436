#!/usr/bin/env bash
# package.sh deb|rpm: makes packages of what `make all` built, in build/packages:
#   gotnc          tnc, imc-attestation.so, unit, manual, completions, documents
#   libtnccs1      libtnccs.so.1
#   libtnccs-dev   (libtnccs-devel) headers, pkg-config files, manual of the library
# `make install` puts the files into three trees, so that a package holds what it
# installs. The octets depend on the sources alone (SOURCE_DATE_EPOCH).
set -euo pipefail
: "${BUILD:?}" "${VERSION:?}" "${MAKE:?}" "${GO:?}"
kind=${1:?deb or rpm} out=$BUILD/packages
nfpm() { "$GO" run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.44.2 "$@"; }

export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
date=$(date -u -R -d "@$SOURCE_DATE_EPOCH")
# v0.1.0-7-gabcdef is 0.1.0+7.gabcdef, which sorts behind 0.1.0; without a tag
# 0.0.0+abcdef.
number=${VERSION#v}
case $number in
[0-9]*.[0-9]*) version=${number/-/+} version=${version//-/.} ;;
*) version=0.0.0+${number//-/.} ;;
esac
arch=$("$GO" env GOARCH)

case $kind in
deb) libdir=/usr/lib/$(gcc -print-multiarch 2>/dev/null || echo "$(uname -m)-linux-gnu") dev=libtnccs-dev ;;
rpm) libdir=/usr/lib64 dev=libtnccs-devel ;;
*) echo "package.sh: deb or rpm, not $kind" >&2; exit 2 ;;
esac
stage=$BUILD/.stage-$kind # go passes over folders with a dot
rm -rf "$stage"; mkdir -p "$stage" "$out"
"$MAKE" -s install BUILD="$BUILD" VERSION="$VERSION" DESTDIR="$stage/gotnc" PREFIX=/usr LIBDIR="$libdir" UNITDIR=/usr/lib/systemd/system

# move PACKAGE PATH...: out of the tree of gotnc
move() {
	local to=$stage/$1; shift
	for f; do mkdir -p "$to$(dirname "$f")"; mv "$stage/gotnc$f" "$to$f"; done
}
move libtnccs1 "$libdir/libtnccs.so.1"
move "$dev" "$libdir"/libtnccs.so /usr/include/{tncif,tncifimc,tnccs}.h "$libdir"/pkgconfig/{gotnc-imc,libtnccs}.pc /usr/share/man/man3/tnccs.h.3
rmdir "$stage/gotnc$libdir/pkgconfig" "$stage/gotnc/usr/include" "$stage/gotnc/usr/share/man/man3"

chmod 644 "$stage/libtnccs1$libdir/libtnccs.so.1"
find "$stage" -path '*/share/man/*' -type f -exec gzip -9n {} +
for p in gotnc libtnccs1 "$dev"; do
	d=$stage/$p/usr/share/doc/$p
	mkdir -p "$d"
	if [ "$kind" = deb ]; then # what Debian's policy wants to find there
		{
			echo "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/"
			echo "Upstream-Name: gotnc"
			printf '\nFiles: *\nCopyright: 2026 The gotnc authors\nLicense: Apache-2.0\n'
			printf '\nLicense: Apache-2.0\n On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.\n'
			[ "$p" = gotnc ] && echo " What others wrote is in THIRD-PARTY-NOTICES."
		} > "$d/copyright"
		printf '%s (%s) unstable; urgency=medium\n\n  * See CHANGELOG.md of the sources.\n\n -- gotnc <maintainers@users.noreply.github.com>  %s\n' "$p" "$version" "$date" |
			gzip -9n > "$d/changelog.Debian.gz"
	else
		cp LICENSE "$d/"
	fi
	find "$stage/$p" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
	config=$stage/$p.yaml
	sed -e "s|@VERSION@|$version|; s|@ARCH@|$arch|; s|@DEV@|$dev|; s|@STAGE@|$stage/$p|" "dist/packages/$p.$kind.yaml" > "$config"
	nfpm package --config "$config" --packager "$kind" --target "$out/"
done

# dpkg-shlibdeps of programs that link the library reads DEBIAN/shlibs, which nfpm
# cannot write.
if [ "$kind" = deb ]; then
	deb=$(realpath "$out"/libtnccs1_"$version"-1_*.deb) control=$stage/control
	mkdir -p "$control"
	(cd "$stage" && ar x "$deb" control.tar.gz && tar -xzf control.tar.gz -C control)
	echo "libtnccs 1 libtnccs1 (>= ${version%%+*})" > "$control/shlibs"
	tar -C "$control" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" -c . | gzip -9n > "$stage/control.tar.gz"
	ar rD "$deb" "$stage/control.tar.gz"
fi
