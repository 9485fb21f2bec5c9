"""The other side of the differential test: policies in plain Python, queries in DuckDB. One JSON document a line, in and out.

    {"load": {"sources": [...], "policies": [...]}}      raw relations and policies, first and once
    {"write": {"seed": 14, "first": 0, "count": 250}}    queries made by chance
    {"check": [{"world": 0, "sql": "...", "ordered": false, "kinds": [...], "rows": [[...]]}]}
                                                         what Tidegate answered; {"error": "...", "refused": whether it is
                                                         one without any rows, too} instead of kinds and rows

A world is a source under the policies of a set. Cells are texts, as Arrow displays them; null is NULL.
"""

import datetime
import json
import sys
from decimal import Decimal

sys.dont_write_bytecode = True
import duckdb  # noqa: E402

import differences  # noqa: E402
from chance import Chance, Relation, simple  # noqa: E402
from policy import Denied, visible  # noqa: E402
from queries import Writer  # noqa: E402

# What must never be said of what is hidden, in the raw relations of the tests.
MARK = "SECRET"
SHOWN = 12


def kind_for_duckdb(kind):
    return {"int": "bigint", "float": "double", "text": "varchar"}.get(simple(kind), kind)


def parsed(kind, cell):
    """A cell as a value of Python."""
    if cell is None:
        return None
    read = {
        "boolean": lambda: cell == "true", "int": lambda: int(cell), "float": lambda: float(cell), "decimal": lambda: Decimal(cell),
        "date": lambda: datetime.date.fromisoformat(cell), "timestamp": lambda: datetime.datetime.fromisoformat(cell), "text": lambda: cell,
    }.get(simple(kind))
    if read is None:
        raise ValueError(f"a cell of the kind {kind}")
    return read()


class World:
    """The relations of a source as a person under policies sees them, loaded into a schema of their own."""

    def __init__(self, number, source, policies, connection):
        self.name = f"{source['name']}, {policies['name']}"
        self.policies = policies
        self.schema = f"w{number}"
        self.relations, self.hidden, self.denied = {}, [], []
        connection.execute(f"create schema {self.schema}")
        for table, raw in source["relations"].items():
            columns = [tuple(column) for column in raw["columns"]]
            rows = [[parsed(kind, cell) for (_, kind), cell in zip(columns, row, strict=True)] for row in raw["rows"]]
            behind = {name: [row[place] for row in rows] for place, (name, _) in enumerate(columns)}
            try:
                shown, left = visible(table, columns, rows, policies["policies"], policies["attributes"])
            except Denied:
                self.denied.append(table)
                continue
            self.hidden += [(table, name) for name, _ in columns if name not in dict(shown)]
            self.relations[table] = Relation(table, shown, left, behind)
            listed = ", ".join(f'"{name}" {kind_for_duckdb(kind)}' for name, kind in shown)
            connection.execute(f"create table {self.schema}.{table} ({listed})")
            if left:
                places = ", ".join(f"({', '.join('?' * len(shown))})" for _ in left)
                connection.execute(f"insert into {self.schema}.{table} values {places}", [value for row in left for value in row])


class Oracle:
    """All worlds, and their answers."""

    def __init__(self, sources, policies):
        # Alone: nothing is fetched, and no file is read.
        settings = {"threads": 1, "autoinstall_known_extensions": "false", "autoload_known_extensions": "false", "enable_external_access": "false"}
        self.connection = duckdb.connect(":memory:", config=settings)
        pairs = [(source, several) for several in policies for source in sources]
        self.worlds = [World(number, *pair, self.connection) for number, pair in enumerate(pairs)]
        self.current = None

    def write(self, seed, first, count):
        """Queries of these numbers; each depends on the seed and its number alone."""
        made = []
        for number in range(first, first + count):
            place = number % len(self.worlds)
            world = self.worlds[place]
            sql, ordered = Writer(Chance(seed, number), world.relations, world.hidden, world.denied).query()
            made.append({"number": number, "world": place, "sql": sql, "ordered": ordered})
        return made

    def answer(self, world, sql):
        """Rows, or the text of an error."""
        if self.current != world.schema:
            self.connection.execute(f"use {world.schema}")
            self.current = world.schema
        try:
            return self.connection.execute(sql).fetchall()
        except duckdb.Error as error:
            return str(error)

    def check(self, asked):
        """{"same": what it is} or {"different": how}."""
        world = self.worlds[asked["world"]]
        sql = asked["sql"]
        theirs = self.answer(world, sql)
        if "error" in asked:
            ours = asked["error"]
        else:
            ours = [[parsed(*pair) for pair in zip(asked["kinds"], row, strict=True)] for row in asked["rows"]]
        if isinstance(ours, str) and isinstance(theirs, str):
            if MARK in ours and MARK not in sql:
                return self.told(world, asked, ours, theirs, "the error tells of a hidden row")
            return {"same": "error"}
        if not isinstance(ours, str) and not isinstance(theirs, str) and differences.same_rows(ours, theirs, asked.get("ordered", False)):
            return {"same": "rows" if ours else "none"}
        name = differences.listed(asked, ours, theirs)
        return {"same": f"listed: {name}"} if name else self.told(world, asked, ours, theirs, "other answers")

    @staticmethod
    def told(world, asked, ours, theirs, why):
        def shown(answer):
            if isinstance(answer, str):
                return f"  error: {answer.strip()}"
            rows = sorted(answer, key=lambda row: differences.sorting([differences.plain(value) for value in row]))
            text = "\n".join(f"  {tuple(map(str, row))}" for row in (answer if asked.get("ordered") else rows)[:SHOWN])
            return f"{text}\n  {len(answer)} rows"

        return {
            "number": asked.get("number"),
            "different": f"query {asked.get('number')}, {world.name}: {why}\n{sql_of(asked)}\n Tidegate:\n{shown(ours)}\n"
            f" DuckDB over the copy:\n{shown(theirs)}\n policies: {json.dumps(world.policies, ensure_ascii=False)}"
        }


def sql_of(asked):
    return f"  {asked['sql']}"


def main():
    oracle = None
    for line in sys.stdin:
        asked = json.loads(line)
        if "load" in asked:
            oracle = Oracle(**asked["load"])
            worlds = [{"name": world.name, "rows": {name: one.rows for name, one in world.relations.items()}} for world in oracle.worlds]
            reply = {"worlds": worlds, "avoided": list(differences.AVOIDED), "listed": list(differences.LISTED)}
        elif "write" in asked:
            reply = oracle.write(**asked["write"])
        else:
            reply = [oracle.check(one) for one in asked["check"]]
        # Escaped, so that no setting of the locale matters.
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
