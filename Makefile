# Everything a person does here is a target. Rust and make are all that must be installed;
# `make setup` gets the rest.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:

# Where rustup puts cargo, for shells that were open before.
export PATH := $(PATH):$(HOME)/.cargo/bin

# nextest | test
RUNNER ?= $(if $(shell command -v cargo-nextest),nextest,test)
# Tests wait for servers most of the time; those that do not take turns.
THREADS ?= $(shell expr 2 '*' $$(nproc))
# In CI the lock file is what it is.
LOCKED := $(if $(CI),--locked)
# For `make demo` and `make bench`: ARGS="--rtt 200ms"
ARGS ?=

step = @printf '== %s\n'

.PHONY: help
help: ## Show this
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install what tests, demo and benchmarks need (Debian, Ubuntu)
	@scripts/setup.sh

# Without the drivers of a dozen languages.
.PHONY: setup-small
setup-small:
	@scripts/setup.sh --without-drivers

.PHONY: test
test: setup check-fmt lint doc fuzz-smoke run-tests ## Everything a change must pass

# Nothing of what only tests and benchmarks need.
.PHONY: setup-demo
setup-demo:
	@scripts/setup.sh --demo $(ARGS)

.PHONY: demo
demo: setup-demo ## Two servers, an ocean between them, and the difference
	$(step) 'building the demo'
	@cargo run $(LOCKED) --release --quiet -- demo $(ARGS)

.PHONY: bench
bench: setup-small ## Measure against no proxy and HAProxy (ROUNDS=5 SECONDS=4 WRITE=1: see docs/benchmarks.md)
	$(step) 'building the benchmarks'
	@cargo bench $(LOCKED) --quiet --bench compare -- $(if $(WRITE),--write docs/benchmarks.md) $(ARGS)

.PHONY: fuzz
fuzz: fuzz-smoke ## Throw random input at decoders and sessions (FUZZ_ROUNDS=50: for longer)

.PHONY: fmt
fmt: ## Format the code
	@cargo fmt
	@cargo fmt --manifest-path fuzz/Cargo.toml
	@cargo fmt --manifest-path tests/drivers/rust/Cargo.toml

.PHONY: lint
lint: ## Run clippy; a warning is an error
	$(step) 'clippy'
	@cargo clippy $(LOCKED) --quiet --all-targets -- --deny warnings

.PHONY: doc
doc: ## Build the documentation; a broken link is an error
	$(step) 'documentation'
	@RUSTDOCFLAGS='--deny warnings' cargo doc $(LOCKED) --quiet --no-deps

.PHONY: deny
deny: ## Check licences, advisories and duplicates of all crates
	@cargo deny --version >/dev/null 2>&1 || { echo 'cargo-deny is missing: cargo install --locked cargo-deny'; exit 1; }
	@cargo deny check

.PHONY: kubernetes
kubernetes: ## Check manifests and chart with Helm's library and Kubernetes' schemas (350 MB)
	@scripts/check-kubernetes.sh

.PHONY: clean
clean: ## Remove what was built (the servers in ~/.cache/landbridge stay)
	@cargo clean --quiet
	@rm -rf fuzz/target

# Steps of `make test`.

.PHONY: check-fmt
check-fmt:
	$(step) 'format'
	@cargo fmt --check
	@cargo fmt --check --manifest-path fuzz/Cargo.toml
	@cargo fmt --check --manifest-path tests/drivers/rust/Cargo.toml

.PHONY: fuzz-smoke
fuzz-smoke:
	$(step) 'random input'
	@scripts/fuzz-smoke.sh

# Last, so that the results are what is left on the screen. The configuration files that ship are
# tests as well: tests/shipped_files.rs and src/config/tests/shipped.rs.
.PHONY: run-tests
run-tests:
	$(step) 'tests'
ifeq ($(RUNNER),nextest)
	@cargo nextest run $(LOCKED) --no-fail-fast
	@cargo test $(LOCKED) --doc
else
	@RUST_TEST_THREADS=$(THREADS) cargo test $(LOCKED) --no-fail-fast
endif
