# Sourced by the suites: one real server in a directory that goes away at exit, and a Landbridge whose
# primary and replica are both that server. Nothing can be stale, so every difference between a direct
# run and one through Landbridge is Landbridge's own.
#
#   . scripts/suites/bed.sh
#   bed mariadb                       or: bed mysql
#
# Sets DIRECT_PORT, THROUGH_PORT, DIRECT_SOCKET, THROUGH_SOCKET, USER_NAME, USER_PASSWORD, and BED, the
# directory. The account has all privileges.
#
# Environment:
#   LANDBRIDGE        the program to test (default: target/debug/landbridge)
#   SUITE_POOL_MODE   transaction (default) or session
#   SUITE_SCOPE       consistency.scope (default: user)
#   SUITE_ACCOUNTS    names of more accounts, without passwords, that Landbridge is to know
# shellcheck shell=bash disable=SC2034

USER_NAME=suite
USER_PASSWORD=suite-secret
PIDS=()

bed_say() { printf 'bed: %s\n' "$*" >&2; }

# Asked of the kernel. Somebody else may take it before it is used; nothing here runs long enough apart.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

bed_stop() {
    local pid
    # Landbridge first: its connections keep the server from stopping at once.
    for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
    [[ -n ${BED:-} && -z ${SUITE_KEEP:-} ]] && rm -rf "$BED"
}

# $1: what is waited for; the rest: a command that succeeds when it is there.
until_true() {
    local what=$1 attempt
    shift
    for ((attempt = 0; attempt < 600; attempt++)); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    bed_say "gave up waiting for $what; see $BED"
    SUITE_KEEP=1
    exit 1
}

accounts_sql() {
    cat <<SQL
CREATE USER IF NOT EXISTS '$USER_NAME'@'%' IDENTIFIED BY '$USER_PASSWORD';
GRANT ALL PRIVILEGES ON *.* TO '$USER_NAME'@'%' WITH GRANT OPTION;
CREATE DATABASE IF NOT EXISTS test;
SQL
}

# Binary log and GTIDs, as Landbridge recommends: reads after writes take the way they take in earnest.
start_mariadb() {
    mariadb-install-db --no-defaults --skip-test-db --auth-root-authentication-method=normal --user="$(id -un)" \
        --datadir="$BED/data" >"$BED/install.log" 2>&1
    accounts_sql | tr '\n' ' ' | sed 's/; /;\n/g' >"$BED/init.sql"
    mariadbd --no-defaults --user="$(id -un)" --datadir="$BED/data" --socket="$DIRECT_SOCKET" --port="$DIRECT_PORT" \
        --bind-address=127.0.0.1 --log-bin=binlog --server-id=1 --binlog-format=ROW --local-infile=ON \
        --log-bin-trust-function-creators=ON --max-connections=300 \
        --character-set-server=utf8mb4 --collation-server=utf8mb4_general_ci --innodb-flush-log-at-trx-commit=0 \
        --pid-file="$BED/server.pid" --init-file="$BED/init.sql" "$@" >"$BED/server.log" 2>&1 &
    PIDS+=($!)
}

start_mysql() {
    local mysqld
    mysqld=$(scripts/mysql-server.sh)
    "$mysqld" --no-defaults --initialize-insecure --user="$(id -un)" --datadir="$BED/data" >"$BED/install.log" 2>&1
    accounts_sql | tr '\n' ' ' | sed 's/; /;\n/g' >"$BED/init.sql"
    "$mysqld" --no-defaults --user="$(id -un)" --datadir="$BED/data" --socket="$DIRECT_SOCKET" --port="$DIRECT_PORT" \
        --bind-address=127.0.0.1 --mysqlx=OFF --secure-file-priv= --log-bin=binlog --server-id=1 --gtid-mode=ON --enforce-gtid-consistency=ON \
        --local-infile=ON --log-bin-trust-function-creators=ON --max-connections=300 --innodb-flush-log-at-trx-commit=0 \
        --pid-file="$BED/server.pid" --init-file="$BED/init.sql" "$@" >"$BED/server.log" 2>&1 &
    PIDS+=($!)
}

start_landbridge() {
    # An address may be listed once only, so the replica gets another name.
    ln -s "$DIRECT_SOCKET" "$BED/replica.sock"
    cat >"$BED/proxy.toml" <<TOML
region = "here"

[[server]]
name = "primary"
address = "unix:$DIRECT_SOCKET"
role = "primary"
region = "there"
tls = "off"

[[server]]
name = "replica"
address = "unix:$BED/replica.sock"
role = "replica"
region = "here"
tls = "off"

[[user]]
name = "$USER_NAME"
password = "$USER_PASSWORD"

[[user]]
name = "root"
password = ""
min_warm = 0

$(for name in ${SUITE_ACCOUNTS:-}; do printf '[[user]]\nname = "%s"\npassword = ""\nmin_warm = 0\n' "$name"; done)

[listen]
mysql = ["127.0.0.1:$THROUGH_PORT", "unix:$THROUGH_SOCKET"]
http = "127.0.0.1:$HTTP_PORT"

[pool]
mode = "${SUITE_POOL_MODE:-transaction}"

[consistency]
scope = "${SUITE_SCOPE:-user}"
TOML
    "${LANDBRIDGE:-target/debug/landbridge}" run --config "$BED/proxy.toml" >"$BED/landbridge.log" 2>&1 &
    PIDS+=($!)
    until_true "Landbridge" curl -sf "http://127.0.0.1:$HTTP_PORT/readyz"
}

# $1: mariadb or mysql; the rest: options of the server.
bed() {
    local flavor=$1
    shift
    BED=$(mktemp -d)
    trap bed_stop EXIT
    DIRECT_PORT=$(free_port) THROUGH_PORT=$(free_port) HTTP_PORT=$(free_port)
    DIRECT_SOCKET=$BED/server.sock THROUGH_SOCKET=$BED/landbridge.sock
    "start_$flavor" "$@"
    until_true "the server" test -S "$DIRECT_SOCKET"
    until_true "the server's account" mariadb --no-defaults --socket="$DIRECT_SOCKET" --user="$USER_NAME" \
        --password="$USER_PASSWORD" --execute="SELECT 1"
    start_landbridge
}
