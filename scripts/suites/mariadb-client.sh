#!/usr/bin/env bash
# Stands in for the clients of MariaDB's test suite (mariadb-test, mariadb, mariadb-dump ..) and takes
# them through Landbridge. mariadb.sh links to it by their names, in the directory where the suite looks.
#
# Each test gets a Landbridge of its own: the suite restarts its server between tests, and a fault
# should blame the test that met it, not the one after.
set -euo pipefail

readonly NAME=${0##*/}
readonly REAL=$SUITE_BIN/$NAME

# $@: the client's arguments. Options of a file come before all others, and the last one counts: what a
# test itself says about port and socket stays.
connect_through() {
    local arguments=()
    while [[ ${1:-} == --defaults* || ${1:-} == --no-defaults ]]; do
        arguments+=("$1")
        shift
    done
    arguments+=("--socket=$SUITE_SOCKET" "--port=$SUITE_PORT" "$@")
    # Where the suite kills this script, its client must not live on.
    exec setpriv --pdeathsig KILL "$REAL" "${arguments[@]}"
}

option() {
    local name=$1 argument
    shift
    for argument in "$@"; do
        if [[ $argument == "--$name="* ]]; then echo "${argument#*=}"; return; fi
    done
}

# The accounts that the test logs in with, other than root: "name password" a line. Landbridge wants to
# know them from its file. Where a test gives one account several passwords, the first counts.
accounts() {
    local files=("$test_file") name
    while read -r name; do
        if [[ -f $name ]]; then files+=("$name"); fi
    done < <(sed -nE 's/^[ -]*source +([^ ;]+).*/\1/Ip' "$test_file")
    sed -nE 's/^[ -]*connect *\(?([^);]*).*/\1/Ip; s/^[ -]*change_user +([^;]*);?.*/-,-,\1/Ip' "${files[@]}" |
        tr -d " '\"" |
        awk -F, '$3 ~ /^[A-Za-z0-9_]+$/ && $3 != "root" && $4 !~ /[\\$*]/ && !seen[$3]++ { print $3, $4 }'
}

configure() {
    # The same server twice. An address may be listed once only, so the replica gets another name.
    ln -sfn "$MASTER_MYSOCK" "$WORK/replica.sock"
    cat <<TOML
region = "here"

[[server]]
name = "primary"
address = "unix:$MASTER_MYSOCK"
role = "primary"
region = "there"
tls = "off"

[[server]]
name = "replica"
address = "unix:$WORK/replica.sock"
role = "replica"
region = "here"
tls = "off"

[[user]]
name = "root"
password = ""

$(accounts | while read -r user password; do
        printf '[[user]]\nname = "%s"\npassword = "%s"\nmin_warm = 0\n' "$user" "$password"
    done)

[listen]
mysql = ["unix:$SUITE_SOCKET", "127.0.0.1:$SUITE_PORT"]
http = "127.0.0.1:$HTTP_PORT"

[pool]
mode = "${SUITE_POOL_MODE:-transaction}"
min_warm = 2

[consistency]
# Without a binary log there are no GTIDs, and every read soon after a write would go to the primary.
# It is one server: nothing can be stale, and statements change connections as often as they may.
scope = "off"
TOML
}

start_landbridge() {
    configure >"$WORK/proxy.toml"
    cp "$WORK/proxy.toml" "${LOG%.log}.toml"
    setpriv --pdeathsig KILL "$LANDBRIDGE" run --config "$WORK/proxy.toml" >"$LOG" 2>&1 &
    landbridge=$!
    local attempt
    for ((attempt = 0; attempt < 500; attempt++)); do
        if curl -sf -o "$WORK/ready" "http://127.0.0.1:$HTTP_PORT/readyz"; then return; fi
        sleep 0.02
    done
    # The test's result shows it; going on tells more than giving up.
    echo "not ready after 10 s" >>"$LOG"
}

# Clients that a test starts itself: its Landbridge is running.
if [[ -n ${SUITE_SOCKET:-} ]]; then connect_through "$@"; fi

# What the suite asks between two tests is not part of any.
if [[ $NAME != mariadb-test || -n $(option defaults-group-suffix "$@") ]]; then exec "$REAL" "$@"; fi

WORK=$(mktemp -d)
test_file=$(option test-file "$@")
LOG=$SUITE_LOGS/$(basename "${test_file%.test}").log
export SUITE_SOCKET=$WORK/landbridge.sock SUITE_PORT=$((MASTER_MYPORT + 20))
HTTP_PORT=$((MASTER_MYPORT + 21))
landbridge=
trap 'kill "$landbridge" 2>/dev/null; rm -rf "$WORK"' EXIT
start_landbridge
# Not MASTER_MYPORT: tests compute with it and @@port. The few that connect to it go past Landbridge.
export MASTER_MYSOCK=$SUITE_SOCKET
status=0
(connect_through "$@") || status=$?
exit "$status"
