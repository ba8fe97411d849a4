# The one entry to everything; `make` lists the targets. Needs Rust, a C/C++ compiler and Python;
# all else comes from the package registries into .tools/ and target/.

PYTHON ?= python3
CARGO  ?= cargo
PREFIX ?= /usr/local
DESTDIR ?=
PLATFORM ?=
export CARGO

RELEASE := target/release
ifeq ($(shell uname -s),Darwin)
LIBRARY := libmalti.dylib
SONAME  := libmalti.1.dylib
else
LIBRARY := libmalti.so
SONAME  := libmalti.so.1
endif

.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules
# cargo uses every core itself. The library is built last: any other release build may overwrite it.
.NOTPARALLEL:
.DELETE_ON_ERROR:

include .ci/tools.mk

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /:/' | \
		while IFS=: read -r name text; do printf '  %-12s %s\n' "$$name" "$$text"; done

.PHONY: demo
demo: receiver lib $(NOX) ## run real servers, send requests, compare what arrived (KEEP=1: leave the page up)
	@$(PYTHON) .ci/node.py
	@$(NOX) --session demo -- $(if $(KEEP),--keep)

# rustc applies no LTO to a build that also makes an rlib, so the shipped library is built apart.
# It also says what a program that links the static archive must link besides.
.PHONY: lib
lib: $(TOOLCHAIN) ## build the shared and the static library into target/release
	$(CARGO) rustc --locked --release --config "$$($(PYTHON) .ci/remap.py)" \
		--package libmalti --lib --crate-type cdylib,staticlib -- \
		--print native-static-libs=$(RELEASE)/native-static-libs.txt
	@ln -sfn $(LIBRARY) $(RELEASE)/$(SONAME)

.PHONY: go-lib
go-lib: lib ## make the archive that the Go binding links
	@$(PYTHON) .ci/go_archive.py

.PHONY: go-libs
go-libs: $(NOX) $(TOOLCHAIN) ## make those of each Linux, for a release of the Go modules
	@$(NOX) --session go_libs

.PHONY: receiver
receiver: $(TOOLCHAIN) ## build the command-line tool `malti`, with the receiver in it
	$(CARGO) build --locked --release --package malti-cli

.PHONY: header
header: $(TOOLCHAIN) ## make include/malti.h and docs/c-api.md from the sources
	@$(PYTHON) .ci/header.py
	@$(PYTHON) .ci/c_api.py

.PHONY: test
test: receiver lib $(NOX) ## run every test of every language (PART="rust c go": some of them)
	@$(PYTHON) .ci/test.py $(PART)

.PHONY: test-all
test-all: receiver lib $(NOX) ## the same with the long matrix: sanitizers, valgrind, every Python found, wheels
	@$(PYTHON) .ci/test.py --all $(PART)

.PHONY: sanitize
sanitize: $(TOOLCHAIN) ## run the library's unit tests under AddressSanitizer and ThreadSanitizer
	@$(PYTHON) .ci/rust_tests.py

APPS ?=
.PHONY: conformance
conformance: receiver lib $(NOX) ## ask the same of an app per framework, compare the records (APPS="asgi c": of some)
	@$(PYTHON) .ci/node.py
	@$(NOX) --session conformance -- $(APPS)

.PHONY: screenshots
screenshots: receiver ## make the pictures of the receiver's page that the README shows
	@$(PYTHON) .ci/page.py --screenshots

.PHONY: faults
faults: $(TOOLCHAIN) ## print the fault matrix: what became of the records of each row
	@$(CARGO) test --locked --package malti-cli --test delivery matrix:: -- --nocapture --test-threads 1 | grep unaccounted

MINUTES ?= 20
.PHONY: soak
soak: lib receiver ## record for MINUTES while everything fails, and account for each record
	@$(PYTHON) tests/soak/soak.py --minutes $(MINUTES)

.PHONY: lint
lint: $(NOX) $(CARGO_DENY) ## format, lints, docs, licences, types, shell
	$(CARGO) fmt --all --check
	$(CARGO) fmt --check --manifest-path benches/rust/Cargo.toml
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --locked
	$(CARGO_DENY) --all-features --locked check --hide-inclusion-graph licenses bans sources
	@echo 'cargo deny: advisories not checked, their database is no package of a registry'
	@$(PYTHON) .ci/go.py
	@$(PYTHON) .ci/js.py
	@$(NOX) --session lint docs

