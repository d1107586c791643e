"""Requests to an application with a session of SQLAlchemy for each of them, and its pool:

    python3 sqlalchemy_requests.py PORT USER PASSWORD

For each line of the input one request: `write` reads five rows and changes one, `read` only reads. When the request is
over, a line with the value of the first row is printed."""

import sys

from sqlalchemy import URL, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

PORT, USER, PASSWORD = sys.argv[1:4]


class Base(DeclarativeBase):
    pass


class Row(Base):
    __tablename__ = "t"
    id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int]


url = URL.create("mysql+pymysql", USER, PASSWORD, "127.0.0.1", int(PORT), "app")
engine = create_engine(url, pool_size=1, pool_pre_ping=True, connect_args={"ssl_disabled": True})
for line in sys.stdin:
    with Session(engine) as session:
        rows = [session.get(Row, key) for key in range(1, 6)]
        if line.strip() == "write":
            rows[0].n += 1
        value = rows[0].n
        session.commit()
    print(value, flush=True)
