"""What an application does with MariaDB's own Python driver on its C library 3.4. Run against a server and against Landbridge, the output must be the same:
python3 mariadb_c.py HOST PORT USER PASSWORD on|off"""

import pathlib
import sys

import mariadb

HOST, PORT, USER, PASSWORD, TLS = sys.argv[1:]
TYPES = pathlib.Path(__file__).with_name("types.sql").read_text().splitlines()
# What the library does where nothing is said, but this driver tells it otherwise: it trusts any certificate of this
# machine that has the right name, and refuses a server without one.
OPTIONS = {"ssl_verify_cert": True} if TLS == "on" else {}


def connect():
    return mariadb.connect(host=HOST, port=int(PORT), user=USER, password=PASSWORD, database="app", **OPTIONS)


def show(what, *values):
    print(f"{what}:", *map(repr, values))


def attempt(cur, sql, args=None):
    try:
        cur.execute(sql, args)
        show("succeeded", cur.rowcount, cur.lastrowid)
    except mariadb.Error as error:
        show("error", type(error).__name__, error.errno, str(error))


conn = connect()
conn.autocommit = True
cur = conn.cursor()
show("encrypted", bool(conn.tls_version))
for statement in TYPES:
    cur.execute(statement)
    show("types", cur.rowcount, cur.lastrowid)
cur.execute("SELECT * FROM types_t ORDER BY id")
show("columns", cur.description)
for row in cur:
    show("row", *row)

cur.execute("INSERT INTO types_t (n, s, d, b) VALUES (?, ?, ?, ?)", (10, "h\u00e9 \U0001f600", "2026-02-28", b"\0\xff'"))
show("insert", cur.rowcount, cur.lastrowid)
# One command for all of them, to servers that know it.
cur.executemany("INSERT INTO types_t (n, s) VALUES (?, ?)", [(n, "x" * n) for n in range(11, 50)])
show("many", cur.rowcount)
prepared = conn.cursor(binary=True)
for args in [(10, None), (11, "x" * 11), (12, "y")]:
    prepared.execute("SELECT id, n, s, b FROM types_t WHERE n = ? AND s <=> ?", args)
    show("prepared", prepared.description, prepared.fetchall())

conn.autocommit = False
cur.execute("UPDATE types_t SET s = 'changed' WHERE n < 20")
show("update", cur.rowcount, conn.warnings)
other = connect()
reader = other.cursor()
reader.execute("SELECT COUNT(*) FROM types_t WHERE s = 'changed'")
show("seen by another", reader.fetchone())
other.close()
conn.rollback()
conn.autocommit = True
cur.execute("SELECT COUNT(*) FROM types_t WHERE s = 'changed'")
show("rolled back", cur.fetchone())

for sql in ["SELECT * FROM nowhere", "INSERT INTO types_t (id) VALUES (1)", "SELEC 1"]:
    attempt(cur, sql)

cur.execute("SET @left = 1, SESSION sql_mode = 'ANSI'")
conn.change_user(USER, PASSWORD, "app")
cur = conn.cursor()
cur.execute("SELECT @left, @@sql_mode, DATABASE()")
show("changed user", cur.fetchone())
conn.ping()
conn.reset()
cur = conn.cursor()
cur.execute("SELECT DATABASE()")
show("reset", cur.fetchone())
conn.close()
