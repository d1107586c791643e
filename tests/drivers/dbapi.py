"""What an application does with a DB-API driver, printed. Run against a server and against Landbridge,
the output must be the same: python3 dbapi.py pymysql|MySQLdb|mysql.connector HOST PORT USER PASSWORD on|off"""

import hashlib
import importlib
import pathlib
import sys
import tempfile
import warnings

NAME, HOST, PORT, USER, PASSWORD, TLS = sys.argv[1:]
driver = importlib.import_module(NAME)
TYPES = pathlib.Path(__file__).with_name("types.sql").read_text().splitlines()
BIG = 20_000_000 if TLS == "off" else 200_000
warnings.simplefilter("ignore")

ENCRYPTED = {
    "pymysql": {"ssl": {"ca": None}},
    "MySQLdb": {"ssl": {"cipher": "ALL"}},
    "mysql.connector": {"ssl_disabled": False},
}
PLAIN = {"pymysql": {"ssl_disabled": True}, "MySQLdb": {}, "mysql.connector": {"ssl_disabled": True}}
LOCAL = {"pymysql": {"local_infile": True}, "MySQLdb": {"local_infile": 1}, "mysql.connector": {"allow_local_infile": True}}
# The client flags for several statements at once.
MULTI = {"pymysql": {"client_flag": 1 << 16}, "MySQLdb": {"client_flag": 1 << 16}, "mysql.connector": {}}


def connect(**more):
    options = {"charset": "utf8mb4", **(ENCRYPTED if TLS == "on" else PLAIN)[NAME], **more}
    if NAME == "mysql.connector":
        options["use_pure"] = True
    return driver.connect(host=HOST, port=int(PORT), user=USER, password=PASSWORD, database="app", **options)


def short(value):
    """A long value by its length and digest; a set in order."""
    if isinstance(value, set):
        return sorted(value)
    if isinstance(value, (str, bytes)) and len(value) > 200:
        data = value.encode() if isinstance(value, str) else value
        return len(value), hashlib.md5(data).hexdigest()
    return value


def show(what, *values):
    print(f"{what}:", *map(repr, map(short, values)))


def attempt(cur, sql, args=None):
    try:
        cur.execute(sql, args)
        show("succeeded", cur.rowcount, cur.lastrowid)
    except driver.Error as error:
        show("error", type(error).__name__, getattr(error, "sqlstate", None), error.args)


def every_result(cur):
    """The results of a statement that has several."""
    while True:
        show("result", cur.description, cur.fetchall() if cur.description else cur.rowcount)
        if not cur.nextset():
            return


conn = connect()
conn.autocommit(True) if callable(conn.autocommit) else setattr(conn, "autocommit", True)
cur = conn.cursor()
for statement in TYPES:
    cur.execute(statement)
    show("types", cur.rowcount, cur.lastrowid)
cur.execute("SELECT * FROM types_t ORDER BY id")
show("columns", cur.description)
for row in cur.fetchall():
    show("row", *row)

