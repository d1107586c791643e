#!/usr/bin/env bash
# Runs Active Record's own tests with its adapter for mysql2, first straight against a server and then through
# Landbridge, and prints the tests that pass directly and fail through.
#
#   scripts/suites/activerecord.sh mariadb                                     or: mysql
#   scripts/suites/activerecord.sh mariadb cases/transactions_test.rb ..       some of its files
#
# Needs the Ruby of Debian 12. Environment: that of bed.sh and debian.sh, and
#   MYSQL_PREPARED_STATEMENTS  not empty: prepared statements instead of text
#   TESTOPTS                   further options of Minitest, such as `--name=/savepoint/`
#   SUITE_OUT                  logs and results (default: target/suites/activerecord)
#   SUITE_DIRECT               results of an earlier direct run, instead of another one
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/suites/bed.sh
. scripts/suites/debian.sh

readonly VERSION=6.1.7.10
readonly PACKAGES=(ruby-{bcrypt,concurrent,i18n,metaclass,mocha,mysql2,rack,sqlite3,tzinfo,zeitwerk} libmariadb3 libsqlite3-0 tzdata)
readonly HERE=$PWD/scripts/suites
readonly OUT=$(realpath -m "${SUITE_OUT:-target/suites/activerecord}")

say() { printf 'activerecord suite: %s\n' "$*" >&2; }

# Both start with the databases that the suite expects to be there, and to be empty.
clean() {
    mariadb --no-defaults --socket="$DIRECT_SOCKET" --user=root <<'SQL'
DROP DATABASE IF EXISTS activerecord_unittest;
DROP DATABASE IF EXISTS activerecord_unittest2;
DROP DATABASE IF EXISTS inexistent_activerecord_unittest;
CREATE DATABASE activerecord_unittest CHARACTER SET utf8mb4;
CREATE DATABASE activerecord_unittest2 CHARACTER SET utf8mb4;
SQL
}

# $1: port
settings() {
    local database
    printf 'default_connection: mysql2\nconnections:\n  mysql2:\n'
    for database in arunit:unicode_ci arunit2:general_ci; do
        printf '    %s:\n      host: 127.0.0.1\n      port: %s\n      username: %s\n      password: %s\n' \
            "${database%:*}" "$1" "$USER_NAME" "$USER_PASSWORD"
        printf '      encoding: utf8mb4\n      collation: utf8mb4_%s\n' "${database#*:}"
        if [[ -n ${MYSQL_PREPARED_STATEMENTS:-} ]]; then printf '      prepared_statements: true\n'; fi
    done
}

# $1: direct or through, $2: port; the rest: files of tests
run() {
    local name=$1 port=$2 native options
    shift 2
    rm -f "$OUT/$name" "$OUT/$name.list"
    clean
    settings "$port" >"$BED/config.yml"
    native=$(echo "$DEBIAN_TREE"/usr/lib/*-linux-gnu)
    read -ra options <<<"${TESTOPTS:-}"
    # A debugger that a test asks for and does not use.
    mkdir -p "$BED/lib"
    : >"$BED/lib/byebug.rb"
    (
        cd "$SOURCES/activerecord"
        export ARCONFIG=$BED/config.yml ARCONN=mysql2 SUITE_RESULTS=$OUT/$name.list LD_LIBRARY_PATH=$native
        export GEM_PATH
        GEM_PATH=$DEBIAN_TREE/usr/share/rubygems-integration/all:$(echo "$DEBIAN_TREE"/usr/share/rubygems-integration/3*):$(gem environment gempath)
        export RUBYLIB
        RUBYLIB=$DEBIAN_TREE/usr/lib/ruby/vendor_ruby:$(echo "$native"/ruby/vendor_ruby/3*)
        # The order of the tests is the same both times.
        ruby -I "$BED/lib" -I test -I lib -I ../activesupport/lib -I ../activemodel/lib -r "$HERE/activerecord_results.rb" \
            -e 'ARGV.take_while { |file| file != "--" }.each { |file| require File.expand_path(file, "test") }; ARGV.shift(ARGV.index("--") + 1)' \
            "$@" -- --seed=1 "${options[@]}"
    ) >"$OUT/$name.log" 2>&1 || true
    [[ -e $OUT/$name.list ]] || { say "the run did not begin; see $OUT/$name.log"; exit 1; }
    grep -q '^[0-9]* runs, ' "$OUT/$name.log" || say "the run did not end; see $OUT/$name.log"
    LC_ALL=C sort -u "$OUT/$name.list" >"$OUT/$name"
}

main() {
    local flavor=${1:?mariadb or mysql}
    shift
    mkdir -p "$OUT"
    debian_unpack ruby 2 "${PACKAGES[@]}"
    debian_source rails "$VERSION" +dfsg
    bed "$flavor"
    if ((!$#)); then
        # One file needs Action Pack.
        mapfile -t all < <(cd "$SOURCES/activerecord/test" && find cases -name '*_test.rb' -not -name database_selector_test.rb '(' -not -path '*/adapters/*' -o -path '*/adapters/mysql2/*' ')' | sort)
        set -- "${all[@]}"
    fi
    if [[ -n ${SUITE_DIRECT:-} ]]; then
        cp "$SUITE_DIRECT" "$OUT/direct"
    else
        say "directly"
        run direct "$DIRECT_PORT" "$@"
    fi
    say "through Landbridge"
    run through "$THROUGH_PORT" "$@"
    say "$(grep -c ' pass$' "$OUT/direct") passed directly, $(grep -c ' pass$' "$OUT/through") through"
    # What is skipped through Landbridge, or did not run, is missing too.
    LC_ALL=C comm -23 <(sed -n 's/ pass$//p' "$OUT/direct") <(sed -n 's/ pass$//p' "$OUT/through")
}

main "$@"
