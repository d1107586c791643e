#!/usr/bin/env bash
# Runs a script in the language of mysqltest straight against a server and through Landbridge, and shows
# what differs: for reducing a test that fails to its cause.
#
#   scripts/suites/both.sh mariadb case.test        or: mysql; without a file, from standard input
set -euo pipefail
file=$(realpath "${2:-/dev/stdin}")
cd "$(dirname "$0")/../.."
. scripts/suites/bed.sh

readonly ROOT=${LANDBRIDGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/landbridge}/suites/mariadb-test

# $1: socket, $2: output
play() {
    local work=$BED/$2.d
    mkdir -p "$work"
    LD_LIBRARY_PATH=$(echo "$ROOT"/usr/lib/*-linux-gnu) "$ROOT/usr/bin/mariadb-test" --no-defaults --socket="$1" \
        --user=root --database=test --basedir="$ROOT/usr/share/mysql/mysql-test" --tmpdir="$work" --logdir="$work" \
        --test-file="$BED/case.test" >"$BED/$2" 2>&1 || true
}

bed "$1"
cat "$file" >"$BED/case.test"
export MASTER_MYSOCK=
play "$DIRECT_SOCKET" direct
play "$THROUGH_SOCKET" through
cat "$BED/direct"
if diff -u --label direct --label through "$BED/direct" "$BED/through"; then echo "no difference"; fi
