#!/usr/bin/env python3
"""The fact set with what is expected of it, as one JSON document: for a test that runs it on the engine itself.

    eval/prompts/facts.py SET...        a set is a file here without its ending: questions, held_out, held_out_2, pitfalls

Databases come with their rows, each value as a text or null; questions with the rows of their hand-written statement, or null where they have
to be refused. Needs nothing but Python.
"""
import decimal
import json
import pathlib
import re
import sqlite3
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TEXT = {"decimal": lambda value: str(decimal.Decimal(str(value)).quantize(decimal.Decimal("0.01"))), "boolean": lambda value: "true" if value else "false"}


def questions(path):
    """The questions of a file."""
    text = re.sub(r"^#.*\n", "", path.read_text(), flags=re.M)
    for block in filter(None, (each.strip() for each in text.split("\n\n"))):
        found = re.fullmatch(r"\[(\w+)\] (\w+)( ordered)?\n\? (.*)\n= (.*)", block)
        if not found:
            sys.exit(f"{path}: not a question: {block}")
        yield dict(zip(("database", "kind", "ordered", "question", "sql"), found.groups()))


def description(table, rows):
    """A table as the planner takes it."""
    columns = [{"name": c["name"], "kind": c["type"], "nullable": c["nullable"], "comment": c["comment"]} for c in table["columns"]]
    keys = [{"columns": [k["column"]], "table": [k["table"]], "references": [k["references"]]} for k in table["foreign_keys"]]
    return {"path": [table["name"]], "comment": table["comment"], "columns": columns, "primary_key": table["primary_key"], "foreign_keys": keys, "rows": rows}


def texts(table, rows):
    """Rows of a table, each value as a text."""
    write = [TEXT.get(column["type"], str) for column in table["columns"]]
    return [[None if value is None else write[at](value) for at, value in enumerate(row)] for row in rows]


def main():
    """Prints it."""
    import make

    databases, connections = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        for name in make.NAMES:
            make.make(name, pathlib.Path(folder))
            described = json.loads((pathlib.Path(folder) / f"{name}.json").read_text())
            connections[name] = sqlite3.connect(pathlib.Path(folder) / f"{name}.sqlite")
            rows = {each["name"]: connections[name].execute(f'SELECT * FROM "{each["name"]}"').fetchall() for each in described["tables"]}
            databases[name] = {
                "today": described["today"],
                "schema": {"tables": [description(each, len(rows[each["name"]])) for each in described["tables"]]},
                "rows": {each["name"]: texts(each, rows[each["name"]]) for each in described["tables"]},
            }
        facts = []
        for chosen in sys.argv[1:]:
            for fact in questions(HERE / f"{chosen}.facts"):
                sql = fact.pop("sql")
                expected = None if sql == "REFUSE" else connections[fact["database"]].execute(sql).fetchall()
                facts.append({**fact, "ordered": bool(fact["ordered"]), "expected": expected})
        for connection in connections.values():
            connection.close()
    json.dump({"databases": databases, "facts": facts}, sys.stdout)


if __name__ == "__main__":
    main()
