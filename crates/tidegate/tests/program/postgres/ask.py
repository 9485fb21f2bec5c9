"""Asks statements over the wire, as text and in the binary format: a JSON list of [database, statement] comes in, what each was answered goes out."""

import json
import sys

import psycopg

port, user, token = int(sys.argv[1]), sys.argv[2], sys.argv[3]


def text(value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def ask(connection, statement, binary):
    cursor = connection.cursor(binary=binary)
    try:
        cursor.execute(statement)
        names = [column.name for column in cursor.description]
        return {"rows": [dict(zip(names, map(text, row))) for row in cursor.fetchall()]}
    except psycopg.Error as error:
        return {"state": error.sqlstate, "said": f"{error} {error.diag.message_detail} {error.diag.message_hint}"}


answers = []
connections = {}
for database, statement in json.load(sys.stdin):
    if database not in connections:
        connections[database] = psycopg.connect(
            host="127.0.0.1", port=port, user=user, password=token, dbname=database, autocommit=True
        )
    connection = connections[database]
    answers.append([ask(connection, statement, False), ask(connection, statement, True)])
print(json.dumps(answers))
