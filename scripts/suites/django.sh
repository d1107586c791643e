#!/usr/bin/env bash
# Runs Django's own tests that use a database, first straight against a server and then through
# Landbridge, and prints the tests that pass directly and fail through.
#
#   scripts/suites/django.sh mariadb                 or: mysql
#   scripts/suites/django.sh mariadb basic schema    some of its tests
#
# Environment: that of bed.sh and python.sh, and
#   SUITE_OUT     logs and results (default: target/suites/django)
#   SUITE_DIRECT  results of an earlier direct run, instead of another one
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/suites/bed.sh
. scripts/suites/python.sh

readonly VERSION=5.2.19
readonly TESTS=(backends basic queries transactions transaction_hooks introspection schema inspectdb aggregation
    annotations select_for_update migrations bulk_create lookup model_fields get_or_create expressions cache)
readonly HERE=$PWD/scripts/suites
readonly OUT=$(realpath -m "${SUITE_OUT:-target/suites/django}")

say() { printf 'django suite: %s\n' "$*" >&2; }

# $1: direct or through, $2: port; the rest: tests
run() {
    local name=$1 port=$2
    shift 2
    rm -f "$OUT/$name"
    (
        cd "$SOURCES/tests"
        export SUITE_PORT=$port SUITE_USER=$USER_NAME SUITE_PASSWORD=$USER_PASSWORD SUITE_RESULTS=$OUT/$name
        PYTHONPATH=$SOURCES:$HERE PYTHONDONTWRITEBYTECODE=1 \
            "$PYTHON" -W ignore runtests.py --settings=django_settings --parallel=1 --noinput -v 2 "$@"
    ) >"$OUT/$name.log" 2>&1 || true
    [[ -e $OUT/$name ]] || { say "the run did not end; see $OUT/$name.log"; exit 1; }
}

main() {
    local flavor=${1:?mariadb or mysql}
    shift
    mkdir -p "$OUT"
    python_suite django "$VERSION" 'asgiref>=3.8.1' 'sqlparse>=0.3.1' tblib jinja2 tzdata
    bed "$flavor" --innodb-lock-wait-timeout=10
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
