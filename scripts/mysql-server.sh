#!/usr/bin/env bash
# Makes a real MySQL 9.x server available and prints the path of its `mysqld`.
#
# Debian stable and Ubuntu's default archive have no current MySQL; Debian unstable does. Its packages,
# together with the libraries they were built for (libc included), are unpacked into a directory of
# their own and started through that directory's own dynamic loader. Nothing is installed into the
# host, no root rights are needed, and removing the directory undoes everything.
#
#   MYSQLD=$(scripts/mysql-server.sh)          the path is the only thing on standard output
#   scripts/mysql-server.sh --refresh          unpack again, with today's packages
#
# Environment:
#   LANDBRIDGE_TEST_MYSQLD    a MySQL server to use as it is; nothing is fetched
#   LANDBRIDGE_CACHE          where to unpack to (default: $XDG_CACHE_HOME/landbridge)
#   LANDBRIDGE_DEBIAN_MIRROR  archive to fetch from (default: the host's own, else deb.debian.org)
set -euo pipefail

readonly SUITE=sid
readonly PACKAGES=(mysql-server-core mysql-client-core)
readonly KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg
readonly CACHE=${LANDBRIDGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/landbridge}
readonly ROOT=$CACHE/mysql
# Raised when the layout below changes, so that older caches are rebuilt.
readonly LAYOUT=1

say() { printf 'mysql-server: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# MariaDB installs a `mysqld` too.
is_mysql() {
    local version
    version=$("$1" --no-defaults --version 2>/dev/null) || return 1
    [[ $version == *Ver* && $version != *MariaDB* ]]
}

is_complete() { [[ $(cat "$ROOT/complete" 2>/dev/null) == "$LAYOUT" ]]; }

# The archive this host is already configured for is the one most likely to be reachable.
debian_mirror() {
    if [[ -n ${LANDBRIDGE_DEBIAN_MIRROR:-} ]]; then
        echo "$LANDBRIDGE_DEBIAN_MIRROR"
        return
    fi
    local own
    # shellcheck disable=SC2016  # apt expands it, not the shell
    own=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        grep -E '/debian/?$' | head -n 1) || true
    echo "${own:-http://deb.debian.org/debian}"
}

# An apt of our own: the host's settings (proxies, credentials) with private sources, state and cache,
# and an empty list of installed packages, so that the whole closure down to libc is fetched.
write_apt_config() {
    local apt=$1 mirror=$2
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/no-preferences"
    : >"$apt/status"
    echo "deb [signed-by=$KEYRING] $mirror $SUITE main" >"$apt/sources.list"
    cat >"$apt/apt.conf" <<EOF
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "$apt/no-preferences";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled "false";
APT::Install-Recommends "false";
EOF
    # The hooks of the host's own updates (clean-up, notifications) are not meant for this one.
    cat >>"$apt/apt.conf" <<'EOF'
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Post-Invoke;
EOF
    # apt drops to `_apt`, which cannot read a cache below somebody's home directory.
    if [[ $EUID -eq 0 ]]; then echo 'APT::Sandbox::User "root";' >>"$apt/apt.conf"; fi
}

fetch() {
    local apt=$1
    say "fetching ${PACKAGES[*]} and their libraries (about 80 MB)"
    APT_CONFIG=$apt/apt.conf apt-get -qq update >&2
    APT_CONFIG=$apt/apt.conf apt-get -qq install --yes --download-only "${PACKAGES[@]}" >&2
}

# Data only: no maintainer script of any package is run.
unpack() {
    local apt=$1 root=$2 deb
    say "unpacking"
    mkdir -p "$root"
    for deb in "$apt"/cache/archives/*.deb; do
        case ${deb##*/} in
        perl*) continue ;; # only for the helper scripts of mysql-client-core
        esac
        dpkg-deb --extract "$deb" "$root"
    done
    rm -rf "$root"/etc "$root"/var "$root"/usr/share/{doc,man,info,locale,lintian,bash-completion,bug}
    # 140 MB of tools nobody asked for; the client is worth keeping.
    find "$root/usr/bin" ! -type d ! -name mysql -delete
}

