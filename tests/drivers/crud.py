"""What a PyMySQL application does, printed. Run against a server and against Landbridge, the output
must be the same: python3 crud.py HOST PORT USER PASSWORD"""

import sys

import pymysql

HOST, PORT, USER, PASSWORD = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]


def connect(**more):
    return pymysql.connect(host=HOST, port=PORT, user=USER, password=PASSWORD, database="app", **more)


conn = connect(autocommit=True)
with conn.cursor() as cur:
    cur.execute("DROP TABLE IF EXISTS py_t")
    cur.execute("CREATE TABLE py_t (id INT AUTO_INCREMENT PRIMARY KEY, n INT UNIQUE, s TEXT, d DATE, b BLOB)")
    print(cur.execute("INSERT INTO py_t (n, s, d, b) VALUES (%s, %s, %s, %s)", (1, "h\u00e9 \U0001f600", "2026-02-28", b"\0\xff'")), cur.lastrowid)
    print(cur.executemany("INSERT INTO py_t (n, s) VALUES (%s, %s)", [(n, "x" * n) for n in range(2, 50)]))
    cur.execute("SELECT * FROM py_t WHERE n < 4 ORDER BY id")
    print(cur.description, cur.fetchall())
conn.close()

# Autocommit is off by default: every statement belongs to a transaction.
conn = connect()
with conn.cursor() as cur:
    cur.execute("UPDATE py_t SET s = 'changed' WHERE n = 1")
    cur.execute("SELECT s FROM py_t WHERE n = 1")
    print(cur.fetchone())
    conn.rollback()
    cur.execute("SELECT s FROM py_t WHERE n = 1")
    print(cur.fetchone())
    cur.execute("DELETE FROM py_t WHERE n = 2")
    conn.commit()
    for sql in ["INSERT INTO py_t (n) VALUES (1)", "SELECT * FROM nowhere", "SELEC"]:
        try:
            cur.execute(sql)
        except pymysql.Error as error:
            print(type(error).__name__, error.args)
    conn.rollback()
conn.close()

conn = connect()
with conn.cursor() as cur:
    cur.execute("SELECT COUNT(*) FROM py_t")
    print(cur.fetchone())
with conn.cursor(pymysql.cursors.SSDictCursor) as cur:
    cur.execute("SELECT a.n FROM py_t a, py_t b ORDER BY a.n, b.n")
    print(cur.fetchone(), sum(1 for _ in cur))
conn.ping()
conn.select_db("app")
conn.close()
