#!/usr/bin/env bash
# install.sh install|uninstall: copies what `make` built to where it belongs, or
# removes exactly that. The Makefile sets the variables; DESTDIR is in front of all.
set -euo pipefail
: "${BUILD:?}" "${VERSION:?}" "${PREFIX:?}" "${BINDIR:?}" "${LIBDIR:?}" "${INCLUDEDIR:?}" "${MANDIR:?}" "${DOCDIR:?}" "${DATADIR:?}" "${UNITDIR:?}"
DESTDIR=${DESTDIR-} action=${1:?install or uninstall}

# put MODE FILE DESTINATION: one file.
put() {
	case $action in
	install) install -D -m "$1" "$2" "$DESTDIR$3" ;;
	uninstall) rm -f "$DESTDIR$3" ;;
	esac
}

# fill FILE DESTINATION: one file with the paths of this installation.
fill() {
	case $action in
	install)
		install -d "$DESTDIR$(dirname "$2")"
		sed -e "s|@PREFIX@|$PREFIX|; s|@LIBDIR@|$LIBDIR|; s|@INCLUDEDIR@|$INCLUDEDIR|; s|@VERSION@|$NUMBER|" \
			-e "s|/usr/bin/tnc|$BINDIR/tnc|; s|/usr/lib/ipsec/imcvs|$LIBDIR/gotnc|" "$1" > "$DESTDIR$2"
		chmod 644 "$DESTDIR$2" ;;
	uninstall) rm -f "$DESTDIR$2" ;;
	esac
}

# link TARGET DESTINATION: one symbolic link.
link() {
	case $action in
	install) ln -sf "$1" "$DESTDIR$2" ;;
	uninstall) rm -f "$DESTDIR$2" ;;
	esac
}

# pkg-config wants a number: 0.1.0 of v0.1.0-7-gabcdef, 0.0.0 where there is no tag.
NUMBER=$(sed -nE 's/^v?([0-9]+(\.[0-9]+)*).*/\1/p' <<<"$VERSION")
case $VERSION in v[0-9]* | [0-9]*.[0-9]*) ;; *) NUMBER=0.0.0 ;; esac

if [ "$action" = install ]; then
	for f in tnc imc-attestation.so imc-attestation-stub.so libtnccs.so; do
		[ -e "$BUILD/$f" ] || { echo "install: $BUILD/$f is not built: run \`make\` first, as the user who has Go" >&2; exit 1; }
	done
fi

put 755 "$BUILD/tnc" "$BINDIR/tnc"
put 755 "$BUILD/imc-attestation.so" "$LIBDIR/gotnc/imc-attestation.so"
put 755 "$BUILD/imc-attestation-stub.so" "$LIBDIR/gotnc/imc-attestation-stub.so"
put 755 "$BUILD/libtnccs.so" "$LIBDIR/libtnccs.so.1"
link libtnccs.so.1 "$LIBDIR/libtnccs.so"
for h in tncif tncifimc tnccs; do put 644 "include/$h.h" "$INCLUDEDIR/$h.h"; done
fill capi/attestation/gotnc-imc.pc.in "$LIBDIR/pkgconfig/gotnc-imc.pc"
fill capi/tnccs/libtnccs.pc.in "$LIBDIR/pkgconfig/libtnccs.pc"
fill dist/tnc@.service "$UNITDIR/tnc@.service"
# polkit reads /usr/share/polkit-1 and /etc/polkit-1: with another PREFIX copy it there.
put 644 dist/tnc.rules "$DATADIR/polkit-1/rules.d/tnc.rules"

# Documents keep their places to each other, so that their links work.
for f in README.md LICENSE CHANGELOG.md SECURITY.md CONTRIBUTING.md ARCHITECTURE.md; do put 644 "$f" "$DOCDIR/$f"; done
while read -r f; do put 644 "$f" "$DOCDIR/$f"; done < <(find docs -type f -not -path 'docs/man/*' | sort)
for h in tncif tncifimc tnccs; do put 644 "include/$h.h" "$DOCDIR/include/$h.h"; done
for f in capi/attestation/example/host.c capi/tnccs/example/client.c; do put 644 "$f" "$DOCDIR/$f"; done
put 644 dist/apparmor/charon "$DOCDIR/apparmor/charon"
fill tnc_config.example "$DOCDIR/tnc_config.example"
[ ! -e "$BUILD/THIRD-PARTY-NOTICES" ] || put 644 "$BUILD/THIRD-PARTY-NOTICES" "$DOCDIR/THIRD-PARTY-NOTICES"

# Manual pages and completions: where `make` made them.
if [ "$action" = uninstall ]; then
	rm -f "$DESTDIR$MANDIR"/man1/tnc{,-*}.1 "$DESTDIR$MANDIR"/man3/tnccs.h.3 "$DESTDIR$MANDIR"/man5/tnc_config.5
else
	for f in "$BUILD"/man/*.[1-9]; do
		[ -e "$f" ] || { echo "install: no manual pages in $BUILD/man: run \`make man\`" >&2; break; }
		put 644 "$f" "$MANDIR/man${f##*.}/$(basename "$f")"
	done
fi
for c in bash:bash-completion/completions/tnc zsh:zsh/site-functions/_tnc fish:fish/vendor_completions.d/tnc.fish; do
	f=$BUILD/completions/${c%%:*}
	if [ "$action" = uninstall ] || [ -e "$f" ]; then put 644 "$f" "$DATADIR/${c#*:}"; fi
done

# Folders that are ours alone.
if [ "$action" = uninstall ]; then rm -rf "$DESTDIR$LIBDIR/gotnc" "$DESTDIR$DOCDIR"; fi
