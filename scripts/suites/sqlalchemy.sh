#!/usr/bin/env bash
# Runs SQLAlchemy's own tests that use a database, first straight against MariaDB and then through
# Landbridge, and prints the tests that pass directly and fail through.
#
#   scripts/suites/sqlalchemy.sh
#   scripts/suites/sqlalchemy.sh test/sql/test_returning.py -k insert     other arguments of pytest
#
# Environment: that of bed.sh and python.sh, and
#   SUITE_DRIVER  pymysql (default) or mysqldb
#   SUITE_OUT     logs and results (default: target/suites/sqlalchemy)
#   SUITE_DIRECT  results of an earlier direct run, instead of another one
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/suites/bed.sh
. scripts/suites/python.sh

readonly VERSION=2.1.9
readonly TESTS=(test/dialect/mysql test/dialect/test_suite.py test/engine test/sql)
readonly OUT=$(realpath -m "${SUITE_OUT:-target/suites/sqlalchemy}")

say() { printf 'sqlalchemy suite: %s\n' "$*" >&2; }

# What the suite expects to be there, and to be empty.
clean() {
    mariadb --no-defaults --socket="$DIRECT_SOCKET" --user=root <<'SQL'
CREATE OR REPLACE DATABASE test CHARACTER SET utf8mb4;
CREATE OR REPLACE DATABASE test_schema CHARACTER SET utf8mb4;
CREATE OR REPLACE DATABASE test_schema_2 CHARACTER SET utf8mb4;
SQL
}

# $1: direct or through, $2: port; the rest: arguments of pytest
run() {
    local name=$1 port=$2
    shift 2
    clean
    (
        cd "$SOURCES"
        PYTHONPATH=lib "$PYTHON" -m pytest --backend-only --maxfail=10000 --timeout=60 -p no:cacheprovider \
            --junitxml="$OUT/$name.xml" -o junit_logging=no \
            --dburi "mariadb+${SUITE_DRIVER:-pymysql}://$USER_NAME:$USER_PASSWORD@127.0.0.1:$port/test?charset=utf8mb4" "$@"
    ) >"$OUT/$name.log" 2>&1 || true
    scripts/suites/junit.py "$OUT/$name.xml" >"$OUT/$name"
}

main() {
    mkdir -p "$OUT"
    python_suite sqlalchemy "$VERSION" typing_extensions greenlet
    bed mariadb
    if ((!$#)); then set -- "${TESTS[@]}"; fi
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
