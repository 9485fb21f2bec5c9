#!/usr/bin/env python3
"""Makes the five databases of the fact set: one SQLite file and one schema document (JSON) each, in the folder named.

    eval/prompts/make.py FOLDER

The same rows every time: one seed per database, no clock. "Today" is 2025-06-18, a Wednesday.
A database is a module in `databases/`: `TABLES` describes it, `rows(chance)` fills it.
"""
import importlib
import json
import pathlib
import random
import sqlite3
import sys

TODAY = "2025-06-18"
NAMES = ("shop", "clinic", "logistics", "school", "saas")
HERE = pathlib.Path(__file__).resolve().parent
SQLITE = {"integer": "INTEGER", "text": "TEXT", "decimal": "NUMERIC", "double": "REAL", "boolean": "BOOLEAN", "date": "DATE", "timestamp": "TIMESTAMP"}


def statement(table):
    """The CREATE TABLE of one described table."""
    parts = [f'"{c["name"]}" {SQLITE[c["type"]]}' for c in table["columns"]]
    parts.append('PRIMARY KEY ({})'.format(", ".join(f'"{k}"' for k in table["primary_key"])))
    for key in table["foreign_keys"]:
        parts.append(f'FOREIGN KEY ("{key["column"]}") REFERENCES "{key["table"]}" ("{key["references"]}")')
    return f'CREATE TABLE "{table["name"]}" ({", ".join(parts)})'


def make(name, folder):
    """Writes one database and its schema."""
    sys.path.insert(0, str(HERE))
    module = importlib.import_module(f"databases.{name}")
    path = folder / f"{name}.sqlite"
    path.unlink(missing_ok=True)
    database = sqlite3.connect(path)
    filled = module.rows(random.Random(f"tidegate {name}"))
    for table in module.TABLES:
        rows = filled[table["name"]]
        database.execute(statement(table))
        marks = ", ".join("?" * len(table["columns"]))
        database.executemany(f'INSERT INTO "{table["name"]}" VALUES ({marks})', rows)
        table["rows"] = len(rows)
    database.commit()
    database.close()
    schema = {"name": name, "today": TODAY, "tables": module.TABLES}
    (folder / f"{name}.json").write_text(json.dumps(schema, indent=1) + "\n")
    return {table["name"]: table["rows"] for table in module.TABLES}


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for each in NAMES:
        print(each, make(each, target), file=sys.stderr)
