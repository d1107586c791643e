<?php
// What a mysqli application does, printed. Run against a server and against Landbridge, the output
// must be the same: php mysqli.php HOST PORT USER PASSWORD on|off
mysqli_report(MYSQLI_REPORT_ERROR | MYSQLI_REPORT_STRICT);
[, $host, $port, $user, $password, $tls] = $argv;
$big = $tls === 'off' ? 20_000_000 : 200_000;

function connect(string $prefix = ''): mysqli
{
    global $host, $user, $password, $port;
    $m = mysqli_init();
    $m->real_connect($prefix . $host, $user, $password, 'app', (int) $port, null, flags());
    $m->set_charset('utf8mb4');
    $m->query("SET SESSION sql_mode = 'STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION'");
    return $m;
}

function flags(): int
{
    global $tls;
    return $tls === 'on' ? MYSQLI_CLIENT_SSL | MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT : 0;
}

function short(?string $value): mixed
{
    return $value !== null && strlen($value) > 200 ? [strlen($value), md5($value)] : $value;
}

function show(string $what, mixed $value): void
{
    echo $what, ': ', json_encode($value, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR), "\n";
}

function rows(mysqli_result $result): array
{
    $fields = array_map(fn ($f) => [$f->name, $f->table, $f->type, $f->flags], $result->fetch_fields());
    return [$fields, array_map(fn ($row) => array_map(fn ($v) => is_string($v) ? bin2hex($v) : $v, $row), $result->fetch_all())];
}

$m = connect();
$m->query('DROP TABLE IF EXISTS mysqli_t');
$m->query('CREATE TABLE mysqli_t (id INT AUTO_INCREMENT PRIMARY KEY, n INT UNIQUE, s VARCHAR(50), d DECIMAL(10,2), f DOUBLE,
    b BLOB, e ENUM("x","y"), dt DATETIME(3), u BIGINT UNSIGNED, big LONGBLOB) DEFAULT CHARSET utf8mb4');

// Text.
$m->query("INSERT INTO mysqli_t (n, s, d, b) VALUES (1, 'h\u{e9}llo \u{1F600}', 1.50, x'00ff27')");
show('insert', [$m->insert_id, $m->affected_rows, $m->info]);
$m->query("INSERT INTO mysqli_t (n) VALUES (2), (3), (4)");
show('three', [$m->insert_id, $m->affected_rows, $m->info]);
$m->query('UPDATE mysqli_t SET s = "same" WHERE n < 4');
show('update', [$m->affected_rows, $m->info]);
show('select', rows($m->query('SELECT * FROM mysqli_t ORDER BY id')));
show('escaped', $m->query("SELECT '" . $m->real_escape_string("it's \\ \"\0") . "' AS v")->fetch_all());

