#!/usr/bin/env bash
# Installs what the tests, the demo and the benchmarks need and this machine does not have yet.
#
# Rust is the one thing that has to be here already. On Debian and Ubuntu the rest comes from the
# system's archive, but for MySQL itself: see scripts/mysql-server.sh. Nothing that is installed is
# removed or replaced, and no service is started or left enabled: tests start servers of their own.
#
# --without-drivers leaves out the languages and drivers that only tests need.
# --demo installs what `make demo` needs and nothing else: a C compiler, and MySQL with the keyring it is verified by.
#   The demo's own arguments may follow: with `--flavor mariadb` it is MariaDB instead.
# With CI set, anything that stays missing is an error. Without, tests of what is missing are skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

FOR=tests
WITHOUT_DRIVERS=
case ${1:-} in
"") ;;
--without-drivers) WITHOUT_DRIVERS=yes ;;
--demo) FOR=demo ;;
*) echo "setup: there is no $1" >&2; exit 2 ;;
esac
readonly FOR WITHOUT_DRIVERS
readonly LOG=target/setup.log
readonly CACHE=${LANDBRIDGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/landbridge}
readonly POLICY=/usr/sbin/policy-rc.d

say() { printf 'setup: %s\n' "$*"; }
die() { say "$*" >&2; exit 1; }
has() { PATH=$PATH:/usr/sbin:/usr/local/sbin:/usr/libexec command -v "$1" >/dev/null; }
has_prometheus() { has prometheus && has promtool; }
has_clients() { has mariadb && has mariadb-dump; }
has_php() { php -r 'exit(extension_loaded("mysqli") && extension_loaded("pdo_mysql") ? 0 : 1);'; }
has_php_class() { php -r "exit(stream_resolve_include_path('$1/autoload.php') ? 0 : 1);"; }

has_browser() { has chromium || has chromium-browser || has google-chrome; }

# Another python3 may come first on the path; the system's packages are for this one.
has_python() { /usr/bin/python3 -c "import $1"; }
has_perl() { perl "-M$1" -e1; }
has_ruby() { ruby -e "require '$1'"; }
has_go() { has go && GO111MODULE=off GOPATH=/usr/share/gocode go list github.com/go-sql-driver/mysql; }
# npm is part of some packages of Node and not of Debian's.
has_node() { has node && has npm; }
has_venv() { python3 -c 'import ensurepip'; }

# Programs that somebody names, and those that are there.
has_mysql() { [[ -n ${LANDBRIDGE_TEST_MYSQLD:-} || -x $CACHE/mysql/bin/mysqld ]]; }
has_keyring() { [[ -r /usr/share/keyrings/debian-archive-keyring.gpg ]]; }
can_have_mysql() { has_mysql || has_keyring; }
has_mariadb() { [[ -n ${LANDBRIDGE_TEST_MARIADBD:-} ]] || has mariadbd; }

as_root() {
    if [[ $EUID -eq 0 ]]; then "$@"; else sudo "$@"; fi
}

apt_get() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >>"$LOG" 2>&1
}

# --no-remove: MariaDB's packages conflict with those of MySQL, and whoever has a server keeps it.
apt_install() { apt_get install --yes --no-install-recommends --no-remove "$@"; }

# Ubuntu 22.04 has the version in the names of MariaDB's packages.
archive_name() {
    if apt-cache show "$1" >/dev/null 2>&1; then echo "$1"; return; fi
    local versioned
    versioned=$(apt-cache pkgnames "$1-" | grep -xE "$1-[0-9.]+" | sort -V | tail -n 1) || true
    echo "${versioned:-$1}"
}

# haproxy and prometheus come with a service, and installing one starts it. What policy-rc.d answers with 101 is
# not started; some systems, most containers among them, have that file for good.
hold_services() {
    if [[ ! -e $POLICY ]]; then
        trap 'as_root rm -f "$POLICY"' EXIT
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$POLICY" >/dev/null
        as_root chmod 755 "$POLICY"
    fi
}

# Nor at the next boot.
disable_service() {
    if [[ -d /run/systemd/system ]]; then
        as_root systemctl disable "$1" >>"$LOG" 2>&1 || true
    fi
}

PACKAGES=()
# $1: packages; the rest: a command that succeeds where they are not needed.
need() {
    local packages=$1
    shift
    # shellcheck disable=SC2206  # several words on purpose
    "$@" >/dev/null 2>&1 || PACKAGES+=($packages)
}

# Languages and drivers, for tests/real/drivers, and frameworks, for tests/real/examples and tests/real/optimistic.
look_for_drivers() {
    need "python3 python3-pymysql" has_python pymysql
    need "python3-mysqldb" has_python MySQLdb
    need "python3-venv" has_venv
    need "ruby ruby-mysql2" has_ruby mysql2
    need "libdbd-mysql-perl" has_perl DBD::mysql
    need "libdbd-mariadb-perl" has_perl DBD::MariaDB
    need "golang-go golang-github-go-sql-driver-mysql-dev" has_go
    need "default-jdk-headless" has javac
    need "libspring-jdbc-java" test -r /usr/share/java/spring3-jdbc.jar
    need "libmariadb-java" test -r /usr/share/java/mariadb-java-client.jar
    need "nodejs npm" has_node
    need "php-symfony-http-kernel" has_php_class Symfony/Component/HttpKernel
    need "php-doctrine-dbal" has_php_class Doctrine/DBAL
    need "php-doctrine-orm" has_php_class Doctrine/ORM
    need "php-illuminate-database" has_php_class Illuminate/Database
    need "php-illuminate-http" has_php_class Illuminate/Http
}

