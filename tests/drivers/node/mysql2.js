// What an application on Node's mysql2 does, printed. Run against a server and against Landbridge, the
// output must be the same: node mysql2.js HOST PORT USER PASSWORD on|off
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import mysql from 'mysql2/promise';

const [host, port, user, password, tls] = process.argv.slice(2);
const types = readFileSync(new URL('../types.sql', import.meta.url), 'utf8').trim().split('\n');
const big = tls === 'off' ? 20_000_000 : 200_000;
const options = {
  host, port: Number(port), user, password, database: 'app', charset: 'utf8mb4_unicode_ci', timezone: 'Z',
  supportBigNumbers: true, ...(tls === 'on' && { ssl: { rejectUnauthorized: false } }),
};

const show = (what, ...values) =>
  console.log(`${what}:`, ...values.map((v) => JSON.stringify(v, (_, x) => (typeof x === 'bigint' ? `${x}n` : x)) ?? 'undefined'));
const columns = (fields) => fields.map((f) => [f.name, f.orgName, f.table, f.orgTable, f.schema, f.characterSet, f.columnLength, f.columnType, f.flags, f.decimals]);
const done = ({ fieldCount, affectedRows, insertId, info, serverStatus, warningStatus, changedRows }) =>
  [fieldCount, affectedRows, insertId, info, serverStatus, warningStatus, changedRows];
const digest = (value) => [value.length, createHash('md5').update(value).digest('hex')];
const attempt = async (work) => {
  try {
    show('succeeded', await work());
  } catch ({ code, errno, sqlState, sqlMessage }) {
    show('error', code, errno, sqlState, sqlMessage);
  }
};

const conn = await mysql.createConnection(options);
for (const statement of types) show('types', done((await conn.query(statement))[0]));

// Text and prepared; `execute` keeps its statements for the next time.
for (const how of ['query', 'execute']) {
  for (const n of [1, 2, 3, 99]) {
    const [rows, fields] = await conn[how]('SELECT * FROM types_t WHERE n = ? OR s = ?', [n, 'nobody']);
    show(how, rows);
    if (n === 1) show('columns', ...columns(fields));
  }
  const base = how === 'query' ? 10 : 20;
  const insert = 'INSERT INTO types_t (n, s, b, d, price, g, j) VALUES (?, ?, ?, ?, ?, ?, ?)';
  for (const row of [['h\u00e9 \u{1F600}', Buffer.from([0, 255, 39]), new Date(Date.UTC(2026, 1, 28)), '1.50', 0.1, '{"k": [1]}'], [null, null, null, null, null, null]]) {
    const [result] = await conn[how](insert, [base + (row[0] ? 1 : 2), ...row]);
    show('insert', done(result));
  }
  show('update', done((await conn[how]('UPDATE types_t SET s = ? WHERE n < ?', ['same', base]))[0]));
  await conn[how]('UPDATE types_t SET b = ? WHERE n = ?', [Buffer.alloc(big, 'ab'), base + 1]);
  const [[row]] = await conn[how]("SELECT b, REPEAT('x', ?) AS x FROM types_t WHERE n = ?", [big, base + 1]);
  show('big row', digest(row.b), digest(row.x));
  await conn[how]('UPDATE types_t SET b = NULL WHERE n = ?', [base + 1]);
  for (const sql of ['INSERT INTO types_t (n) VALUES (1)', 'SELECT * FROM nowhere', 'SELEC', "INSERT INTO types_t (n) VALUES ('x')"]) {
    await attempt(() => conn[how](sql));
  }
  await attempt(async () => (await conn[how]('SELECT n, s FROM types_t WHERE n > ? ORDER BY n', [base]))[0]);
  const [warned] = await conn[how]('INSERT IGNORE INTO types_t (n) VALUES (1)');
  show('warnings', done(warned), (await conn.query('SHOW WARNINGS'))[0]);
  await conn[how]('SELECT SQL_CALC_FOUND_ROWS n FROM types_t LIMIT 1');
  show('found rows', (await conn[how]('SELECT FOUND_ROWS() AS n'))[0]);
  const [results] = await conn[how]('CALL types_p(?, @total)', [2]);
  show('procedure', results.map((r) => (Array.isArray(r) ? r : done(r))), (await conn[how]('SELECT @total'))[0]);
}
const statement = await conn.prepare('SELECT n, s FROM types_t WHERE n = ?');
for (const n of [1, 2]) show('statement', (await statement.execute([n]))[0]);
await statement.close();

// Transactions.
for (const end of ['rollback', 'commit']) {
  await conn.beginTransaction();
  await conn.execute('UPDATE types_t SET s = ? WHERE n = 1', [end]);
  show('inside', (await conn.query('SELECT s FROM types_t WHERE n = 1'))[0]);
  await conn[end]();
  show('after', (await conn.execute('SELECT s FROM types_t WHERE n = 1'))[0]);
}

// Reading as it comes, and a file of the client.
let streamed = 0;
for await (const row of conn.connection.query('SELECT a.n, REPEAT("r", 100) AS r FROM types_t a, types_t b, types_t c, types_t d').stream()) streamed += row.r.length;
show('streamed', streamed);
const lines = Array.from({ length: 500 }, (_, n) => Buffer.from(`${n + 2000}\tline ${n}\n`));
const [loaded] = await conn.query({ sql: "LOAD DATA LOCAL INFILE 'lines' INTO TABLE types_t (n, s)", infileStreamFactory: () => Readable.from(lines) });
show('loaded', done(loaded), (await conn.query('SELECT COUNT(*), MAX(s) FROM types_t WHERE n >= 2000'))[0]);

// The same connection for somebody else.
const left = async (what) => show(what, (await conn.query('SELECT @left, @@sql_mode = "ANSI", @@time_zone, DATABASE()'))[0]);
await conn.query("SET @left = 1, time_zone = '+05:00'");
await left('set');
await conn.reset?.();
await left('reset');
await conn.query("SET @left = 2, time_zone = '+05:00'");
await conn.changeUser({ user, password, database: 'app' });
await left('changed user');
await attempt(() => conn.query('SELECT 1; SELECT 2'));
await conn.ping();
await conn.end();

const several = await mysql.createConnection({ ...options, multipleStatements: true, rowsAsArray: true, dateStrings: true });
const [results, fields] = await several.query('SELECT 1 AS a; UPDATE types_t SET s = "multi" WHERE n < 3; SELECT dt, ts FROM types_t WHERE n = 1');
show('several', results.map((r) => (Array.isArray(r) ? r : done(r))), fields.map((f) => f && columns(f)));
await attempt(() => several.query('SELECT 1; SELECT * FROM nowhere; SELECT 2'));
show('rest', (await several.query('SELECT 3'))[0]);
await several.end();

const pool = mysql.createPool({ ...options, connectionLimit: 4 });
const requests = Array.from({ length: 40 }, async (_, n) => {
  const [{ insertId }] = await pool.execute('INSERT INTO types_t (n) VALUES (?)', [n + 5000]);
  return (await pool.execute('SELECT n FROM types_t WHERE id = ?', [insertId]))[0][0]?.n;
});
show('requests', await Promise.all(requests));
await pool.end();
