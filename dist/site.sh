#!/usr/bin/env bash
# site.sh BUILD: builds the documents as a site in BUILD/site. The tree that mkdocs sees is that of
# the repository, so that links work in both.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v mkdocs >/dev/null || { echo "make site needs mkdocs: apt-get install mkdocs" >&2; exit 1; }
source=$1/site-source
rm -rf "$source"
mkdir -p "$source"
cp --parents -r README.md LICENSE CHANGELOG.md SECURITY.md CONTRIBUTING.md ARCHITECTURE.md tnc_config.example docs include \
	capi/attestation/example capi/tnccs/example dist/apparmor "$source"
touch "$source/go.mod" # the examples are not packages of this module a second time
sed "s|@SOURCE@|$source|; s|@SITE@|$1/site|" mkdocs.yml > "$1/mkdocs.yml"
mkdocs build --quiet --strict --clean --config-file "$1/mkdocs.yml"
echo "$1/site/index.html"
