// What an application on MariaDB's Node connector does, printed. Run against a server and against
// Landbridge, the output must be the same: node mariadb.js HOST PORT USER PASSWORD on|off
import { createHash } from 'node:crypto';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as mariadb from 'mariadb';

const [host, port, user, password, tls] = process.argv.slice(2);
const types = readFileSync(new URL('../types.sql', import.meta.url), 'utf8').trim().split('\n');
const big = tls === 'off' ? 20_000_000 : 200_000;
const options = {
  host, port: Number(port), user, password, database: 'app', timezone: 'Z', checkDuplicate: false, maxAllowedPacket: 64 << 20,
  allowPublicKeyRetrieval: true, ...(tls === 'on' && { ssl: { rejectUnauthorized: false } }),
};

const json = (v) => JSON.stringify(v, (_, x) => (typeof x === 'bigint' ? `${x}n` : x)) ?? 'undefined';
const show = (what, ...values) => console.log(`${what}:`, ...values.map(json));
const columns = (meta) => meta.map((c) => [c.db(), c.table(), c.orgTable(), c.name(), c.orgName(), c.collation?.name, c.columnLength, c.columnType, c.flags, c.scale, c.type]);
const digest = (value) => [value.length, createHash('md5').update(value).digest('hex')];
const attempt = async (work) => {
  try {
    show('succeeded', await work());
  } catch ({ code, errno, sqlState, sqlMessage }) {
    show('error', code, errno, sqlState, sqlMessage);
  }
};

const conn = await mariadb.createConnection(options);
for (const statement of types) show('types', await conn.query(statement));

// Text and prepared; `execute` keeps its statements for the next time.
for (const how of ['query', 'execute']) {
  for (const n of [1, 2, 3, 99]) {
    const rows = await conn[how]('SELECT * FROM types_t WHERE n = ? OR s = ?', [n, 'nobody']);
    show(how, rows);
    if (n === 1) show('columns', ...columns(rows.meta));
  }
  const base = how === 'query' ? 10 : 20;
  const insert = 'INSERT INTO types_t (n, s, b, d, price, g, j) VALUES (?, ?, ?, ?, ?, ?, ?)';
  for (const row of [['h\u00e9 \u{1F600}', Buffer.from([0, 255, 39]), new Date(Date.UTC(2026, 1, 28)), '1.50', 0.1, '{"k": [1]}'], [null, null, null, null, null, null]]) {
    show('insert', await conn[how](insert, [base + (row[0] ? 1 : 2), ...row]));
  }
  show('update', await conn[how]('UPDATE types_t SET s = ? WHERE n < ?', ['same', base]));
  await conn[how]('UPDATE types_t SET b = ? WHERE n = ?', [Buffer.alloc(big, 'ab'), base + 1]);
  const [row] = await conn[how]("SELECT b, REPEAT('x', ?) AS x FROM types_t WHERE n = ?", [big, base + 1]);
  show('big row', digest(row.b), digest(row.x));
  await conn[how]('UPDATE types_t SET b = NULL WHERE n = ?', [base + 1]);
  for (const sql of ['INSERT INTO types_t (n) VALUES (1)', 'SELECT * FROM nowhere', 'SELEC', "INSERT INTO types_t (n) VALUES ('x')"]) {
    await attempt(() => conn[how](sql));
  }
  await attempt(() => conn[how]('SELECT n, s FROM types_t WHERE n > ? ORDER BY n', [base]));
  show('warnings', await conn[how]('INSERT IGNORE INTO types_t (n) VALUES (1)'), await conn.query('SHOW WARNINGS'));
  await conn[how]('SELECT SQL_CALC_FOUND_ROWS n FROM types_t LIMIT 1');
  show('found rows', await conn[how]('SELECT FOUND_ROWS() AS n'));
  show('procedure', await conn[how]('CALL types_p(?, @total)', [2]), await conn[how]('SELECT @total'));
}
const statement = await conn.prepare('SELECT n, s FROM types_t WHERE n = ?');
for (const n of [1, 2]) show('statement', await statement.execute([n]));
await statement.close();

// Many rows at once: one command to servers that have it, several in a row to others.
show('batch', await conn.batch('INSERT INTO types_t (n, s) VALUES (?, ?)', Array.from({ length: 50 }, (_, n) => [n + 100, n % 2 ? null : `b${n}`])));
await attempt(() => conn.batch('INSERT INTO types_t (n) VALUES (?)', [[200], [1], [201]]));
show('in one go', await Promise.all(Array.from({ length: 20 }, (_, n) => conn.query('SELECT ? AS n', [n]))));

// Transactions.
for (const end of ['rollback', 'commit']) {
  await conn.beginTransaction();
  await conn.execute('UPDATE types_t SET s = ? WHERE n = 1', [end]);
  show('inside', await conn.query('SELECT s FROM types_t WHERE n = 1'));
  await conn[end]();
  show('after', await conn.execute('SELECT s FROM types_t WHERE n = 1'));
}

// Reading as it comes.
let streamed = 0;
for await (const row of conn.queryStream('SELECT REPEAT("r", 100) AS r FROM types_t a, types_t b, types_t c LIMIT 50000')) streamed += row.r.length;
show('streamed', streamed);

// The same connection for somebody else.
const left = async (what) => show(what, await conn.query('SELECT @left, @@time_zone, DATABASE()'));
await conn.query("SET @left = 1, time_zone = '+05:00'");
await left('set');
await conn.reset();
await left('reset');
await conn.query("SET @left = 2, time_zone = '+05:00'");
// The driver refuses it to MySQL.
if (conn.info.isMariaDB()) await conn.changeUser({ user, password, database: 'app' });
await left('changed user');
await attempt(() => conn.query('SELECT 1; SELECT 2'));
await conn.ping();
await conn.end();

// Several statements, and a file of the client.
const several = await mariadb.createConnection({ ...options, multipleStatements: true, permitLocalInfile: true, rowsAsArray: true, dateStrings: true });
show('several', await several.query('SELECT 1 AS a; UPDATE types_t SET s = "multi" WHERE n < 3; SELECT dt, ts FROM types_t WHERE n = 1'));
await attempt(() => several.query('SELECT 1; SELECT * FROM nowhere; SELECT 2'));
const file = join(tmpdir(), `lines-${process.pid}.tsv`);
writeFileSync(file, Array.from({ length: 500 }, (_, n) => `${n + 2000}\tline ${n}\n`).join(''));
show('loaded', await several.query(`LOAD DATA LOCAL INFILE '${file}' INTO TABLE types_t (n, s)`), await several.query('SELECT COUNT(*), MAX(s) FROM types_t WHERE n >= 2000'));
rmSync(file);
await several.end();

const pool = mariadb.createPool({ ...options, connectionLimit: 4, resetAfterUse: true });
const requests = Array.from({ length: 40 }, async (_, n) => {
  const { insertId } = await pool.execute('INSERT INTO types_t (n) VALUES (?)', [n + 5000]);
  return (await pool.execute('SELECT n FROM types_t WHERE id = ?', [insertId]))[0]?.n;
});
show('requests', await Promise.all(requests));
await pool.end();
