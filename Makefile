# Every target works from a fresh clone. `make` alone lists them.
SHELL   := /bin/bash
GO      ?= go
BUILD   := build
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

# imc-attestation.so exports the nine TNC_IMC_* names and nothing else, libtnccs.so
# those of include/tnccs.h.
LIB_LDFLAGS := -s -w -X main.version=$(VERSION) -extldflags=-Wl,--version-script=$(CURDIR)/capi/attestation/exports.map
TNCCS_LDFLAGS := -s -w -X main.version=$(VERSION) -extldflags=-Wl,--version-script=$(CURDIR)/capi/tnccs/exports.map,-soname,libtnccs.so.1
TNC_LDFLAGS := -s -w -X main.version=$(VERSION)

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 3s

.DEFAULT_GOAL := help

help: ## list the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:[^#]*## /\t/' | expand -t 12

demo: lib tnc ## build both products and run `tnc demo`: no root, no TPM, no port below 1024
	$(BUILD)/tnc demo

lib: ## build build/imc-attestation.so and build/libtnccs.so
	@mkdir -p $(BUILD)
	CGO_ENABLED=1 $(GO) build -trimpath -buildmode=c-shared -ldflags '$(LIB_LDFLAGS)' -o $(BUILD)/imc-attestation.so ./capi/attestation
	CGO_ENABLED=1 $(GO) build -trimpath -buildmode=c-shared -ldflags '$(TNCCS_LDFLAGS)' -o $(BUILD)/libtnccs.so ./capi/tnccs
	@ln -sf libtnccs.so $(BUILD)/libtnccs.so.1
	@rm -f $(BUILD)/imc-attestation.h $(BUILD)/libtnccs.h

tnc: ## build build/tnc
	@mkdir -p $(BUILD)
	CGO_ENABLED=1 $(GO) build -trimpath -ldflags '$(TNC_LDFLAGS)' -o $(BUILD)/tnc ./cmd/tnc

PREFIX  ?= /usr/local
DESTDIR ?=

install: lib tnc ## install both products, libtnccs, headers, pkg-config files, a systemd unit below PREFIX (/usr/local)
	install -d $(DESTDIR)$(PREFIX)/{bin,include,lib/gotnc,lib/pkgconfig,lib/systemd/system,share/doc/gotnc}
	install -m 755 $(BUILD)/tnc $(DESTDIR)$(PREFIX)/bin/
	install -m 644 include/{tncif,tncifimc,tnccs}.h $(DESTDIR)$(PREFIX)/include/
	install -m 755 $(BUILD)/imc-attestation.so $(DESTDIR)$(PREFIX)/lib/gotnc/
	install -m 755 $(BUILD)/libtnccs.so $(DESTDIR)$(PREFIX)/lib/libtnccs.so.1
	ln -sf libtnccs.so.1 $(DESTDIR)$(PREFIX)/lib/libtnccs.so
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' capi/attestation/gotnc-imc.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/gotnc-imc.pc
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@VERSION@|$(VERSION)|' capi/tnccs/libtnccs.pc.in > $(DESTDIR)$(PREFIX)/lib/pkgconfig/libtnccs.pc
	sed -e 's|/usr/bin/tnc|$(PREFIX)/bin/tnc|' dist/tnc@.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/tnc@.service
	install -m 644 README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/gotnc/
	sed -e 's|/usr/lib/ipsec/imcvs|$(PREFIX)/lib/gotnc|' tnc_config.example > $(DESTDIR)$(PREFIX)/share/doc/gotnc/tnc_config.example

test: peers ## run all tests; the closing summary names every skipped one
	@set -o pipefail; $(GO) test -json -timeout 20m ./... | $(GO) run ./internal/testsummary

peers: ## install Debian's packages that tests run as peers (root on Debian only)
	@internal/interop/peers.sh

check: ## gofmt, vet, staticcheck, race, 1,000 simulated days of IKE, short fuzz
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo "gofmt -w the files above"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...
	CGO_ENABLED=0 $(GO) vet $$(CGO_ENABLED=0 $(GO) list ./... | grep -vE '/(capi|cmd/tnc|dlimc|capitest|interop)')
	$(GO) test -race -short -timeout 20m ./...
	GOTNC_LIFE_SEEDS=1000 $(GO) test -count=1 -timeout 30m -run '^TestLife$$' ./internal/gateway
	internal/fuzzall.sh $(FUZZTIME)

abi: lib ## compare the libraries' exported symbols with capi/attestation/abi.golden, capi/tnccs/abi.golden
	@nm -D --defined-only $(BUILD)/imc-attestation.so | awk '{print $$3}' | LC_ALL=C sort | diff -u capi/attestation/abi.golden - && echo "abi: as capi/attestation/abi.golden"
	@nm -D --defined-only $(BUILD)/libtnccs.so | awk '{print $$3}' | LC_ALL=C sort | diff -u capi/tnccs/abi.golden - && echo "abi: as capi/tnccs/abi.golden"

interop: lib tnc ## run the tests against real peers (root; STRONGSWAN_PREFIX for strongSwan with TNC)
	@set -o pipefail; $(GO) test -json -count=1 -timeout 20m ./internal/interop/... ./capi/... | $(GO) run ./internal/testsummary

bench: ## speed and costs beside strongSwan's (STRONGSWAN_PREFIX, GOTNC_RIG), openssl and wireguard-go in one run
	$(GO) test -run '^$$' -bench . -benchtime 1x -timeout 30m ./internal/bench
	$(GO) test -run '^$$' -bench Costs -benchtime 5x ./capi/capitest

vmtest: ## boot Debian's kernel in qemu: its logs against an emulated TPM, quotes; tunnels with ESP in the kernel
	GOTNC_VMTEST=1 $(GO) test -count=1 -v -timeout 30m ./internal/interop/vm

clean: ## remove build/
	rm -rf $(BUILD)

.PHONY: help demo lib tnc install test peers check abi interop bench vmtest clean
