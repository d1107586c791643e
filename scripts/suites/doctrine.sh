#!/usr/bin/env bash
# Runs the functional tests of Doctrine ORM, which use Doctrine DBAL, first straight against a server and then
# through Landbridge, and prints the tests that pass directly and fail through. (DBAL's own tests are not part
# of what Debian or PyPI, npm and crates.io publish.)
#
#   scripts/suites/doctrine.sh mariadb                     or: mysql
#   scripts/suites/doctrine.sh mariadb --filter Lock       other arguments of PHPUnit
#
# Environment: that of bed.sh and debian.sh, and
#   SUITE_DRIVER  pdo_mysql (default) or mysqli
#   SUITE_OUT     logs and results (default: target/suites/doctrine)
#   SUITE_DIRECT  results of an earlier direct run, instead of another one
set -euo pipefail
cd "$(dirname "$0")/../.."
. scripts/suites/bed.sh
. scripts/suites/debian.sh

readonly VERSION=2.14.1
readonly PACKAGES=(php8.2-{cli,common,mysql,xml,mbstring} libargon2-1 libedit2 libonig5 libsodium23 libxml2 libicu72
    php-doctrine-{annotations,cache,collections,common,dbal,deprecations,event-manager,inflector,instantiator,lexer,persistence}
    php-psr-{cache,container,log}
    php-symfony-{cache,cache-contracts,console,deprecation-contracts,service-contracts,string,var-exporter}
    phpunit php-{codecoverage,deepcopy,file-iterator,invoker,parser,phar-io-manifest,phar-io-version,text-template,timer,tokenizer}
    phpunit-{cli-parser,code-unit,code-unit-reverse-lookup,comparator,complexity,diff,environment,exporter,global-state}
    phpunit-{lines-of-code,object-enumerator,object-reflector,recursion-context,resource-operations,type,version})
readonly EXTENSIONS=(ctype dom iconv mbstring mysqlnd mysqli pdo pdo_mysql phar posix tokenizer xml simplexml xmlreader xmlwriter)
readonly OUT=$(realpath -m "${SUITE_OUT:-target/suites/doctrine}")

say() { printf 'doctrine suite: %s\n' "$*" >&2; }

# Debian's packages find each other by PHP's include path; so do the tests, with this in place of Composer's.
autoload() {
    mkdir -p "$SOURCES/vendor"
    cat >"$SOURCES/vendor/autoload.php" <<'PHP'
<?php
spl_autoload_register(static function (string $class): void {
    foreach (['Doctrine\\Tests\\' => 'tests', 'Doctrine\\ORM\\' => 'lib', '' => null] as $prefix => $directory) {
        if (! str_starts_with($class, $prefix)) {
            continue;
        }
        $name = strtr($class, '\\', '/') . '.php';
        $file = $directory === null ? stream_resolve_include_path($name) : __DIR__ . "/../$directory/$name";
        if ($file && is_file($file)) {
            require_once $file;
            return;
        }
    }
});
foreach (['trigger_deprecation' => 'Symfony/Contracts/Deprecation/autoload.php', 'Symfony\\Component\\String\\u' => 'Symfony/Component/String/autoload.php'] as $function => $file) {
    if (! function_exists($function) && stream_resolve_include_path($file)) {
        require_once $file;
    }
}
PHP
}

# $1: port, $2: the report
settings() {
    cat <<XML
<phpunit bootstrap="$SOURCES/tests/Doctrine/Tests/TestInit.php" cacheResult="false">
  <testsuites><testsuite name="functional"><directory>$SOURCES/tests/Doctrine/Tests/ORM/Functional</directory></testsuite></testsuites>
  <groups><exclude><group>performance</group><group>locking_functional</group></exclude></groups>
  <logging><junit outputFile="$2"/></logging>
  <php>
    <var name="db_driver" value="${SUITE_DRIVER:-pdo_mysql}"/>
    <var name="db_host" value="127.0.0.1"/>
    <var name="db_port" value="$1"/>
    <var name="db_user" value="$USER_NAME"/>
    <var name="db_password" value="$USER_PASSWORD"/>
    <var name="db_dbname" value="doctrine_tests"/>
    <env name="COLUMNS" value="120"/>
  </php>
</phpunit>
XML
}

# $1: direct or through, $2: port; the rest: arguments of PHPUnit
run() {
    local name=$1 port=$2
    shift 2
    settings "$port" "$OUT/$name.xml" >"$BED/phpunit.xml"
    (
        export LD_LIBRARY_PATH
        LD_LIBRARY_PATH=$(echo "$DEBIAN_TREE"/usr/lib/*-linux-gnu)
        cd "$SOURCES"
        # `-n`: not the host's settings and extensions.
        "$DEBIAN_TREE/usr/bin/php8.2" -n -d extension_dir="$(echo "$DEBIAN_TREE"/usr/lib/php/2*)" "${EXTENSIONS[@]/#/-dextension=}" \
            -d include_path="$DEBIAN_TREE/usr/share/php" -d memory_limit=-1 "$DEBIAN_TREE/usr/bin/phpunit" \
            --configuration "$BED/phpunit.xml" "$@"
    ) >"$OUT/$name.log" 2>&1 || true
    [[ -s $OUT/$name.xml ]] || { say "the run did not end; see $OUT/$name.log"; exit 1; }
    scripts/suites/junit.py "$OUT/$name.xml" >"$OUT/$name"
}

main() {
    local flavor=${1:?mariadb or mysql}
    shift
    mkdir -p "$OUT"
    rm -f "$OUT"/*.xml
    debian_unpack php 1 "${PACKAGES[@]}"
    debian_source doctrine "$VERSION" +dfsg
    autoload
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
