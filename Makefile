# Every target works from a fresh clone. `make` alone lists them.
SHELL   := /bin/bash
GO      ?= go
BUILD   := build
# The last tag (v0.1.0), or what dist/VERSION of a source archive says; VERSION=v0.1.0 overrules both.
VERSION ?= $(shell cat dist/VERSION 2>/dev/null || git describe --tags --match 'v[0-9]*' --always --dirty 2>/dev/null || echo unknown)

# imc-attestation.so and imc-attestation-stub.so export the nine TNC_IMC_* names and nothing else, libtnccs.so
# those of include/tnccs.h.
LIB_LDFLAGS := -s -w -buildid= -X main.version=$(VERSION) -extldflags=-Wl,--version-script=$(CURDIR)/capi/attestation/exports.map
TNCCS_LDFLAGS := -s -w -buildid= -X main.version=$(VERSION) -extldflags=-Wl,--version-script=$(CURDIR)/capi/tnccs/exports.map,-soname,libtnccs.so.1
# The stub is C, loaded by hosts of glibc and of musl: without what only one has (fortified functions).
STUB_SOURCES := $(wildcard capi/stub/*.c) capi/attestation/hostlog.c
STUB_CFLAGS  := -std=c11 -O2 -fPIC -fvisibility=hidden -U_FORTIFY_SOURCE -Wall -Wextra -Iinclude
STUB_LDFLAGS := -s -Wl,--version-script=capi/attestation/exports.map,--build-id=none,-z,defs,-z,relro,-z,now
TNC_LDFLAGS := -s -w -X main.version=$(VERSION)

CYCLONEDX   := github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.10.0
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 3s

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z ]+:.*## ' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 14

demo: lib tnc ## build both products and run `tnc demo`: no root, no TPM, no port below 1024
	$(BUILD)/tnc demo

stub: ## build build/imc-attestation-stub.so: C alone
	@mkdir -p $(BUILD)
	$(CC) $(STUB_CFLAGS) -shared -o $(BUILD)/imc-attestation-stub.so $(STUB_SOURCES) $(STUB_LDFLAGS)

lib: stub ## build build/imc-attestation.so, imc-attestation-stub.so and libtnccs.so
	@mkdir -p $(BUILD)
	CC='$(CC)' CGO_ENABLED=1 $(GO) build -trimpath -buildmode=c-shared -ldflags '$(LIB_LDFLAGS)' -o $(BUILD)/imc-attestation.so ./capi/attestation
	CC='$(CC)' CGO_ENABLED=1 $(GO) build -trimpath -buildmode=c-shared -ldflags '$(TNCCS_LDFLAGS)' -o $(BUILD)/libtnccs.so ./capi/tnccs
	@ln -sf libtnccs.so $(BUILD)/libtnccs.so.1
	@rm -f $(BUILD)/imc-attestation.h $(BUILD)/libtnccs.h

tnc: ## build build/tnc
	@mkdir -p $(BUILD)
	CGO_ENABLED=1 $(GO) build -trimpath -buildmode=pie -ldflags '$(TNC_LDFLAGS)' -o $(BUILD)/tnc ./cmd/tnc

man: ## make the manual pages of the commands, tnccs.h(3) and tnc_config(5) in build/man
	@mkdir -p $(BUILD)/man
	@$(GO) run -tags manpages ./cmd/tnc $(BUILD)/man

completions: tnc ## make the completions of bash, zsh and fish in build/completions
	@mkdir -p $(BUILD)/completions
	@for s in bash zsh fish; do $(BUILD)/tnc completion $$s > $(BUILD)/completions/$$s; done

notices: ## collect the licences of what the products contain in build/THIRD-PARTY-NOTICES
	@mkdir -p $(BUILD)
	@$(GO) run ./dist/notices > $(BUILD)/THIRD-PARTY-NOTICES

all: lib tnc man completions notices ## make everything that is installed

# Where what is built goes. DESTDIR is in front of each, for packages.
PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR    ?= $(PREFIX)/share
MANDIR     ?= $(DATADIR)/man
DOCDIR     ?= $(DATADIR)/doc/gotnc
UNITDIR    ?= $(PREFIX)/lib/systemd/system
DESTDIR    ?=
INSTALL = BUILD='$(BUILD)' VERSION='$(VERSION)' DESTDIR='$(DESTDIR)' PREFIX='$(PREFIX)' BINDIR='$(BINDIR)' LIBDIR='$(LIBDIR)' \
	INCLUDEDIR='$(INCLUDEDIR)' DATADIR='$(DATADIR)' MANDIR='$(MANDIR)' DOCDIR='$(DOCDIR)' UNITDIR='$(UNITDIR)' dist/install.sh

install: ## install what is built below PREFIX (/usr/local); builds nothing, so root needs no Go
	@$(INSTALL) install

uninstall: ## remove what `make install` installed, with the same PREFIX, LIBDIR, …
	@$(INSTALL) uninstall

deb rpm: all ## make packages in build/packages: gotnc, libtnccs1, libtnccs-dev
	@BUILD='$(BUILD)' VERSION='$(VERSION)' MAKE='$(MAKE)' GO='$(GO)' dist/package.sh $@

pictures: ## draw docs/pictures/*.svg of the texts beside them
	@$(GO) run ./internal/pictures

site: ## build the documents as a site in build/site (mkdocs, Debian's package of that name)
	@dist/site.sh '$(abspath $(BUILD))'

cross: ## build for arm64 in build/arm64 (gcc-aarch64-linux-gnu), and run it under qemu-user
	@BUILD='$(BUILD)' VERSION='$(VERSION)' MAKE='$(MAKE)' GO='$(GO)' dist/cross.sh

sbom: ## write the bill of materials of each product (CycloneDX) to build/sbom
	@mkdir -p $(BUILD)/sbom
	@for m in cmd/tnc capi/attestation capi/tnccs; do $(GO) run $(CYCLONEDX) app -json -licenses -std -main $$m -output $(BUILD)/sbom/$$(basename $$m).cdx.json; done

dist: ## write the sources of VERSION to build/gotnc-VERSION.tar.gz, which builds without git
	@mkdir -p $(BUILD)
	@dist/archive.sh '$(VERSION)' $(BUILD)

test: peers ## run all tests (15 minutes on 2 cores, 30 with STRONGSWAN_PREFIX); the closing summary names every skipped one
	@echo "make test: about 15 minutes on 2 cores, 30 with STRONGSWAN_PREFIX; what has not changed is not run again"
	@set -o pipefail; $(GO) test -json -timeout $(if $(STRONGSWAN_PREFIX),60m,20m) ./... | $(GO) run ./internal/testsummary

peers: ## install Debian's packages that tests run as peers (root on Debian only)
	@internal/interop/peers.sh

check: ## gofmt, vet, staticcheck, race, 1,000 simulated days of IKE, short fuzz
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo "gofmt -w the files above"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	CGO_ENABLED=0 $(GO) vet $$(CGO_ENABLED=0 $(GO) list ./... | grep -vE '/(capi|cmd/tnc|dlimc|capitest|interop)')
	$(GO) test -race -short -timeout $(if $(STRONGSWAN_PREFIX),60m,20m) ./...
	GOTNC_LIFE_SEEDS=1000 $(GO) test -count=1 -timeout 30m -run '^TestLife$$' ./internal/gateway
	internal/fuzzall.sh $(FUZZTIME)

HOURS ?= 1
fuzz: ## run every fuzz target, HOURS (1) together: executions and crashers a target; corpora grow in ~/.cache/gotnc-fuzz
	internal/fuzzall.sh $(HOURS)h

# Folders in it: wycheproof (C2SP/wycheproof), limbo (C2SP/x509-limbo; limbo.json), strongswan
# (strongswan/fuzzing-corpora), libtpms (stefanberger/libtpms); what is missing is skipped.
corpora: ## run parsers and verdicts over the public corpora in $GOTNC_CORPORA: inputs, crashes, differences, slowest
	@test -d "$(GOTNC_CORPORA)" || { echo "make corpora GOTNC_CORPORA=FOLDER, with wycheproof, limbo, strongswan, libtpms in it"; exit 1; }
	@set -o pipefail; GOTNC_CORPORA=$(abspath $(GOTNC_CORPORA)) $(GO) test -count=1 -run '^TestCorpora' -v $$(grep -rl --include='*_test.go' '^func TestCorpora' . | xargs -n1 dirname | sort -u) \
		| { grep -E '^corpus|^ +corpora\.go|^(FAIL|panic|ok)|SKIP' || true; } \
		| awk '{ print } /^corpus/ { for (i = 2; i < NF; i++) if ($$(i+1) ~ /^inputs/) { n += $$i; c += $$(i+2); d += $$(i+4) } } END { printf "%d inputs, %d crashes, %d differences\n", n, c, d }'

abi: lib ## compare the libraries' exported symbols with capi/attestation/abi.golden, capi/tnccs/abi.golden
	@nm -D --defined-only $(BUILD)/imc-attestation-stub.so | awk '{print $$3}' | LC_ALL=C sort | diff -u capi/attestation/abi.golden - && echo "abi: the stub as capi/attestation/abi.golden"
	@nm -D --defined-only $(BUILD)/imc-attestation.so | awk '{print $$3}' | LC_ALL=C sort | diff -u capi/attestation/abi.golden - && echo "abi: as capi/attestation/abi.golden"
	@nm -D --defined-only $(BUILD)/libtnccs.so | awk '{print $$3}' | LC_ALL=C sort | diff -u capi/tnccs/abi.golden - && echo "abi: as capi/tnccs/abi.golden"

interop: lib tnc ## run the tests against real peers (root; STRONGSWAN_PREFIX for strongSwan with TNC)
	@set -o pipefail; $(GO) test -json -count=1 -timeout $(if $(STRONGSWAN_PREFIX),60m,20m) ./internal/interop/... ./capi/... | $(GO) run ./internal/testsummary

bench: ## speed and costs beside strongSwan's (STRONGSWAN_PREFIX, GOTNC_RIG), openssl and wireguard-go in one run
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 30m ./internal/bench
	$(GO) test -run '^$$' -bench Costs -benchtime 5x ./capi/capitest
	GOTNC_BENCH=1 $(GO) test -count=1 -run TestCostsOfTheTPM -v -timeout 30m ./internal/interop/strongswan

VMTESTS ?= .
vmtest: ## boot Debian's kernel in qemu: its logs against an emulated TPM, quotes; ESP in the kernel; libreswan and OpenIKED (docs/peers.md)
	@internal/interop/peers.sh vm
	GOTNC_VMTEST=1 $(GO) test -count=1 -v -timeout 30m -run '$(VMTESTS)' ./internal/interop/vm

packagetest: ## install the packages in a clean Debian (root, debootstrap, lintian, rpm): minutes
	GOTNC_PACKAGETEST=1 $(GO) test -count=1 -v -timeout 60m ./internal/interop/packages

clean: ## remove build/
	rm -rf $(BUILD)

.PHONY: help demo stub lib tnc man completions notices all install uninstall deb rpm pictures site cross sbom dist test peers check fuzz corpora abi interop bench vmtest packagetest clean
