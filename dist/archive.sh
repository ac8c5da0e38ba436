#!/usr/bin/env bash
# archive.sh VERSION FOLDER: writes the sources of the commit that is checked out,
# with their version, to FOLDER/gotnc-VERSION.tar.gz, the same octets each time.
set -euo pipefail
version=$1 name=gotnc-${1#v} folder=$2
tmp=$(mktemp -d); trap 'rm -rf "$tmp"' EXIT
git archive --prefix="$name/" HEAD | tar -x -C "$tmp"
echo "$version" > "$tmp/$name/dist/VERSION"
tar -C "$tmp" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$(git log -1 --format=%ct)" -c "$name" | gzip -n > "$folder/$name.tar.gz"
echo "$folder/$name.tar.gz"
