<?php
// A guestbook in plain PDO. Like any PHP application it connects anew for each request; it knows nothing
// of Landbridge but where to connect to. What is between the two columns of its page is one DSN.
declare(strict_types=1);

const READS = 5;

/** A connection as an application opens it. */
function connect(string $dsn, ?string $authority): PDO
{
    $options = [PDO::ATTR_TIMEOUT => 5];
    if ($authority !== null) {
        $options[PDO::MYSQL_ATTR_SSL_CA] = $authority;
    }
    return new PDO($dsn, (string) getenv('APP_DB_USER'), (string) getenv('APP_DB_PASSWORD'), $options);
}

function through_landbridge(): PDO
{
    return connect((string) getenv('LANDBRIDGE_DSN'), null);
}

function direct(): PDO
{
    return connect((string) getenv('DIRECT_DSN'), getenv('DIRECT_CA') ?: null);
}

/** What a function returns, and the milliseconds it took. */
function timed(callable $work): array
{
    $begin = hrtime(true);
    $result = $work();
    return [$result, (hrtime(true) - $begin) / 1e6];
}

/** What every page view does: connect, and read a few times. */
function visit(callable $connect): array
{
    try {
        [$pdo, $connecting] = timed($connect);
        // Each server's --report-host says which it is.
        $read = fn () => $pdo->query(
            'SELECT *, @@report_host AS read_at FROM entries ORDER BY id DESC LIMIT 20'
        )->fetchAll(PDO::FETCH_ASSOC);
        [$entries, $reading] = timed(function () use ($read) {
            for ($i = 1; $i < READS; $i++) {
                $read();
            }
            return $read();
        });
        $server = $pdo->query('SELECT @@report_host')->fetchColumn();
        return ['connecting' => $connecting, 'reading' => $reading, 'server' => $server, 'entries' => $entries];
    } catch (PDOException $e) {
        return ['error' => $e->getMessage()];
    }
}

/** Writes an entry; where to look at it. */
function post(string $name, string $message): string
{
    [$pdo, $connecting] = timed(through_landbridge(...));
    $insert = $pdo->prepare('INSERT INTO entries (name, message, written_at) VALUES (?, ?, @@report_host)');
    [, $writing] = timed(fn () => $insert->execute([$name, $message]));
    return '/?' . http_build_query(['entry' => $pdo->lastInsertId(), 'ms' => round($connecting + $writing, 1)]);
}

function html(mixed $text): string
{
    return htmlspecialchars((string) $text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

function ms(float $ms): string
{
    return sprintf('%.1f ms', $ms);
}

header("Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; form-action 'self'");
header('Cache-Control: no-store');

$failure = null;
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    try {
        // What is shown next is read on another connection, which is another request's.
        header('Location: ' . post((string) ($_POST['name'] ?? ''), (string) ($_POST['message'] ?? '')), true, 303);
        return;
    } catch (PDOException $e) {
        http_response_code(503);
        $failure = $e->getMessage();
    }
}

$near = visit(through_landbridge(...));
$far = visit(direct(...));
$posted = null;
foreach ($near['entries'] ?? [] as $entry) {
    if ((string) $entry['id'] === ($_GET['entry'] ?? '')) {
        $posted = $entry;
    }
}
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Guestbook</title>
<style>
  :root { color-scheme: light dark }
  body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }
  table { border-collapse: collapse; width: 100% }
  td, th { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884 }
  .note { padding: .5rem 1rem; border-left: .3rem solid #2a9d4a; background: #2a9d4a22 }
  .bad { border-color: #c33; background: #c3322222 }
  input, textarea { font: inherit; width: 100%; box-sizing: border-box; margin-bottom: .5rem }
  small { opacity: .7 }
</style>
<h1>Guestbook</h1>
<?php if ($failure !== null): ?>
<p class="note bad">Not written: <?= html($failure) ?></p>
<?php elseif ($posted !== null): ?>
<p class="note">Written at the <b><?= html($posted['written_at']) ?></b> in
  <?= html(ms((float) ($_GET['ms'] ?? 0))) ?>, connecting included, and read back on another connection from the
  <b><?= html($posted['read_at']) ?></b>.</p>
<?php elseif (isset($_GET['entry'])): ?>
<p class="note bad">The entry just written is not there.</p>
<?php endif ?>
<form method="post" action="/">
  <input name="name" placeholder="Your name" maxlength="80" required>
  <textarea name="message" placeholder="Your message" maxlength="500" rows="2" required></textarea>
  <button>Write</button>
</form>
<h2>This page, both ways</h2>
<table>
  <tr><th><th>straight to the primary<th>through Landbridge
<?php if (isset($far['error']) || isset($near['error'])): ?>
  <tr><td>says<td><?= html($far['error'] ?? 'all is well') ?><td><?= html($near['error'] ?? 'all is well') ?>

<?php endif ?>
<?php foreach (['connecting' => 'connect', 'reading' => READS . ' reads'] as $what => $label): ?>
  <tr><td><?= html($label) ?>
<?php foreach ([$far, $near] as $way): ?>
<td><?= isset($way[$what]) ? html(ms($way[$what])) : '' ?>
<?php endforeach ?>

<?php endforeach ?>
  <tr><td>answered by<td><?= html($far['server'] ?? '') ?><td><?= html($near['server'] ?? '') ?>

</table>
<h2>Entries</h2>
<?php foreach ($near['entries'] ?? [] as $entry): ?>
<p><b><?= html($entry['name']) ?></b>: <?= html($entry['message']) ?><br>
  <small><?= html($entry['posted']) ?></small></p>
<?php endforeach ?>
</html>
