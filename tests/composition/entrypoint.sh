#!/usr/bin/env bash
# What the image mysql:9 does with an empty data directory before it starts the server, without a
# container (docker-entrypoint.sh of github.com/docker-library/mysql has the original).
#
#   entrypoint.sh DIRECTORY SCRIPT MYSQLD [OPTION..]      SCRIPT: what is mounted in /docker-entrypoint-initdb.d
set -eo pipefail

directory=$1 script=$2
shift 2
socket=$directory/socket pid=$directory/pid
set -- "$@" --datadir="$directory/data" --socket="$socket" --pid-file="$pid"

# A server that was started and not stopped in order ends with this script.
trap '[[ ! -e $pid ]] || kill -KILL "$(<"$pid")"' EXIT

"$@" --initialize-insecure --default-time-zone=SYSTEM
# It listens on its socket only.
"$@" --daemonize --skip-networking --default-time-zone=SYSTEM --log-error="$directory/first-start.log"

export MYSQL_UNIX_PORT=$socket
# As time zones are loaded: into the binary log.
mysql --protocol=socket --user=root mysql <<<"TRUNCATE TABLE time_zone"
MYSQL_ROOT_PASSWORD=$(openssl rand -base64 24)
export MYSQL_ROOT_PASSWORD
mysql --protocol=socket --user=root mysql <<END
SET @@SESSION.SQL_LOG_BIN = 0;
ALTER USER 'root'@'localhost' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
CREATE USER 'root'@'%' IDENTIFIED BY '$MYSQL_ROOT_PASSWORD';
GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;
END

# Sourced, as what cannot be executed is.
# shellcheck source=/dev/null
. "$script"

mysql --protocol=socket --user=root --password="$MYSQL_ROOT_PASSWORD" <<<"SHUTDOWN"
while [[ -e $pid ]]; do sleep 0.05; done
exec "$@"
