#!/usr/bin/env bash
# Runs scripts in the language of mysqltest straight against a server and through Landbridge, and shows
# what differs: for reducing a test that fails to its cause.
#
#   scripts/suites/both.sh mariadb case.test ..      or: mysql
#
# With SUITE_SCOPE=off reads leave the connection of the write before them, and more differs.
set -euo pipefail
flavor=$1
shift
mapfile -t files < <(realpath "$@")
cd "$(dirname "$0")/../.."
. scripts/suites/bed.sh
# The cases create it where they need a second one.
SUITE_ACCOUNTS=${SUITE_ACCOUNTS:-u}

readonly ROOT=${LANDBRIDGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/landbridge}/suites/mariadb-test

# $1: socket, $2: output
play() {
    local work=$BED/$2.d
    mkdir -p "$work"
    LD_LIBRARY_PATH=$(echo "$ROOT"/usr/lib/*-linux-gnu) timeout 20 "$ROOT/usr/bin/mariadb-test" --no-defaults --socket="$1" \
        --user=root --database=test --basedir="$ROOT/usr/share/mysql/mysql-test" --tmpdir="$work" --logdir="$work" \
        --test-file="$BED/case.test" >"$BED/$2" 2>&1 || echo "exit code $?" >>"$BED/$2"
}

# Each script begins with an empty schema.
clean() {
    mariadb --no-defaults --socket="$DIRECT_SOCKET" --user=root \
        --execute='DROP USER IF EXISTS u@localhost; DROP DATABASE test; CREATE DATABASE test'
}

bed "$flavor"
for file in "${files[@]}"; do
    printf '== %s\n' "${file##*/}"
    cat "$file" >"$BED/case.test"
    clean
    play "$DIRECT_SOCKET" direct
    clean
    play "$THROUGH_SOCKET" through
    if diff -U 100 --label direct --label through "$BED/direct" "$BED/through"; then echo "no difference"; fi
done
