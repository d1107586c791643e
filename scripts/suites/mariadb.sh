#!/usr/bin/env bash
# Runs MariaDB's own regression suite, first straight against a server and then through Landbridge, and
# prints the tests that pass directly and fail through.
#
#   scripts/suites/mariadb.sh                        the suite "main": an hour or more
#   scripts/suites/mariadb.sh select insert ps       some tests of it
#   scripts/suites/mariadb.sh --suite=funcs_1        other arguments of mariadb-test-run
#
# The suite starts its servers itself, with the options each test asks for; its --extern mode would leave
# out every test that needs some. So it is not the server that is replaced but the suite's clients, by
# scripts/suites/mariadb-client.sh.
#
# The packages are unpacked into a directory of their own. Nothing is installed.
#
# Environment:
#   LANDBRIDGE        the program to test (default: target/debug/landbridge)
#   LANDBRIDGE_CACHE  where to unpack to (default: $XDG_CACHE_HOME/landbridge)
#   SUITE_OUT         logs and results (default: target/suites/mariadb)
#   SUITE_POOL_MODE   transaction (default) or session
#   SUITE_DIRECT      results of an earlier direct run, instead of another one
#
# --parallel=2 works: ports of a worker are its own.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly HERE=$PWD/scripts/suites
readonly PACKAGES=(mariadb-test mariadb-test-data mariadb-server-core mariadb-server mariadb-client
    mariadb-client-core libdbi-perl libpcre2-8-0 libpcre2-posix3 libpopt0)
readonly CACHE=${LANDBRIDGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/landbridge}
readonly ROOT=$CACHE/suites/mariadb-test
readonly OUT=$(realpath -m "${SUITE_OUT:-target/suites/mariadb}")
LANDBRIDGE=$(realpath "${LANDBRIDGE:-target/debug/landbridge}")
export LANDBRIDGE

say() { printf 'mariadb suite: %s\n' "$*" >&2; }

unpack() {
    if [[ -e $ROOT/complete ]]; then return; fi
    say "unpacking the suite into $ROOT"
    local work
    work=$(mktemp -d)
    (cd "$work" && apt-get -qq download "${PACKAGES[@]}")
    mkdir -p "$ROOT"
    local package
    for package in "$work"/*.deb; do dpkg -x "$package" "$ROOT"; done
    rm -rf "$work"
    touch "$ROOT/complete"
}

# Tests wait for their connections to be gone from the process list. Landbridge keeps its own in there,
# and the rest of such a test tells something all the same.
forgive_connections() {
    local file=$ROOT/usr/share/mysql/mysql-test/include/wait_until_count_sessions.inc
    if grep -q SUITE_SOCKET "$file"; then return; fi
    cp --no-clobber "$file" "$file.original"
    { echo 'if (!$SUITE_SOCKET)'; echo '{'; cat "$file.original"; echo '}'; } >"$file"
}

# The directory in which the suite finds its clients, when they go through Landbridge.
link_clients() {
    local clients=$OUT/clients program
    rm -rf "$clients"
    mkdir -p "$clients"
    ln -s "$ROOT"/usr/bin/* "$clients"
    for program in mariadb-test mariadb mariadb-dump; do
        # A copy: it may be edited while the suite runs.
        cp --remove-destination "$HERE/mariadb-client.sh" "$clients/$program"
    done
}

# $1: direct or through; the rest: arguments of mariadb-test-run.
run() {
    local name=$1
    shift
    local triplet
    triplet=$(cd "$ROOT/usr/lib" && echo *-linux-gnu)
    # Left out because it fails or hangs without Landbridge, too, or asks for what it does not offer.
    grep -v '^#' "$HERE/mariadb.skip" | grep . >"$OUT/skip" || true
    (
        cd "$ROOT/usr/share/mysql/mysql-test"
        export LD_LIBRARY_PATH=$ROOT/usr/lib/$triplet
        local version
        version=$(cd "$ROOT/usr/lib/$triplet/perl5" && echo *)
        export PERL5LIB=$ROOT/usr/lib/$triplet/perl5/$version
        perl mariadb-test-run.pl --vardir="$OUT/$name.var" --tmpdir="$OUT/$name.var/tmp" --force --retry=0 \
            --max-test-fail=0 --parallel=1 --testcase-timeout=4 --timer --nowarnings \
            --skip-test-list="$OUT/skip" "$@"
    ) >"$OUT/$name.log" 2>&1 || true
    results "$OUT/$name.log" >"$OUT/$name"
}

# test, in which variant, and pass or fail. What is skipped is neither.
results() {
    sed -nE "s/^([a-z0-9_]+\.[^ ]+)( '[^']*')? +(w[0-9]+ +)?\[ (pass|fail) \].*/\1\2 \4/p" "$1" | sort -u
}

main() {
    unpack
    mkdir -p "$OUT/landbridge"
    link_clients
    forgive_connections
    [[ ${1:-} ]] || set -- --suite=main
    [[ $* == *--suite* ]] || set -- --suite=main "$@"
    if [[ -n ${SUITE_DIRECT:-} ]]; then
        cp "$SUITE_DIRECT" "$OUT/direct"
    else
        say "directly"
        run direct "$@"
    fi
    say "through Landbridge"
    export SUITE_BIN=$ROOT/usr/bin SUITE_LOGS=$OUT/landbridge
    run through --client-bindir="$OUT/clients" "$@"
    say "$(grep -c ' pass$' "$OUT/direct") passed directly, $(grep -c ' pass$' "$OUT/through") through"
    comm -12 <(sed -n 's/ pass$//p' "$OUT/direct") <(sed -n 's/ fail$//p' "$OUT/through")
}

main "$@"
