# Sourced by the suites written in Python: an environment of their own with the drivers they use, and the
# sources of the suite itself, as published. Nothing is installed outside of it.
#
#   . scripts/suites/python.sh
#   python_suite django 5.2.19 tblib            name on PyPI, version, further packages
#
# Sets PYTHON and SOURCES.
#
# Environment:
#   LANDBRIDGE_CACHE  where to keep it (default: $XDG_CACHE_HOME/landbridge)
# shellcheck shell=bash disable=SC2034

readonly PYTHON_ROOT=${LANDBRIDGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/landbridge}/suites/python
readonly PYTHON=$PYTHON_ROOT/venv/bin/python

# mysqlclient is compiled: against MariaDB's client library, of which only the headers are fetched.
python_drivers() {
    if [[ -e $PYTHON_ROOT/complete ]]; then return; fi
    mkdir -p "$PYTHON_ROOT"
    python3 -m venv "$PYTHON_ROOT/venv"
    (cd "$PYTHON_ROOT" && apt-get -qq download libmariadb-dev && dpkg -x libmariadb-dev_*.deb headers && rm libmariadb-dev_*.deb)
    MYSQLCLIENT_CFLAGS=-I$PYTHON_ROOT/headers/usr/include/mariadb MYSQLCLIENT_LDFLAGS=-l:libmariadb.so.3 \
        "$PYTHON" -m pip --quiet install mysqlclient==2.3.1 pymysql==1.2.4 pytest pytest-timeout cryptography
    touch "$PYTHON_ROOT/complete"
}

python_suite() {
    local name=$1 version=$2
    shift 2
    python_drivers
    SOURCES=$PYTHON_ROOT/$name-$version
    if [[ -e $SOURCES ]]; then return; fi
    local work
    work=$(mktemp -d -p "$PYTHON_ROOT")
    "$PYTHON" -m pip --quiet download --no-deps --no-binary :all: --dest "$work" "$name==$version"
    tar -xzf "$work"/*.tar.gz -C "$work"
    if (($#)); then "$PYTHON" -m pip --quiet install "$@"; fi
    mv "$work/$name-$version" "$SOURCES"
    rm -rf "$work"
}