look_around() {
    PACKAGES=()
    [[ -n $WITHOUT_DRIVERS ]] || look_for_drivers
    # For tests/metrics.rs and tests/real/dashboard.rs.
    [[ -n $WITHOUT_DRIVERS ]] || need "prometheus" has_prometheus
    need "gcc libc6-dev" has cc
    # The core packages: the programs without a service around them.
    need "mariadb-server-core" has mariadbd
    need "mariadb-client" has_clients
    need "php-cli php-mysql" has_php
    need "sysbench" has sysbench
    need "haproxy" has haproxy
    need "openssl" has openssl
    need "curl ca-certificates" has curl
    # For the status page: tests/real/browser.
    need "chromium" has_browser
    # Debian's keys, for Ubuntu: MySQL comes from Debian.
    need "debian-archive-keyring" has_keyring
}

install_missing() {
    if ! has apt-get; then
        say "not Debian or Ubuntu: please install what these packages are called here: ${PACKAGES[*]}"
        return
    fi
    if [[ $EUID -ne 0 ]] && ! has sudo; then
        say "neither root nor sudo; as root: apt-get install --no-install-recommends ${PACKAGES[*]}"
        return
    fi
    mkdir -p "${LOG%/*}"
    : >"$LOG"
    local names=() package service services=()
    # Nothing of the demo's has a service.
    if [[ $FOR == tests ]]; then
        for service in haproxy prometheus; do has "$service" || services+=("$service"); done
        hold_services
    fi
    say "refreshing the package lists"
    apt_get update || say "that failed (see $LOG); going on with the old ones"
    for package in "${PACKAGES[@]}"; do names+=("$(archive_name "$package")"); done
    say "installing ${names[*]}"
    # One package that cannot be had must not keep the others away.
    if ! apt_install "${names[@]}"; then
        for package in "${names[@]}"; do
            apt_install "$package" || say "cannot install $package (see $LOG)"
        done
    fi
    for service in "${services[@]}"; do
        if has "$service"; then disable_service "$service"; fi
    done
}

has_ed25519() {
    local dir
    for dir in "$CACHE/mariadb-plugins" /usr/lib/mysql/plugin /usr/lib64/mysql/plugin /usr/lib/mariadb/plugin; do
        [[ -r $dir/auth_ed25519.so ]] && return
    done
    return 1
}

# MariaDB's signatures for passwords are in the package with the service: the plugin is unpacked from it,
# of the version of the programs that are installed.
mariadb_plugins() {
    has_ed25519 && return
    has apt-get || return 1
    local core version scratch status=0
    core=$(archive_name mariadb-server-core)
    version=$(dpkg-query --show --showformat='${Version}' "$core" 2>/dev/null) || return 1
    scratch=$(mktemp -d)
    say "unpacking MariaDB's auth_ed25519"
    mkdir -p "$CACHE/mariadb-plugins" "${LOG%/*}"
    (
        cd "$scratch" &&
            apt-get -qq download "${core/-core/}=$version" &&
            dpkg-deb --fsys-tarfile ./*.deb | tar --extract --wildcards --transform='s|.*/||' \
                --directory="$CACHE/mariadb-plugins" '*/auth_ed25519.so'
    ) >>"$LOG" 2>&1 || status=1
    rm -rf "$scratch"
    [[ $status -eq 0 ]] || say "that failed (see $LOG)"
    return "$status"
}

rust() {
    has cargo || die "Rust is missing: https://rustup.rs"
}

format_and_lint() {
    local component
    for component in fmt clippy; do
        if ! cargo "$component" --version >/dev/null 2>&1; then
            has rustup || die "cargo $component is missing"
            say "adding cargo $component"
            rustup component add "${component/fmt/rustfmt}"
        fi
    done
}

# Installs what is in PACKAGES, if anything is.
install_if_missing() {
    [[ ${#PACKAGES[@]} -eq 0 ]] || install_missing
}

# Servers make their certificates, and are asked, without any program of the system: the demo does that itself.
for_demo() {
    rust
    local wants_mariadb=
    [[ ${*,,} != *mariadb* ]] || wants_mariadb=yes
    PACKAGES=()
    need "gcc libc6-dev" has cc
    if [[ -n $wants_mariadb ]]; then
        need "mariadb-server-core" has_mariadb
    else
        need "debian-archive-keyring" can_have_mysql
    fi
    install_if_missing
    has cc || die "nothing can be built without a C compiler"
    if [[ -z $wants_mariadb ]] && ! scripts/mysql-server.sh >/dev/null; then
        say "no MySQL, so the demo takes MariaDB"
        PACKAGES=()
        need "mariadb-server-core" has_mariadb
        install_if_missing
        wants_mariadb=yes
    fi
    [[ -z $wants_mariadb ]] || has_mariadb || die "no server can be had"
    say "everything the demo needs is here"
}

main() {
    rust
    format_and_lint
    local complete=yes
    look_around
    if [[ ${#PACKAGES[@]} -gt 0 ]]; then
        install_missing
        look_around
        if [[ ${#PACKAGES[@]} -gt 0 ]]; then
            say "still missing: ${PACKAGES[*]}"
            complete=
        fi
    fi
    has cc || die "nothing can be built without a C compiler"
    mariadb_plugins || complete=
    scripts/mysql-server.sh >/dev/null || complete=
    [[ -n $WITHOUT_DRIVERS ]] || scripts/drivers.sh || complete=
    if [[ -n $complete ]]; then
        say "everything is here"
    elif [[ -n ${CI:-} ]]; then
        die "incomplete"
    else
        say "incomplete: tests of what is missing will be skipped"
    fi
}

if [[ $FOR == demo ]]; then for_demo "${@:2}"; else main; fi
