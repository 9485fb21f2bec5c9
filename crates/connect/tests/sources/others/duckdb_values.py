"""Reads Parquet files by DuckDB, and says each value as text: for each path of standard input, as JSON, a line of JSON.

The text of a value is what values.rs makes of the same value in Arrow. Times are whole numbers, since their classes in Python hold no
year before 1 and none after 9999; numbers that are not whole are their bits; texts and bytes are hexadecimal digits, so that a column
without a logical type, which is bytes here and may be text there, is the same. Of long columns each thousand values are one digest.
"""

import decimal
import hashlib
import json
import math
import struct
import sys
import uuid

import duckdb

BLOCK = 1_000


def comparable(kind, value):
    """An expression for a value of a type, with whole numbers in the place of times, and lists of entries in that of maps."""
    name = str(kind).lower()
    if kind.id == "list":
        return f"list_transform({value}, lambda e: {comparable(dict(kind.children)['child'], 'e')})"
    if kind.id == "map":
        inside = dict(kind.children)
        parts = (f"k := {comparable(inside['key'], 'e.key')}", f"v := {comparable(inside['value'], 'e.value')}")
        return f"list_transform(map_entries({value}), lambda e: struct_pack({', '.join(parts)}))"
    if kind.id == "struct":
        parts = (
            f'"f{place}" := {comparable(inside, f"{value}.{quoted(field)}")}'
            for place, (field, inside) in enumerate(kind.children)
        )
        return f"CASE WHEN {value} IS NULL THEN NULL ELSE struct_pack({', '.join(parts)}) END"
    if name == "date":
        return f"date_diff('day', DATE '1970-01-01', {value})"
    if name.startswith("time"):
        # Of nanoseconds the whole microseconds; with a zone there is no function for them.
        return f"epoch_us({value}::TIMESTAMPTZ)" if name == "timestamptz_ns" else f"epoch_us({value})"
    return value


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def text(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "nan" if math.isnan(value) else struct.pack(">d", value).hex()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, str):
        return "x" + value.encode().hex()
    if isinstance(value, uuid.UUID):
        return "x" + value.bytes.hex()
    if isinstance(value, (bytes, bytearray)):
        return "x" + bytes(value).hex()
    if isinstance(value, dict):
        return "{" + ",".join(text(inside) for inside in value.values()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(text(inside) for inside in value) + "]"
    raise TypeError(f"no text for {type(value).__name__}")


def short(values):
    """Values as they are if there are few, else a digest of each thousand."""
    if len(values) <= BLOCK:
        return values
    blocks = ("\n".join(values[first : first + BLOCK]) for first in range(0, len(values), BLOCK))
    return [hashlib.sha256(block.encode()).hexdigest() for block in blocks]


def read(connection, path):
    name = "'" + path.replace("'", "''") + "'"
    # Folders `key=value` are no columns of a file.
    whole = connection.sql(f"SELECT * FROM read_parquet({name}, hive_partitioning = false)")
    parts = [comparable(kind, "f." + quoted(column)) for column, kind in zip(whole.columns, whole.types)]
    # One name each, whatever the columns are called.
    named = ", ".join(f"{part} AS c{place}" for place, part in enumerate(parts))
    rows = connection.sql(f"SELECT {named} FROM read_parquet({name}, hive_partitioning = false) f").fetchall()
    columns = [short([text(row[place]) for row in rows]) for place in range(len(parts))]
    return {"names": whole.columns, "rows": len(rows), "columns": columns}


def main():
    connection = duckdb.connect(config={"autoinstall_known_extensions": False, "threads": 1})
    connection.sql("SET TimeZone = 'UTC'")
    for line in sys.stdin:
        try:
            said = read(connection, json.loads(line))
        except (duckdb.Error, TypeError, ValueError) as error:
            said = {"error": str(error).splitlines()[0]}
        print(json.dumps(said), flush=True)


main()
