#!/usr/bin/env bash
# Installs the latest drivers of PyPI, npm and crates.io for tests/real/drivers, and Django and SQLAlchemy for
# tests/real/examples and tests/real/optimistic, below target/ and tests/drivers/node: the versions that are written
# down there, with what they need.
# Those of the system's archive are installed by scripts/setup.sh, which calls this.
set -euo pipefail
cd "$(dirname "$0")/.."

readonly VENV=target/drivers/python
readonly WANTED=tests/drivers/requirements.txt
readonly NODE=tests/drivers/node
readonly RUST=tests/drivers/rust

say() { printf 'drivers: %s\n' "$*"; }

python_is_current() { cmp -s "$WANTED" "$VENV/installed"; }
node_is_current() { cmp -s "$NODE/package-lock.json" "$NODE/node_modules/installed"; }

install_python() {
    say "installing the drivers of $WANTED"
    rm -rf "$VENV"
    python3 -m venv "$VENV" &&
        "$VENV/bin/pip" --quiet install --only-binary :all: --requirement "$WANTED" &&
        cp "$WANTED" "$VENV/installed"
}

install_node() {
    say "installing the drivers of $NODE/package-lock.json"
    npm ci --silent --ignore-scripts --no-audit --no-fund --prefix "$NODE" &&
        cp "$NODE/package-lock.json" "$NODE/node_modules/installed"
}

# Cargo knows by itself what is current.
build_rust() {
    [[ -x target/drivers/rust/debug/landbridge-drivers ]] || say "building the drivers of $RUST/Cargo.lock"
    cargo build --quiet --locked --manifest-path "$RUST/Cargo.toml" --target-dir target/drivers/rust
}

failed=
python_is_current || install_python || failed=yes
node_is_current || install_node || failed=yes
build_rust || failed=yes
[[ -z $failed ]]