// Prepared.
$st = $m->prepare('INSERT INTO mysqli_t (n, s, d, f, b, e, dt, u) VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
foreach ([10, 11] as $n) {
    [$s, $d, $f, $b, $e, $dt, $u] = ["p$n", '99.95', 0.25, null, 'y', '2026-02-28 23:59:59.125', '18446744073709551615'];
    $st->bind_param('issdssss', $n, $s, $d, $f, $b, $e, $dt, $u);
    $st->send_long_data(4, "long\0");
    $st->send_long_data(4, "data $n");
    $st->execute();
    show('prepared insert', [$st->insert_id, $st->affected_rows]);
}
$st->close();
$st = $m->prepare('SELECT id, n, s, d, f, b, e, dt, u FROM mysqli_t WHERE n >= ? ORDER BY id');
foreach ([10, 1] as $n) {
    $st->bind_param('i', $n);
    $st->execute();
    show('prepared select', rows($st->get_result()));
}
$st->close();

// Big rows, prepared and text.
$st = $m->prepare('UPDATE mysqli_t SET big = ? WHERE n = 10');
$value = str_repeat("\0\xff", $big / 2);
$st->bind_param('s', $value);
$st->execute();
show('big update', $st->affected_rows);
$st = $m->prepare("SELECT big, REPEAT('x', ?) FROM mysqli_t WHERE n = 10");
$st->bind_param('i', $big);
$st->execute();
show('big row', array_map(short(...), $st->get_result()->fetch_row()));
$m->query("UPDATE mysqli_t SET big = '" . str_repeat('y', $big) . "' WHERE n = 10");
show('big text', array_map(short(...), $m->query('SELECT big FROM mysqli_t WHERE n = 10')->fetch_row()));
$m->query('UPDATE mysqli_t SET big = NULL');

// A cursor, read to its end and left in the middle.
$st = $m->prepare('SELECT n FROM mysqli_t ORDER BY n');
$st->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
foreach ([100, 2] as $most) {
    $st->execute();
    $st->bind_result($n);
    $read = [];
    while (count($read) < $most && $st->fetch()) {
        $read[] = $n;
    }
    show('cursor', $read);
}
$st->close();

// Transactions.
$m->begin_transaction();
$m->query('DELETE FROM mysqli_t WHERE n = 1');
$m->savepoint('sp');
$m->query('DELETE FROM mysqli_t');
$m->query('ROLLBACK TO sp');
show('in transaction', $m->query('SELECT COUNT(*) FROM mysqli_t')->fetch_row());
$m->rollback();
$m->autocommit(false);
$m->query('UPDATE mysqli_t SET n = n + 100');
$m->commit();
$m->autocommit(true);
show('after', $m->query('SELECT SUM(n) FROM mysqli_t')->fetch_row());

// Several statements and results.
$m->multi_query('SELECT 1 AS a; SELECT 2 AS b, 3 AS c; DELETE FROM mysqli_t WHERE n = 104; SELECT 4');
do {
    $r = $m->store_result();
    show('result', $r ? rows($r) : $m->affected_rows);
} while ($m->more_results() && $m->next_result());

// What the last statement left.
$m->query('SELECT SQL_CALC_FOUND_ROWS id FROM mysqli_t LIMIT 1');
show('found', $m->query('SELECT FOUND_ROWS()')->fetch_row());
$m->query("INSERT IGNORE INTO mysqli_t (n) VALUES (110)");
show('warnings', [$m->warning_count, $m->query('SHOW WARNINGS')->fetch_all()]);
show('user variable', [$m->query('SET @a = 5'), $m->query('SELECT @a + 1')->fetch_row()]);
$m->query('CREATE TEMPORARY TABLE tmp_t SELECT n FROM mysqli_t');
show('temporary table', $m->query('SELECT COUNT(*) FROM tmp_t')->fetch_row());
$m->query('DROP TEMPORARY TABLE tmp_t');

// Errors.
foreach (['INSERT INTO mysqli_t (n) VALUES (110)', 'SELEC 1', 'SELECT * FROM nowhere', 'INSERT INTO mysqli_t (d) VALUES ("x")'] as $sql) {
    try {
        $m->query($sql);
    } catch (mysqli_sql_exception $error) {
        show('error', [$error->getCode(), $error->getSqlState(), $error->getMessage()]);
    }
}

// Unbuffered, and left in the middle.
$r = $m->query('SELECT a.n FROM mysqli_t a, mysqli_t b, mysqli_t c ORDER BY a.n', MYSQLI_USE_RESULT);
show('unbuffered', [$r->fetch_row(), $r->fetch_row()]);
$r->free();
show('ping', $m->query('SELECT 1')->fetch_row());
$m->close();

// The same connection for somebody else.
$m = connect();
$m->query("SET @left = 1, time_zone = '+05:00'");
$m->query('CREATE TEMPORARY TABLE tmp_t (n INT)');
$m->begin_transaction();
$m->query('UPDATE mysqli_t SET n = -1 WHERE n = 110');
show('changed user', $m->change_user($user, $password, 'app'));
show('state', $m->query('SELECT @left, @@time_zone, DATABASE(), @@autocommit')->fetch_row());
show('undone', $m->query('SELECT COUNT(*) FROM mysqli_t WHERE n = -1')->fetch_row());
try {
    $m->query('SELECT * FROM tmp_t');
} catch (mysqli_sql_exception $error) {
    show('error', [$error->getCode(), $error->getMessage()]);
}
show('elsewhere', [$m->change_user($user, $password, 'information_schema'), $m->query('SELECT DATABASE()')->fetch_row()]);
$m->close();
// Envelopes.
$m = mysqli_init();
$m->real_connect($host, $user, $password, 'app', (int) $port, null, flags() | MYSQLI_CLIENT_COMPRESS | MYSQLI_CLIENT_FOUND_ROWS);
$m->query("UPDATE mysqli_t SET s = s WHERE n = 110");
show('compressed', [$m->affected_rows, array_map(short(...), $m->query("SELECT REPEAT('x', 100000), @@version")->fetch_row())]);
$m->multi_query('SELECT 1; DO SLEEP(0.05); SELECT 2; SELECT SLEEP(0.05), 3');
do {
    $r = $m->store_result();
    show('result', $r ? rows($r) : $m->affected_rows);
} while ($m->more_results() && $m->next_result());
$m->close();

// The next requests: new connections, then a persistent one that is used again.
for ($request = 0; $request < 3; $request++) {
    $m = connect();
    $m->query("INSERT INTO mysqli_t (n) VALUES (" . (1000 + $request) . ")");
    $m->close();
    $m = connect();
    show('read my write', $m->query('SELECT COUNT(*) FROM mysqli_t WHERE n >= 1000')->fetch_row());
    $m->close();
}
for ($request = 0; $request < 2; $request++) {
    $m = connect('p:');
    show('persistent', [$m->query('SELECT @left')->fetch_row(), $m->query('SET @left = 1')]);
    $m->close();
}

// A file of the client.
$path = tempnam(sys_get_temp_dir(), 'rows');
file_put_contents($path, "2001\tone\n2002\ttwo\n");
$m = mysqli_init();
$m->options(MYSQLI_OPT_LOCAL_INFILE, true);
$m->real_connect($host, $user, $password, 'app', (int) $port, null, flags());
$m->query("LOAD DATA LOCAL INFILE '$path' INTO TABLE mysqli_t (n, s)");
show('loaded', [$m->affected_rows, $m->info, $m->query('SELECT s FROM mysqli_t WHERE n > 2000 ORDER BY n')->fetch_all()]);
unlink($path);
