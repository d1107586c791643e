#!/usr/bin/env bash
# Runs the tests that Waterline, the ORM of Sails, has for its adapters, and those of its adapter for MySQL,
# first straight against a server and then through Landbridge, and prints the tests that pass directly and fail
# through. (Knex, Sequelize, TypeORM and Bookshelf do not publish their tests on npm.)
#
#   scripts/suites/waterline.sh mariadb              or: mysql
#   scripts/suites/waterline.sh mariadb Semantic     only tests with this in their names
#
# Environment: that of bed.sh, and
#   SUITE_DRIVER      mysql (default) or mysql2, which the adapter was not made for
#   SUITE_OUT         logs and results (default: target/suites/waterline)
#   SUITE_DIRECT      results of an earlier direct run, instead of another one
#   LANDBRIDGE_CACHE  where to keep the packages (default: $XDG_CACHE_HOME/landbridge)
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/suites/bed.sh

readonly DRIVER=${SUITE_DRIVER:-mysql}
readonly ROOT=${LANDBRIDGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/landbridge}/suites/node/waterline-$DRIVER
readonly OUT=$(realpath -m "${SUITE_OUT:-target/suites/waterline}")

say() { printf 'waterline suite: %s\n' "$*" >&2; }

# The tests name Waterline's repository instead of a version.
install() {
    local driver='"mysql": "2.18.1"' work
    if [[ -e $ROOT ]]; then return; fi
    if [[ $DRIVER == mysql2 ]]; then driver='"mysql": "npm:mysql2@3.24.6"'; fi
    mkdir -p "${ROOT%/*}"
    work=$(mktemp -d -p "${ROOT%/*}")
    cat >"$work/package.json" <<JSON
{
  "private": true,
  "dependencies": { "sails-mysql": "3.0.1", "waterline-adapter-tests": "1.0.1", "waterline": "0.15.2", "mocha": "3.0.2" },
  "overrides": { "waterline-adapter-tests": { "waterline": "0.15.2" }, "machinepack-mysql": { $driver } }
}
JSON
    (cd "$work" && npm install --silent --ignore-scripts --no-audit --no-fund >&2)
    mv "$work" "$ROOT"
}

# Both start with an empty schema.
clean() {
    mariadb --no-defaults --socket="$DIRECT_SOCKET" --user=root --execute='DROP DATABASE test; CREATE DATABASE test'
}

# What the adapter's own runner does, with results to read.
runner() {
    cat <<'JS'
const [output, grep] = process.argv.slice(2);
const packaged = require('sails-mysql/package.json').waterlineAdapter;
new (require('waterline-adapter-tests'))({
    mocha: { timeout: 20000, reporter: 'xunit', reporterOptions: { output }, ...(grep && { grep }) },
    adapter: require('sails-mysql'),
    config: { schema: true, url: process.env.WATERLINE_ADAPTER_TESTS_URL },
    failOnError: true,
    interfaces: packaged.interfaces,
    features: packaged.features,
});
JS
}

# $1: direct or through, $2: port, $3: what tests must be called
run() {
    local name=$1 port=$2
    rm -f "$OUT/$name".*.xml
    clean
    (
        cd "$ROOT"
        export WATERLINE_ADAPTER_TESTS_URL=mysql://$USER_NAME:$USER_PASSWORD@127.0.0.1:$port/test
        runner >runner.js
        timeout 600 node runner.js "$OUT/$name.orm.xml" ${3:+"$3"} || true
        timeout 600 node node_modules/mocha/bin/_mocha --timeout 20000 --reporter xunit --reporter-options "output=$OUT/$name.adapter.xml" \
            ${3:+--grep "$3"} node_modules/sails-mysql/test/adapter/unit || true
    ) >"$OUT/$name.log" 2>&1
    [[ -s $OUT/$name.orm.xml && -s $OUT/$name.adapter.xml ]] || { say "the run did not end; see $OUT/$name.log"; exit 1; }
    for part in orm adapter; do scripts/suites/junit.py "$OUT/$name.$part.xml"; done >"$OUT/$name"
    LC_ALL=C sort -o "$OUT/$name" "$OUT/$name"
}

main() {
    local flavor=${1:?mariadb or mysql}
    shift
    mkdir -p "$OUT"
    install
    bed "$flavor"
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
