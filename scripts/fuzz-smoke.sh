#!/usr/bin/env bash
# Throws random input at the decoders, and at whole sessions, for a short time.
#
#   scripts/fuzz-smoke.sh [SECONDS]      per libFuzzer target; default 5
#
# The property tests, the smoke test of fuzz/ and its simulation run everywhere. libFuzzer needs a nightly toolchain
# and cargo-fuzz, and is left out where those are missing.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly EACH=${1:-5}

PROPTEST_CASES=${PROPTEST_CASES:-1024} cargo test --quiet --lib -- properties fuzz

# In the directory of the other builds, most of what it needs is built already.
cargo test --quiet ${CI:+--locked} --manifest-path fuzz/Cargo.toml --target-dir target

if ! cargo +nightly fuzz --version >/dev/null 2>&1; then
    echo "fuzz-smoke: libFuzzer left out; it needs: rustup toolchain install nightly && cargo install cargo-fuzz"
    exit 0
fi
for target in $(cargo +nightly fuzz list); do
    echo "fuzz-smoke: $target for $EACH s"
    cargo +nightly fuzz run --features libfuzzer "$target" -- -max_total_time="$EACH" -verbosity=0
done
