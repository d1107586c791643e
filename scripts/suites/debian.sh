# Sourced by the suites that come from Debian: packages and sources of bookworm, unpacked into a directory of
# their own. Nothing is installed, and no rights are needed.
#
#   . scripts/suites/debian.sh
#   debian_unpack ruby 1 ruby-activerecord ..     directory, its layout's number, packages (not what they need)
#   debian_source rails 6.1.7.10 +dfsg            source package, upstream version, what Debian adds to it
#
# Set DEBIAN_TREE and SOURCES. Sources are those that Debian's packages were made from, tests included, without
# Debian's changes. The number is raised when the packages change, so that older caches are unpacked again.
#
# Environment:
#   LANDBRIDGE_CACHE          where to keep it (default: $XDG_CACHE_HOME/landbridge)
#   LANDBRIDGE_DEBIAN_MIRROR  archive to fetch from (default: deb.debian.org/debian)
# shellcheck shell=bash disable=SC2034

readonly DEBIAN_ROOT=${LANDBRIDGE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/landbridge}/suites/debian

# An apt of our own, with the host's settings (proxies, credentials) and private sources, state and cache.
debian_apt() {
    local apt=$DEBIAN_ROOT/apt key=/usr/share/keyrings/debian-archive-keyring.gpg
    local mirror=${LANDBRIDGE_DEBIAN_MIRROR:-http://deb.debian.org/debian}
    if [[ -e $apt/updated ]]; then return; fi
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial"
    : >"$apt/status"
    printf '%s [signed-by='$key'] %s %s main\n' deb "$mirror" bookworm deb-src "$mirror" bookworm \
        deb "$mirror-security" bookworm-security deb-src "$mirror-security" bookworm-security >"$apt/sources.list"
    cat >"$apt/apt.conf" <<CONF
Dir::State "$apt/state";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache";
Dir::Etc::sourcelist "$apt/sources.list";
Dir::Etc::sourceparts "-";
Acquire::Languages "none";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
    # apt drops to `_apt`, which cannot read a cache below somebody's home directory.
    if [[ $EUID -eq 0 ]]; then echo 'APT::Sandbox::User "root";' >>"$apt/apt.conf"; fi
    APT_CONFIG=$apt/apt.conf apt-get -qq update
    touch "$apt/updated"
}

debian_unpack() {
    local layout=$2 work deb
    DEBIAN_TREE=$DEBIAN_ROOT/$1
    shift 2
    if [[ $(cat "$DEBIAN_TREE/complete" 2>/dev/null) == "$layout" ]]; then return; fi
    debian_apt
    work=$(mktemp -d -p "$DEBIAN_ROOT")
    (cd "$work" && APT_CONFIG=$DEBIAN_ROOT/apt/apt.conf apt-get -qq download "$@")
    for deb in "$work"/*.deb; do dpkg-deb --extract "$deb" "$work/tree"; done
    echo "$layout" >"$work/tree/complete"
    rm -rf "$DEBIAN_TREE"
    mv "$work/tree" "$DEBIAN_TREE"
    rm -rf "$work"
}

debian_source() {
    local name=$1 version=$2 suffix=$3 work revision
    SOURCES=$DEBIAN_ROOT/$name-$version
    if [[ -e $SOURCES ]]; then return; fi
    debian_apt
    work=$(mktemp -d -p "$DEBIAN_ROOT")
    # Any revision of it: they share the upstream sources.
    revision=$(APT_CONFIG=$DEBIAN_ROOT/apt/apt.conf apt-cache showsrc --only-source "$name" |
        sed -n 's/^Version: //p' | grep -F -- "$version$suffix-" | sed -n 1p)
    (cd "$work" && APT_CONFIG=$DEBIAN_ROOT/apt/apt.conf apt-get -qq source --tar-only --download-only "$name=$revision" >/dev/null)
    tar -xf "$work"/*.orig.tar.* -C "$work"
    mv "$work/$name-$version" "$SOURCES"
    rm -rf "$work"
}