# Parameters.
cur.execute("INSERT INTO types_t (n, s, d, b) VALUES (%s, %s, %s, %s)", (10, "h\u00e9 \U0001f600 %s", "2026-02-28", b"\0\xff'"))
show("insert", cur.rowcount, cur.lastrowid)
show("many", cur.executemany("INSERT INTO types_t (n, s) VALUES (%s, %s)", [(n, "x" * n) for n in range(11, 50)]), cur.rowcount, cur.lastrowid)
cur.execute("SELECT id, s, b FROM types_t WHERE n = %s OR s = %s", (10, "x" * 12))
show("found", cur.fetchall())
cur.execute("INSERT INTO types_t (n, body, b) VALUES (100, %s, %s)", ("\u00e9" * 1000, b"\0\xff" * (BIG // 2)))
cur.execute("SELECT body, b, REPEAT('x', %s) FROM types_t WHERE n = 100", (BIG,))
show("big row", *cur.fetchone())

# What a statement leaves.
cur.execute("INSERT IGNORE INTO types_t (n) VALUES (10), (101)")
show("ignored", cur.rowcount)
cur.execute("SHOW WARNINGS")
show("warnings", cur.fetchall())
cur.execute("SELECT SQL_CALC_FOUND_ROWS id FROM types_t LIMIT 1")
cur.fetchall()
cur.execute("SELECT FOUND_ROWS(), @@autocommit, DATABASE()")
show("found rows", cur.fetchall())
for sql in ["INSERT INTO types_t (n) VALUES (1)", "SELECT * FROM nowhere", "SELEC", "INSERT INTO types_t (n) VALUES ('x')"]:
    attempt(cur, sql)
attempt(cur, "SELECT CAST(%s AS CHAR)", ("after the errors",))
show("rest", cur.fetchall())

# Several results.
if NAME == "mysql.connector":
    show("procedure", cur.callproc("types_p", (2, (0, "SIGNED"))), [(r.column_names, r.fetchall()) for r in cur.stored_results()])
else:
    cur.callproc("types_p", (2, 0))
    every_result(cur)
    cur.execute("SELECT @_types_p_1")
    show("out", cur.fetchall())
multi = connect(**MULTI[NAME])
several = multi.cursor()
several.execute("SELECT 1 AS a; UPDATE types_t SET s = 'multi' WHERE n < 3; SELECT 2 AS b, NULL AS c")
every_result(several)
multi.rollback()
multi.close()

# Autocommit is off by default: every statement belongs to a transaction.
conn = connect()
cur = conn.cursor()
for end in [conn.rollback, conn.commit]:
    cur.execute("UPDATE types_t SET s = 'changed' WHERE n = 1")
    cur.execute("SAVEPOINT sp")
    cur.execute("DELETE FROM types_t")
    cur.execute("ROLLBACK TO sp")
    cur.execute("SELECT s FROM types_t WHERE n = 1")
    show("inside", cur.fetchone())
    end()
    cur.execute("SELECT s FROM types_t WHERE n = 1")
    show("after", cur.fetchone())
attempt(cur, "INSERT INTO types_t (n) VALUES (1)")
conn.rollback()
other = connect()
reader = other.cursor()
reader.execute("SELECT COUNT(*) FROM types_t WHERE s = 'changed'")
show("seen by another", reader.fetchone())
other.close()

# Reading as it comes.
if NAME == "mysql.connector":
    stream = conn.cursor(buffered=False, dictionary=True)
else:
    stream = conn.cursor(importlib.import_module(NAME + ".cursors").SSDictCursor)
stream.execute("SELECT a.n, REPEAT('r', 100) AS r FROM types_t a, types_t b, types_t c ORDER BY a.n, b.n, c.n LIMIT 50000")
show("streamed", stream.fetchone(), stream.fetchmany(2), sum(1 for _ in stream))
stream.close()

# A file of the client.
with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
    file.write("".join(f"{n}\tline {n}\n" for n in range(2000, 2500)))
    file.flush()
    load = f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE types_t (n, s)"
    local = connect(**LOCAL[NAME])
    cur = local.cursor()
    cur.execute(load)
    show("loaded", cur.rowcount)
    local.commit()
    cur.execute("SELECT COUNT(*), MAX(s) FROM types_t WHERE n >= 2000")
    show("rows", cur.fetchall())
    local.close()

# The same connection for somebody else.
cur = conn.cursor()
cur.execute("SET @left = 1, SESSION sql_mode = 'ANSI', time_zone = '+05:00'")
cur.execute("SELECT @left, @@sql_mode, @@time_zone")
show("set", cur.fetchone())
if NAME == "mysql.connector":
    conn.cmd_change_user(USER, PASSWORD, "app")
    cur.execute("SELECT @left, @@sql_mode, DATABASE()")
    show("changed user", cur.fetchone())
    cur.execute("SET @left = 2")
    conn.cmd_reset_connection()
    cur.execute("SELECT @left, DATABASE()")
    show("reset", cur.fetchone())
    prepared = conn.cursor(prepared=True)
    # Its binary protocol reads a YEAR as four bytes: that column is left out.
    names = "id, n, tiny, big, ubig, price, f, g, c, s, body, b, v, d, dt, ts, tm, bits, e, flags, j"
    for args in [(1, "changed"), (2, None), (2000, "line 2000")]:
        prepared.execute(f"SELECT {names} FROM types_t WHERE n = %s AND s <=> %s", args)
        show("prepared", prepared.description, *(v for row in prepared.fetchall() for v in row))
    prepared.execute("INSERT INTO types_t (n, price, dt, b) VALUES (%s, %s, %s, %s)", (3000, "1.5", "2026-01-01 00:00:00", b"\0"))
    show("prepared insert", prepared.rowcount, prepared.lastrowid)
    attempt(prepared, "INSERT INTO types_t (n) VALUES (%s)", (1,))
elif NAME == "MySQLdb":
    conn.change_user(USER, PASSWORD, "app")
    cur.execute("SELECT @left, @@sql_mode, DATABASE()")
    show("changed user", cur.fetchone())
conn.ping()
conn.select_db("app") if hasattr(conn, "select_db") else setattr(conn, "database", "app")
conn.close()
