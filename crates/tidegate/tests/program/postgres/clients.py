"""psycopg and SQLAlchemy against the listener: what they were answered, as JSON."""

import json
import sys

import psycopg
from sqlalchemy import MetaData, URL, create_engine, inspect, select

port, user, token = int(sys.argv[1]), sys.argv[2], sys.argv[3]
database = sys.argv[4]
said = {}


def connect(**changes):
    arguments = {"host": "127.0.0.1", "port": port, "user": user, "password": token, "dbname": database}
    return psycopg.connect(**{**arguments, **changes})


def state(sql, parameters=None):
    """The SQLSTATE of a statement, or its rows."""
    with connect(autocommit=True) as connection:
        try:
            cursor = connection.execute(sql, parameters)
            return [list(map(str, row)) for row in cursor.fetchall()]
        except psycopg.Error as error:
            text = f"{error} {error.diag.message_detail} {error.diag.message_hint}"
            assert "SECRET" not in text and "987-65" not in text, text
            return error.sqlstate


with connect() as connection:
    # In a transaction that is none, with parameters, as text and in the binary format.
    for binary in (False, True):
        cursor = connection.cursor(binary=binary)
        cursor.execute("select id, region, ssn from emp where id >= %s and region = %s order by id", (1, "EU"))
        said[f"rows {binary}"] = cursor.fetchall()
        said[f"types {binary}"] = [column.type_code for column in cursor.description]
    cursor = connection.execute("select count(*) from emp where region = %s", ["O'Brien"])
    said["quotes"] = cursor.fetchone()[0]
    cursor = connection.execute("select count(*) from emp where id = %s", ["3"])
    said["text for a number"] = cursor.fetchone()[0]
    connection.commit()
    # A mistake ends the transaction that is none.
    try:
        connection.execute("select nothing from emp")
    except psycopg.errors.UndefinedColumn as error:
        said["unknown column"] = error.sqlstate
    try:
        connection.execute("select 1 from emp")
    except psycopg.errors.InFailedSqlTransaction as error:
        said["after it"] = error.sqlstate
    connection.rollback()
    said["after that"] = connection.execute("select count(*) from emp").fetchone()[0]

said["attacks"] = {
    sql: state(sql)
    for sql in [
        "select id, ssn, note from emp order by id",
        "with e as (select * from emp) select count(*) from e",
        "select count(*) from emp where ssn = '987-65-4321'",
        "select count(*) from emp where cast(note as int) > 0 and region = 'US'",
        "select count(*) from emp a, emp b where a.note like 'SECRET%'",
        "select count(*) from (select note from emp union all select note from emp) x where note like 'SECRET%'",
        "select * from emp where 1/0 = 1",
        "select * from payroll",
        "select payroll from emp",
        "explain select * from emp",
        "describe emp",
        "drop table emp",
        "insert into emp (id) values (9)",
        "copy emp to stdout",
        "create table x (y int)",
        "select 1; drop table emp",
        "select pg_read_file('/etc/passwd')",
        "select * from read_csv('/etc/passwd')",
        "select * from '/etc/passwd'",
        "set role postgres",
        "select (select max(note) from emp) from pg_class",
        "select reltuples from pg_class where relname = 'emp'",
        "select repeat('x', 1000000000)",
    ]
}

engine = create_engine(
    URL.create("postgresql+psycopg", user, token, "127.0.0.1", port, database), isolation_level="AUTOCOMMIT"
)
with engine.connect() as connection:
    looked = inspect(connection)
    said["tables"] = looked.get_table_names()
    said["columns"] = [[column["name"], str(column["type"])] for column in looked.get_columns("emp")]
    said["key"] = looked.get_pk_constraint("emp")["constrained_columns"]
    said["foreign keys"] = looked.get_foreign_keys("emp")
    said["indexes"] = looked.get_indexes("emp")
    metadata = MetaData()
    metadata.reflect(connection)
    emp = metadata.tables["emp"]
    said["reflected"] = [list(row) for row in connection.execute(select(emp.c.id).order_by(emp.c.id))]

for name, changes in {
    "wrong token": {"password": token[:-1] + ("0" if token[-1] != "0" else "1")},
    "no token": {"password": "Correct1horse!"},
    "other user": {"user": "eve@example.com"},
    "no user": {"user": "nobody"},
    "other database": {"dbname": "payroll"},
}.items():
    try:
        connect(**changes).close()
        said[name] = "connected"
    except psycopg.OperationalError as error:
        assert token not in str(error), name
        said[name] = str(error).splitlines()[0].split("FATAL:")[-1].strip()
print(json.dumps(said))
