<?php
// What a PDO application (Symfony, Laravel) does, printed. Run against a server and against
// Landbridge, the output must be the same: php pdo.php HOST PORT USER PASSWORD on|off
[, $host, $port, $user, $password, $tls] = $argv;
$big = $tls === 'off' ? 20_000_000 : 200_000;

function connect(array $options = []): PDO
{
    global $host, $port, $user, $password, $tls;
    $dsn = "mysql:host=$host;port=$port;dbname=app;charset=utf8mb4";
    if ($tls === 'on') {
        $options += [PDO::MYSQL_ATTR_SSL_CIPHER => 'HIGH', PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT => false];
    }
    return new PDO($dsn, $user, $password, $options + [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
}

function show(string $what, mixed $value): void
{
    echo $what, ': ', json_encode($value, JSON_UNESCAPED_UNICODE | JSON_THROW_ON_ERROR), "\n";
}

connect()->exec('DROP TABLE IF EXISTS pdo_t');
connect()->exec('CREATE TABLE pdo_t (id INT AUTO_INCREMENT PRIMARY KEY, n INT UNIQUE, s TEXT, j JSON, t TIMESTAMP NULL, big LONGBLOB)');

foreach (['emulated' => true, 'native' => false] as $name => $emulated) {
    $base = $emulated ? 0 : 1000;
    $pdo = connect([PDO::ATTR_EMULATE_PREPARES => $emulated, PDO::MYSQL_ATTR_INIT_COMMAND => "SET time_zone = '+00:00'"]);
    $pdo->exec("set session sql_mode='ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'");
    show($name, [$pdo->query('SELECT @@time_zone')->fetchColumn(), $pdo->query('SELECT DATABASE()')->fetchColumn()]);

    $insert = $pdo->prepare('INSERT INTO pdo_t (n, s, j, t) VALUES (:n, :s, :j, :t)');
    foreach ([1, 2, 3] as $n) {
        $insert->execute([':n' => $base + $n, ':s' => "row \u{1F600} $n", ':j' => '{"a": [1, null]}', ':t' => '2026-01-01 00:00:00']);
        show('inserted', [$pdo->lastInsertId(), $insert->rowCount()]);
    }
    $insert->execute([':n' => $base + 4, ':s' => null, ':j' => null, ':t' => null]);
    $select = $pdo->prepare('SELECT id, n, s, j, t FROM pdo_t WHERE n > ? AND n < ? ORDER BY id');
    $select->execute([$base + 1, $base + 100]);
    show('selected', $select->fetchAll(PDO::FETCH_ASSOC));
    show('columns', array_map(fn ($i) => $select->getColumnMeta($i)['native_type'] ?? null, range(0, 4)));
    $select->execute([$base, $base + 2]);
    show('again', $select->fetchAll(PDO::FETCH_NUM));

    $update = $pdo->prepare('UPDATE pdo_t SET big = :big WHERE n = :n');
    $update->bindValue(':big', str_repeat("\0\xff", $big / 2), PDO::PARAM_LOB);
    $update->bindValue(':n', $base + 1, PDO::PARAM_INT);
    $update->execute();
    $select = $pdo->prepare("SELECT big, REPEAT('x', ?) FROM pdo_t WHERE n = ?");
    $select->bindValue(1, $big, PDO::PARAM_INT);
    $select->bindValue(2, $base + 1, PDO::PARAM_INT);
    $select->execute();
    show('big row', array_map(fn ($v) => [strlen($v), md5($v)], $select->fetch(PDO::FETCH_NUM)));

    $pdo->beginTransaction();
    $pdo->exec("DELETE FROM pdo_t WHERE n > $base");
    show('inside', [$pdo->inTransaction(), $pdo->query("SELECT COUNT(*) FROM pdo_t WHERE n > $base")->fetchColumn()]);
    $pdo->rollBack();
    $pdo->beginTransaction();
    $insert->execute([':n' => $base + 5, ':s' => 'committed', ':j' => null, ':t' => null]);
    $id = $pdo->lastInsertId();
    $pdo->commit();
    show('committed', [$id, $pdo->query("SELECT s FROM pdo_t WHERE id = $id")->fetchColumn()]);
    show('last id by SQL', $pdo->query('SELECT LAST_INSERT_ID()')->fetchColumn());

    foreach (["INSERT INTO pdo_t (n) VALUES ($base + 1)", 'SELECT * FROM nowhere', 'SELEC'] as $sql) {
        try {
            $pdo->query($sql);
        } catch (PDOException $error) {
            show('error', [$error->getCode(), $error->errorInfo[1], $error->errorInfo[2]]);
        }
    }
    $pdo->query('SELECT SQL_CALC_FOUND_ROWS id FROM pdo_t LIMIT 1')->fetchAll();
    show('found rows', $pdo->query('SELECT FOUND_ROWS()')->fetchColumn());
    $lazy = connect([PDO::ATTR_EMULATE_PREPARES => $emulated, PDO::MYSQL_ATTR_USE_BUFFERED_QUERY => false]);
    $rows = $lazy->query('SELECT a.id FROM pdo_t a, pdo_t b ORDER BY 1');
    show('unbuffered', [$rows->fetchColumn(), $rows->fetchColumn()]);
    $rows->closeCursor();
    show('found by client flag', connect([PDO::MYSQL_ATTR_FOUND_ROWS => true])->exec("UPDATE pdo_t SET s = 'committed' WHERE n = $base + 5"));
}

// Several results, of statements and of a procedure.
$pdo = connect();
$pdo->exec('DROP PROCEDURE IF EXISTS pdo_p');
$pdo->exec('CREATE PROCEDURE pdo_p(k INT) BEGIN SELECT k; UPDATE pdo_t SET s = "p" WHERE n = k; SELECT s FROM pdo_t WHERE n = k; END');
foreach (['SELECT 1; UPDATE pdo_t SET s = "m" WHERE n = 2; SELECT 2, NULL', 'CALL pdo_p(2)'] as $sql) {
    $results = $pdo->query($sql);
    do {
        show('result', [$results->columnCount() ? $results->fetchAll(PDO::FETCH_NUM) : null, $results->rowCount()]);
    } while ($results->nextRowset());
}
$call = connect([PDO::ATTR_EMULATE_PREPARES => false])->prepare('CALL pdo_p(?)');
$call->execute([1002]);
do {
    show('called', $call->columnCount() ? $call->fetchAll(PDO::FETCH_NUM) : null);
} while ($call->nextRowset());

// A file of the client.
$path = tempnam(sys_get_temp_dir(), 'rows');
file_put_contents($path, implode(array_map(fn ($n) => "$n\tline $n\n", range(5000, 5499))));
$pdo = connect([PDO::MYSQL_ATTR_LOCAL_INFILE => true]);
show('loaded', [$pdo->exec("LOAD DATA LOCAL INFILE '$path' INTO TABLE pdo_t (n, s)"), $pdo->query('SELECT COUNT(*), MAX(s) FROM pdo_t WHERE n >= 5000')->fetch(PDO::FETCH_NUM)]);
unlink($path);

for ($request = 0; $request < 3; $request++) {
    $pdo = connect([PDO::ATTR_PERSISTENT => true]);
    $pdo->exec('INSERT INTO pdo_t (s) VALUES ("persistent")');
    show('persistent', $pdo->query('SELECT COUNT(*) FROM pdo_t WHERE s = "persistent"')->fetchColumn());
    $pdo = null;
}