.PHONY: docs
docs: $(NOX) ## build the pages with a search into target/docs; a link that leads nowhere is an error
	@$(NOX) --session docs

.PHONY: bench
bench: receiver lib $(NOX) ## measure beside every peer, write docs/benchmarks.md (PART="record node": of some)
	@$(PYTHON) .ci/bench.py $(PART)

.PHONY: bench-python
bench-python: receiver lib $(NOX) ## measure the Python binding beside other middlewares, in each framework
	@$(NOX) --session bench -- .ci/bench_python.py

.PHONY: bench-node
bench-node: receiver lib ## measure the Node binding beside other middlewares, in each framework (PART="record koa")
	@$(PYTHON) .ci/bench_node.py $(PART)

.PHONY: bench-go
bench-go: receiver lib ## measure the Go binding beside cgo calls, and beside OpenTelemetry in each router
	@$(PYTHON) .ci/bench_go.py

.PHONY: bench-send
bench-send: receiver ## measure malti send and malti receive: lines a second, with and without a database
	@$(PYTHON) .ci/bench_send.py

.PHONY: bench-nginx
bench-nginx: lib ## measure what the module costs nginx: instructions, and requests a second
	@$(PYTHON) benches/nginx.py

.PHONY: bench-quick
bench-quick: lib $(NOX) ## count the instructions of a record and of a request, fail where they grew
	@$(PYTHON) .ci/bench_quick.py

.PHONY: bench-c
bench-c: lib ## count what the adapters cost servers in C and C++: instructions of a request
	@$(PYTHON) benches/c_servers.py

.PHONY: cross
cross: $(NOX) $(TOOLCHAIN) ## build the library for Windows, macOS, musl and arm64
	@$(NOX) --session cross

.PHONY: wheels
wheels: $(NOX) $(TOOLCHAIN) ## build the Python packages for every platform into target/wheels (PLATFORM: for one)
	@$(NOX) --session wheels -- $(PLATFORM)

.PHONY: npm-packages
npm-packages: $(NOX) $(TOOLCHAIN) ## build the npm packages for every platform into target/npm (PLATFORM: for one)
	@$(NOX) --session npm_packages -- $(PLATFORM)

.PHONY: dist
ifeq ($(PLATFORM),native)
dist: lib
	@$(PYTHON) .ci/dist.py native
else
dist: $(NOX) $(TOOLCHAIN) ## pack the library for every platform into target/dist (PLATFORM=native: for this one)
	@$(NOX) --session dist -- $(PLATFORM)
endif

.PHONY: licences
licences: $(TOOLCHAIN) ## make THIRD-PARTY-LICENSES from Cargo.lock
	@$(PYTHON) .ci/licences.py

# A PREFIX without a slash in front would be a part of DESTDIR's name.
DESTINATION = $(if $(DESTDIR),$(DESTDIR)/)$(PREFIX)

.PHONY: install
install: lib ## install libraries, headers, pkg-config and CMake files (PREFIX, DESTDIR)
	@$(PYTHON) .ci/tree.py install '$(DESTINATION)'

.PHONY: uninstall
uninstall: ## remove what install put there
	@$(PYTHON) .ci/tree.py uninstall '$(DESTINATION)'

.PHONY: doctor
doctor: ## print what is missing on this machine and what that skips
	@$(PYTHON) .ci/doctor.py

# Lists that one environment is made of are resolved together first. Each then starts from that: uv
# keeps the versions that it finds in its output file.
TOGETHER := $(patsubst %,requirements/%.in,cross pages test wheel worker)
LOCK := .tools/venv/bin/uv pip compile --quiet --universal --no-header --no-emit-index-url --generate-hashes

.PHONY: lock
lock: $(NOX) ## pin the newest Python tools anew
	@$(LOCK) --upgrade --python-version 3.10 $(TOGETHER) --output-file .tools/together.txt
	@for source in requirements/*.in; do \
		case "$$source" in */old.in) python=3.9 ;; *) python=3.10 ;; esac; \
		case " $(TOGETHER) " in \
			*" $$source "*) upgrade=; cp .tools/together.txt "$${source%.in}.txt" ;; \
			*) upgrade=--upgrade ;; esac; \
		$(LOCK) $$upgrade --python-version $$python "$$source" \
			--output-file "$${source%.in}.txt" || exit; done

.PHONY: clean
clean: ## remove all that was built or downloaded
	rm -rf target .tools
