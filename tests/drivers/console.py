"""What the admin console tells a DB-API driver: python3 console.py pymysql|MySQLdb|mysql.connector PORT USER PASSWORD"""

import importlib
import sys

NAME, PORT, USER, PASSWORD = sys.argv[1:]
driver = importlib.import_module(NAME)
options = {"use_pure": True} if NAME == "mysql.connector" else {}
connection = driver.connect(host="127.0.0.1", port=int(PORT), user=USER, password=PASSWORD, charset="utf8mb4", **options)
cursors = [connection.cursor()]
if NAME == "mysql.connector":
    cursors.append(connection.cursor(prepared=True))
for cursor in cursors:
    cursor.execute("SHOW SERVERS")
    names = [column[0] for column in cursor.description]
    for row in cursor.fetchall():
        row = dict(zip(names, row))
        print(row["server"], row["role"], row["health"], row["weight"])
    cursor.execute("SHOW CONFIG WHERE `key` LIKE 'pool.m%'")
    print([tuple(row) for row in cursor.fetchall()])
    try:
        cursor.execute("RELOADED")
    except driver.Error as error:
        print(error.args[0])
connection.commit()
connection.close()