# $1: the directory to write to; $2: the program below the root; the rest: arguments to put first.
# The wrapper finds its root from its own place, so the finished tree can be renamed.
write_wrapper() {
    local bin=$1 program=$2
    shift 2
    cat >"$bin/${program##*/}" <<EOF
#!/bin/sh
# Written by scripts/mysql-server.sh: runs the program with the libraries it was built for.
root=\$(dirname "\$(dirname "\$(readlink -f "\$0")")")/root
lib=\$root/usr/lib/$TRIPLET
# These two count only in the first place.
first=
case "\${1-}" in --no-defaults | --defaults-file=*) first=\$1; shift ;; esac
exec "\$root/$LOADER" --library-path "\$lib" --argv0 "\$0" "\$root/$program" \\
    \${first:+"\$first"} $* "\$@"
EOF
    chmod +x "$bin/${program##*/}"
}

# A program names its loader with an absolute path that is the host's own; ours is the same file
# inside the unpacked tree.
find_loader() {
    local root=$1
    TRIPLET=$(cd "$root/usr/lib" && echo *-linux-gnu*)
    LOADER=$(cd "$root" && find "usr/lib/$TRIPLET" -name 'ld-linux*.so.*' | head -n 1)
    [[ -n $LOADER ]] || die "no dynamic loader among the unpacked packages"
}

build() {
    local work=$1
    write_apt_config "$work/apt" "$(debian_mirror)"
    fetch "$work/apt"
    unpack "$work/apt" "$work/tree/root"
    find_loader "$work/tree/root"
    mkdir "$work/tree/bin"
    # shellcheck disable=SC2016  # expanded by the wrapper
    write_wrapper "$work/tree/bin" usr/sbin/mysqld \
        '--basedir="$root/usr"' '--lc-messages-dir="$root/usr/share/mysql"' \
        '--character-sets-dir="$root/usr/share/mysql/charsets"' \
        '--plugin-dir="$root/usr/lib/mysql/plugin"'
    # shellcheck disable=SC2016
    write_wrapper "$work/tree/bin" usr/bin/mysql \
        '--character-sets-dir="$root/usr/share/mysql/charsets"'
    is_mysql "$work/tree/bin/mysqld" || die "the unpacked server does not start"
    echo "$LAYOUT" >"$work/tree/complete"
}

main() {
    if [[ -n ${LANDBRIDGE_TEST_MYSQLD:-} ]]; then
        say "using LANDBRIDGE_TEST_MYSQLD"
        echo "$LANDBRIDGE_TEST_MYSQLD"
        return
    fi
    local refresh=${1:-} installed
    installed=$(PATH=$PATH:/usr/sbin command -v mysqld || true)
    if [[ -n $installed ]] && is_mysql "$installed"; then
        say "using the installed server"
        echo "$installed"
        return
    fi
    if [[ $refresh == --refresh ]] || ! is_complete; then
        command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
            die "needs a Debian or Ubuntu host; elsewhere set LANDBRIDGE_TEST_MYSQLD"
        [[ -r $KEYRING ]] || die "needs the package debian-archive-keyring"
        mkdir -p "$CACHE"
        exec 9>"$CACHE/mysql.lock"
        flock --nonblock 9 || { say "waiting for another run to finish" && flock 9; }
        # The other run may have done the work meanwhile.
        if [[ $refresh == --refresh ]] || ! is_complete; then
            WORK=$(mktemp -d "$CACHE/mysql.XXXXXX")
            trap 'rm -rf "$WORK"' EXIT
            build "$WORK"
            rm -rf "$ROOT"
            mv "$WORK/tree" "$ROOT"
            say "ready in $ROOT"
        fi
    else
        say "already in $ROOT"
    fi
    echo "$ROOT/bin/mysqld"
}

main "$@"
