"""What an asyncio application does, printed. Run against a server and against Landbridge, the output
must be the same: python3 aio.py aiomysql|asyncmy HOST PORT USER PASSWORD on|off"""

import asyncio
import hashlib
import importlib
import pathlib
import ssl
import sys
import tempfile

NAME, HOST, PORT, USER, PASSWORD, TLS = sys.argv[1:]
driver = importlib.import_module(NAME)
cursors = importlib.import_module(NAME + ".cursors")
TYPES = pathlib.Path(__file__).with_name("types.sql").read_text().splitlines()
# A row of more than 16 MB is none at all to asyncmy.
BIG = 200_000 if TLS == "on" else 5_000_000 if NAME == "asyncmy" else 20_000_000


def options(**more):
    context = None
    if TLS == "on":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return {"host": HOST, "port": int(PORT), "user": USER, "password": PASSWORD, "db": "app", "charset": "utf8mb4", "ssl": context, **more}


def show(what, *values):
    print(f"{what}:", *(repr(sorted(v) if isinstance(v, set) else v) for v in values))


async def crud(conn):
    async with conn.cursor() as cur:
        for statement in TYPES:
            show("types", await cur.execute(statement), cur.lastrowid)
        await cur.execute("SELECT * FROM types_t ORDER BY id")
        show("columns", cur.description)
        for row in await cur.fetchall():
            show("row", *row)
        show("insert", await cur.execute("INSERT INTO types_t (n, s, b) VALUES (%s, %s, %s)", (10, "h\u00e9 \U0001f600", "\0\xff'")), cur.lastrowid)
        show("many", await cur.executemany("INSERT INTO types_t (n, s) VALUES (%s, %s)", [(n, "x" * n) for n in range(11, 50)]))
        await cur.execute("UPDATE types_t SET b = %s WHERE n = 10", ("\xff" * (BIG // 2),))
        await cur.execute("SELECT b, REPEAT('x', %s) FROM types_t WHERE n = 10", (BIG,))
        show("big row", *((len(v), hashlib.md5(v if isinstance(v, bytes) else v.encode()).hexdigest()) for v in await cur.fetchone()))
        for sql in ["INSERT INTO types_t (n) VALUES (1)", "SELECT * FROM nowhere", "SELEC"]:
            try:
                await cur.execute(sql)
            except driver.Error as error:
                show("error", type(error).__name__, error.args)
        await cur.execute("INSERT IGNORE INTO types_t (n) VALUES (10), (101)")
        await cur.execute("SHOW WARNINGS")
        show("warnings", await cur.fetchall())
        await cur.callproc("types_p", (2, 0))
        while True:
            show("result", cur.description, await cur.fetchall())
            if not await cur.nextset():
                break
        await cur.execute("SELECT @_types_p_1")
        show("out", await cur.fetchone())


async def transactions(conn):
    async with conn.cursor() as cur:
        for end in [conn.rollback, conn.commit]:
            await conn.begin()
            await cur.execute("UPDATE types_t SET s = 'changed' WHERE n = 1")
            await cur.execute("SELECT s FROM types_t WHERE n = 1")
            show("inside", await cur.fetchone())
            await end()
            await cur.execute("SELECT s FROM types_t WHERE n = 1")
            show("after", await cur.fetchone())
    async with conn.cursor(cursors.SSDictCursor) as stream:
        await stream.execute("SELECT a.n FROM types_t a, types_t b, types_t c ORDER BY a.n LIMIT 20000")
        first, count = await stream.fetchone(), 0
        while await stream.fetchmany(1000):
            count += 1
        show("streamed", first, count)


async def load():
    """A file of the client."""
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        file.write("".join(f"{n}\tline {n}\n" for n in range(2000, 2500)))
        file.flush()
        conn = await driver.connect(**options(autocommit=True, local_infile=True))
        async with conn.cursor() as cur:
            show("loaded", await cur.execute(f"LOAD DATA LOCAL INFILE '{file.name}' INTO TABLE types_t (n, s)"), cur.lastrowid)
            await cur.execute("SELECT COUNT(*), MAX(s) FROM types_t WHERE n >= 2000")
            show("rows", await cur.fetchall())
        await conn.ensure_closed()


async def request(pool, n):
    """One web request on a connection of the pool: it sees its own write."""
    async with pool.acquire() as conn, conn.cursor() as cur:
        await cur.execute("INSERT INTO types_t (n) VALUES (%s)", (n,))
        id_of_row = cur.lastrowid
    async with pool.acquire() as conn, conn.cursor(cursors.DictCursor) as cur:
        await cur.execute("SELECT n, @left AS left_over FROM types_t WHERE id = %s", (id_of_row,))
        return await cur.fetchone()


async def main():
    conn = await driver.connect(**options(autocommit=True))
    await crud(conn)
    await transactions(conn)
    await conn.ping()
    await conn.ensure_closed()
    if NAME != "asyncmy":  # It raises a TypeError as soon as a server asks for a file.
        await load()
    pool = await driver.create_pool(minsize=1, maxsize=4, **options(autocommit=True))
    show("requests", await asyncio.gather(*(request(pool, n) for n in range(1000, 1040))))
    pool.close()
    await pool.wait_closed()


asyncio.run(main())
